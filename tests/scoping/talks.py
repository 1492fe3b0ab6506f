"""Tables of an app of somebody else, which operations of migrations change."""

from django.contrib.sites.models import Site
from django.db import connection, models
from django.db.migrations.state import ModelState, ProjectState

from sitefleet.models import SiteConfig
from sitefleet.scoping import operations


def site_field(**options):
    return models.ForeignKey("sites.Site", models.PROTECT, related_name="+", **options)


ADD = operations.AddSite("talk", "site", site_field(null=True))


def talks_state():
    """Return the state that the migrations of talks have left, beside that of sites."""
    state = ProjectState()
    for model in (Site, SiteConfig):
        state.add_model(ModelState.from_model(model))
    key = models.BigAutoField(primary_key=True)
    talk = models.ForeignKey("talks.Talk", models.CASCADE)
    fields = [
        ("id", key),
        ("year", models.IntegerField()),
        ("title", models.CharField(max_length=9)),
    ]
    state.add_model(ModelState("talks", "Talk", fields))
    state.add_model(ModelState("talks", "Link", [("id", key.clone()), ("talk", talk)]))
    return state


class Database:
    """Tables that operations of the app ``website`` change."""

    def __init__(self):
        self.state = talks_state()
        self.before = []
        for name in ("talk", "link"):
            with connection.schema_editor() as editor:
                editor.create_model(self.model(name))

    def model(self, name="talk"):
        return self.state.apps.get_model("talks", name)

    def run(self, *each, label="website"):
        for operation in each:
            after = self.state.clone()
            operation.state_forwards(label, after)
            with connection.schema_editor() as editor:
                operation.database_forwards(label, editor, self.state, after)
            self.before.append((operation, self.state, label))
            self.state = after

    def upstream(self, *each):
        self.run(*each, label="talks")

    def back(self):
        self.undo(self.before.pop())

    def undo(self, done):
        operation, before, label = done
        with connection.schema_editor() as editor:
            operation.database_backwards(label, editor, self.state, before)
        self.state = before

    def columns(self):
        with connection.cursor() as cursor:
            found = connection.introspection.get_table_description(cursor, "talks_talk")
        return {column.name for column in found}

    def sites(self, name="talk"):
        rows = models.QuerySet(self.model(name)).order_by("pk")
        slugs = dict(SiteConfig.objects.values_list("site", "slug"))
        return [slugs.get(site) for site in rows.values_list("site_id", flat=True)]
