"""Upstream's migrations run on models of each site: nothing is lost, and there is no dead end."""

import pytest
from django.core.management.base import CommandError
from django.db import IntegrityError, connection, migrations, models, transaction
from django.db.models import Q, UniqueConstraint

from sitefleet.registry import add_site
from sitefleet.scoping.operations import GiveSite, InApp, KeepSite, upstream
from tests.scoping.talks import ADD

pytestmark = pytest.mark.acceptance  # they make tables

ALTER = migrations.AlterField
OURS = UniqueConstraint(fields=["site", "title"], name="ours")


@pytest.fixture
def talks(database):
    """Talks whose titles were unique, and are on each site; two sites have the same."""
    database.ids = [
        add_site(slug, domain=f"{slug}.org", name=slug).pk for slug in ("berlin", "paris")
    ]
    database.upstream(ALTER("talk", "title", models.CharField(max_length=9, unique=True)))
    free = ALTER("talk", "title", models.CharField(max_length=9))
    for operation in (ADD, free, migrations.AddConstraint("talk", OURS)):
        database.run(InApp("talks", operation))
    for site in database.ids:
        create(database, title="Opening", site_id=site)
    return database


def create(talks, **values):
    return models.QuerySet(talks.model()).create(**{"year": 2024, **values})


def constraints(talks, table="talks_talk"):
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, table)
    return {tuple(sorted(each["columns"])) for each in found.values() if each["unique"]}


def in_state(talks):
    return [each.name for each in talks.state.models["talks", "talk"].options["constraints"]]


def test_what_upstream_alters_stays_unique_on_each_site(talks):
    title = models.CharField(max_length=12, unique=True, help_text="new")
    talks.upstream(ALTER("talk", "title", title))
    field = talks.state.models["talks", "talk"].fields["title"]
    assert (field.unique, field.max_length) == (False, 12)
    with pytest.raises(IntegrityError), transaction.atomic():
        create(talks, title="Opening", site_id=talks.ids[0])
    talks.back()
    assert ("site_id", "title") in constraints(talks)


def test_what_upstream_says_to_be_unique_together_waits_for_scopemodels(talks):
    together = {("title",), ("title", "year")}
    talks.upstream(migrations.AlterUniqueTogether("talk", together))
    assert talks.state.models["talks", "talk"].options["unique_together"] == set()


def test_a_new_constraint_of_upstream_is_that_of_each_site(talks):
    new = UniqueConstraint(fields=["year"], name="a_year", condition=Q(year__gt=0))
    talks.upstream(migrations.AddConstraint("talk", new))
    assert talks.state.models["talks", "talk"].options["constraints"][-1].fields == ("site", "year")
    assert ("site_id", "year") in constraints(talks)
    with pytest.raises(IntegrityError), transaction.atomic():
        create(talks, title="B", site_id=talks.ids[0])
    talks.back()
    assert ("site_id", "year") not in constraints(talks)
    talks.upstream(
        migrations.AddConstraint("talk", new), migrations.RemoveConstraint("talk", "a_year")
    )
    assert ("site_id", "year") not in constraints(talks)


@pytest.mark.parametrize(
    "operation",
    [migrations.RemoveField("talk", "title"), migrations.RenameField("talk", "title", "name")],
    ids=["removed", "renamed"],
)
def test_a_constraint_of_ours_goes_with_its_field_and_comes_back(talks, operation):
    models.QuerySet(talks.model()).filter(site=talks.ids[1]).update(title="Other")
    talks.upstream(operation)
    assert in_state(talks) == []
    assert ("site_id", "title") not in constraints(talks)
    talks.upstream(migrations.AddField("talk", "room", models.IntegerField(default=1)))
    talks.back()
    if isinstance(operation, migrations.RenameField):  # rows without a title would clash
        talks.back()
        assert in_state(talks) == ["ours"]
        assert ("site_id", "title") in constraints(talks)


