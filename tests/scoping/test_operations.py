"""Migrations of one app change another, rows get their site, and the order is kept."""

import sys
from io import StringIO
from types import ModuleType, SimpleNamespace

import pytest
from django.core.management.base import CommandError
from django.db import migrations, models
from django.db.migrations.migration import Migration
from django.db.migrations.optimizer import MigrationOptimizer
from django.db.migrations.state import ModelState, ProjectState
from django.db.migrations.writer import MigrationWriter

from sitefleet.registry import add_site
from sitefleet.scoping import batches
from sitefleet.scoping.operations import (
    ForgetSite,
    GiveSite,
    InApp,
    order,
    what_follows,
)
from tests.scoping.talks import ADD, site_field, talks_state


@pytest.fixture
def talks(database):
    """Talks of three years with a link each, and their tables with empty columns."""
    for slug in ("berlin", "paris", "rome"):
        add_site(slug, domain=f"{slug}.example.org", name=slug)
    for year in (2023, 2024, 2025, 2025):
        talk = models.QuerySet(database.model()).create(year=year, title=str(year))
        models.QuerySet(database.model("link")).create(talk=talk)
    link = InApp("talks", migrations.AddField("link", "site", site_field(null=True)))
    database.run(InApp("talks", ADD), link)
    return database


def give(*args, **options):
    return InApp("talks", GiveSite(*args, **options))


def test_an_operation_acts_on_the_other_app_forwards_and_backwards(database):
    database.run(InApp("talks", ADD))
    assert "site_id" in database.columns()
    assert "site" in database.state.models["talks", "talk"].fields
    database.back()
    assert "site_id" not in database.columns()


def test_an_operation_says_what_it_is_and_is_written_whole():
    operation = InApp("talks", ADD)
    assert operation.describe() == "Add field site to talk (in talks)"
    assert operation.formatted_description().startswith("+ ")
    assert operation.migration_name_fragment == "talks_talk_site"
    migration = Migration("0001_sites", "website")
    migration.operations = [operation, give("talk", "site", values={"a": [1]}, by="year")]
    found = {}
    exec(MigrationWriter(migration).as_string(), found)  # noqa: S102 - what was written just now
    again, given = found["Migration"].operations
    assert (again.label, again.operation.name) == ("talks", "site")
    assert given.operation.values == {"a": [1]}
    assert not given.reduces_to_sql


def test_squashing_keeps_all_of_them_in_their_order():
    remove = InApp("talks", migrations.RemoveField("talk", "site"))
    own = migrations.CreateModel("Talk", [("id", models.BigAutoField(primary_key=True))])
    each = [own, InApp("talks", ADD), remove, migrations.DeleteModel("Talk")]
    assert MigrationOptimizer().optimize(each, "website") == each


def test_a_model_that_is_gone_is_said_and_not_a_key_error():
    state = talks_state()
    state.remove_model("talks", "talk")
    with pytest.raises(CommandError, match=r"website changes talks\.talk, which does not exist"):
        InApp("talks", ADD).state_forwards("website", state)


def test_an_index_that_a_state_has_twice_is_there_once_behind_it():
    """As migrations of django-taggit 6 leave it; no table can be made anew of that."""
    fields = [("id", models.AutoField(primary_key=True)), ("name", models.CharField(max_length=9))]
    index = models.Index(fields=["name"], name="by_name")
    state = ProjectState()
    state.add_model(ModelState("other", "Tag", fields, {"indexes": [index, index.clone()]}))
    field = models.CharField(max_length=99)
    InApp("other", migrations.AlterField("tag", "name", field)).state_forwards("mine", state)
    assert state.models["other", "tag"].options["indexes"] == [index]
    assert state.apps.get_model("other", "Tag")._meta.indexes == [index]


def test_a_router_is_asked_about_the_other_app(talks, settings):
    class NoTalks:
        def allow_migrate(self, db, app_label, **hints):
            return app_label != "talks"

    settings.DATABASE_ROUTERS = [NoTalks()]
    talks.run(give("talk", "site"))  # no rows are looked at
    settings.DATABASE_ROUTERS = []
    with pytest.raises(CommandError):
        talks.run(give("talk", "site"))


def test_rows_are_given_by_key_by_value_by_another_row_and_by_default(talks):
    first = models.QuerySet(talks.model()).order_by("pk").first().pk
    talks.run(
        give(
            "talk",
            "site",
            "rome",
            rows={"paris": [str(first)]},
            by="year",
            values={"berlin": ["2024", "2023"]},
        ),
        give("link", "site", follow=("talk", "site")),
    )
    assert talks.sites() == ["paris", "berlin", "rome", "rome"]
    assert talks.sites("link") == talks.sites()


def test_a_value_may_be_behind_a_relation(talks):
    talks.run(give("link", "site", "paris", by="talk__year", values={"berlin": [2025]}))
    assert talks.sites("link") == ["paris", "paris", "berlin", "berlin"]


def test_rows_come_in_batches_and_none_is_left_out(
    talks, monkeypatch, django_assert_max_num_queries
):
    monkeypatch.setattr(batches, "ROWS", 2)
    monkeypatch.setattr(batches, "KEYS", 1)
    keys = list(models.QuerySet(talks.model()).order_by("pk").values_list("pk", flat=True))
    with django_assert_max_num_queries(60):
        talks.run(give("talk", "site", "rome", rows={"paris": keys[:2]}))
    assert talks.sites() == ["paris", "paris", "rome", "rome"]