def test_what_is_bound_to_a_site_or_was_unique_is_left_as_it_is(talks):
    link = models.ForeignKey("talks.Talk", models.CASCADE, unique=True)
    talks.run(InApp("talks", migrations.AddField("link", "site", ADD.field.clone())))
    talks.upstream(ALTER("link", "talk", link))
    assert talks.state.models["talks", "link"].fields["talk"].unique
    talks.upstream(migrations.AlterUniqueTogether("link", {("talk", "site")}))
    assert talks.state.models["talks", "link"].options["unique_together"] == {("talk", "site")}


def test_models_without_a_site_of_ours_are_left_alone(database):
    title = models.CharField(max_length=9, unique=True)
    database.upstream(
        ALTER("talk", "title", title), migrations.AlterUniqueTogether("talk", {("title", "year")})
    )
    assert database.state.models["talks", "talk"].fields["title"].unique
    assert database.state.models["talks", "talk"].options["unique_together"] == {("title", "year")}


def test_our_own_operations_are_run_as_written_and_name_what_is_there_twice(talks):
    unique = InApp("talks", ALTER("talk", "title", models.CharField(max_length=9, unique=True)))
    with pytest.raises(CommandError, match=r"title would be unique.*several rows of Opening"):
        talks.run(unique)
    models.QuerySet(talks.model()).filter(site=talks.ids[1]).update(title="Other")
    talks.run(unique)
    assert talks.state.models["talks", "talk"].fields["title"].unique


def test_the_way_back_names_what_is_there_twice_too(talks):
    before = talks.state.clone()
    title = models.CharField(max_length=9, unique=True)
    before.alter_field("talks", "talk", "title", title, preserve_default=True)
    free = InApp("talks", ALTER("talk", "title", models.CharField(max_length=9)))
    with pytest.raises(CommandError, match="several rows of Opening"):
        talks.undo((free, before, "website"))


def test_rows_that_refer_to_another_site_are_refused_with_their_keys(talks):
    site = InApp("talks", migrations.AddField("link", "site", ADD.field.clone()))
    talks.run(site)
    berlin, paris = talks.ids
    rows = models.QuerySet(talks.model("link"))
    talk = models.QuerySet(talks.model()).get(site=berlin)
    row = rows.create(talk=talk, site_id=paris)
    rows.create(talk=talk, site_id=berlin)
    keep = InApp("talks", KeepSite("link", "site", refers={"talk": "site"}))
    with pytest.raises(CommandError, match=rf"1 by talk \(of {row.pk}, .*follow"):
        talks.run(keep)
    rows.filter(pk=row.pk).update(site=berlin)
    talks.run(keep)
    rows.filter(pk=row.pk).update(site=paris)
    with pytest.raises(CommandError, match="rows of 2 sites"):
        talks.back()


def test_many_to_many_rows_are_looked_at(talks):
    field = models.ManyToManyField("talks.Talk", related_name="+")
    talks.upstream(migrations.AddField("talk", "related", field))
    one, other = models.QuerySet(talks.model()).order_by("pk")
    one.related.add(one)
    keep = InApp("talks", KeepSite("talk", "site", refers={"related": "site"}))
    talks.run(keep)
    one.related.add(other)
    with pytest.raises(CommandError, match="1 by related"):
        talks.run(keep)
    talks.before.pop()
    talks.back()


def test_rows_that_follow_their_own_kind_get_a_site_in_all_generations(talks):
    talks.upstream(
        migrations.AddField("talk", "parent", models.ForeignKey("self", models.CASCADE, null=True))
    )
    last = models.QuerySet(talks.model()).get(site=talks.ids[0])
    for key in range(99, 95, -1):  # children come before their parents
        last = create(talks, title=str(key), parent=last, pk=key)
    create(talks, title="lost", pk=90)
    talks.run(InApp("talks", GiveSite("talk", "site", "paris", follow=("parent", "site"))))
    assert talks.sites() == ["berlin", "paris", "paris", *["berlin"] * 4]


def test_the_patch_can_be_taken_away_and_put_back():
    patched = migrations.AlterField.state_forwards
    upstream.uninstall()
    try:
        assert migrations.AlterField.state_forwards is not patched
    finally:
        upstream.install()
        upstream.install()