def test_on_a_terminal_rows_that_are_done_are_counted(talks, monkeypatch):
    terminal = StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(batches, "ROWS", 3)
    monkeypatch.setattr(sys, "stderr", terminal)
    talks.run(give("talk", "site", "rome"))
    assert "talks.Talk 3/4" in terminal.getvalue()
    assert terminal.getvalue().endswith("talks.Talk 4/4 \n")


def test_rows_that_nothing_is_said_of_are_refused_with_their_number(talks):
    with pytest.raises(CommandError, match=r"2 rows of talks\.Talk have no site"):
        talks.run(give("talk", "site", by="year", values={"berlin": [2025]}))
    talks.run(give("talk", "site", by="year", values={"berlin": [2025]}, required=False))


def test_a_site_that_does_not_exist_is_refused(talks):
    with pytest.raises(CommandError, match="No site has the slug 'oslo'"):
        talks.run(give("talk", "site", "oslo"))


def test_an_empty_table_asks_for_no_site(database):
    database.run(InApp("talks", ADD), give("talk", "site", "oslo"), give("talk", "site"))


def test_what_rows_of_several_sites_would_forget_is_refused(talks):
    talks.run(give("talk", "site", "rome", by="year", values={"berlin": [2025]}))
    given, link, add = talks.before.pop(), talks.before.pop(), talks.before[0]
    assert given[0].operation.default == "rome"
    assert link[0].operation.model_name == "link"
    with pytest.raises(CommandError, match=r"rows of 2 sites.*scopemodels --save"):
        talks.undo(add)
    assert "site_id" in talks.columns()
    forget = InApp("talks", ForgetSite("talk", "site"))
    with pytest.raises(CommandError, match="rows of 2 sites"):
        talks.run(forget)
    talks.run(InApp("talks", ForgetSite("talk", "site", "paris", several=True)))
    talks.run(InApp("talks", migrations.RemoveField("talk", "site")))
    assert "site_id" not in talks.columns()
    talks.back()
    talks.back()
    assert set(talks.sites()) == {"paris"}


def test_rows_of_one_site_may_be_forgotten(talks):
    talks.run(give("talk", "site", "rome"), InApp("talks", ForgetSite("talk", "site")))
    talks.back()
    talks.back()
    talks.back()
    talks.back()
    assert "site_id" not in talks.columns()


@pytest.fixture
def later(monkeypatch):
    """Let the app ``talks`` have migrations, given by their operations."""

    def have(replaces=(), **by_name):
        package = ModuleType("talks_migrations")
        package.__path__ = []
        monkeypatch.setitem(sys.modules, "talks_migrations", package)
        before = []
        for name, each in by_name.items():
            module = ModuleType(f"talks_migrations.{name}")
            dependencies = [("talks", before[-1])] if before else []
            body = {"dependencies": dependencies, "operations": each, "replaces": []}
            if name.endswith("squashed"):
                body |= {"dependencies": [], "replaces": [("talks", one) for one in before]}
            module.Migration = type("Migration", (Migration,), body)
            monkeypatch.setitem(sys.modules, module.__name__, module)
            before.append(name)
        found = [SimpleNamespace(name=name, ispkg=False) for name in by_name]
        monkeypatch.setattr(order, "iter_modules", lambda _: found)

    return have


RENAME = migrations.RenameModel("Talk", "Session")
UNIQUE = migrations.AddConstraint("talk", models.UniqueConstraint(fields=["site"], name="x"))


@pytest.mark.parametrize(
    ("ours", "theirs", "clash"),
    [
        (ADD, RENAME, True),
        (ADD, migrations.DeleteModel("Talk"), True),
        (ADD, migrations.RenameModel("Tag", "Talk"), True),
        (ADD, migrations.RenameField("talk", "site", "place"), True),
        (ADD, migrations.SeparateDatabaseAndState(state_operations=[RENAME]), True),
        (GiveSite("talk", "site", by="year"), migrations.RemoveField("talk", "year"), True),
        (UNIQUE, migrations.RemoveField("talk", "year"), True),
        (ADD, UNIQUE, True),
        (ADD, migrations.RemoveField("talk", "year"), False),
        (ADD, migrations.RenameModel("Tag", "Label"), False),
        (ADD, migrations.AlterModelOptions("talk", {}), False),
        (ADD, migrations.RunPython(migrations.RunPython.noop), False),
    ],
    ids=range(12),
)
def test_what_clashes_comes_later_and_what_does_not_is_left_alone(
    later, settings, ours, theirs, clash
):
    settings.MIGRATION_MODULES = {"talks": "talks_migrations"}
    later(m1=[RENAME], m2=[], m3=[theirs])
    expected = [("talks", "m3")] if clash else []
    assert what_follows([("talks", "m1"), ("sites", "m1")], [InApp("talks", ours)]) == expected


def test_what_was_squashed_into_one_is_not_behind_itself(later, settings):
    settings.MIGRATION_MODULES = {"talks": "talks_migrations"}
    later(m1=[], m2=[RENAME], m3_squashed=[])
    assert what_follows([("talks", "m1")], [InApp("talks", ADD)]) == []


def test_an_app_without_migrations_has_none_later(settings):
    for module in (None, "no.such.module"):
        settings.MIGRATION_MODULES = {"talks": module}
        assert what_follows([("talks", "m1")], [InApp("talks", ADD)]) == []
