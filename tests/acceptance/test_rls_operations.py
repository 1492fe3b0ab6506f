"""Row-level security comes and goes by migrations or a command, and checks say what is wrong."""

import io
import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections, migrations
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.state import ProjectState

from sitefleet import override_site
from sitefleet.exceptions import SiteRequired
from sitefleet.registry import add_site
from sitefleet.scoping import cross_site
from sitefleet.scoping.rls import wiring
from sitefleet.scoping.rls.operations import DisableRLS, EnableRLS
from sitefleet.scoping.rls.status import look
from sitefleet.scoping.scopes import scopes
from tests.acceptance.postgres import ACCOUNT
from tests.acceptance.rls import OWNED, ROLES, as_role, sql
from tests.rooms.models import Room

pytestmark = pytest.mark.acceptance

MODELS = ("building", "booking", "tag", "room", "hall", "room_tags", "room_guests")
TABLES = [f"rooms_{name}" for name in MODELS]


@pytest.fixture
def state():
    return MigrationExecutor(connection).loader.project_state(("rooms", "0001_initial"))


def migrate(operation, state, *, backwards=False):
    migration = migrations.Migration("0002_rls", "rooms")
    migration.operations = [operation]
    with as_role("fleet_owner"), connection.schema_editor() as editor:
        (migration.unapply if backwards else migration.apply)(state.clone(), editor)


def entry(table):
    return next(entry for entry in look(connection).tables if entry.table == table)


def command(*arguments, role="fleet_app"):
    """Run `manage.py rls`; return the exit status and what it printed."""
    out = io.StringIO()
    with as_role(role):
        try:
            call_command("rls", *arguments, stdout=out, no_color=True)
        except SystemExit as error:
            return error.code, out.getvalue()
        except CommandError as error:
            return error.returncode, f"{out.getvalue()}{error}"
    return 0, out.getvalue()


@pytest.mark.parametrize("name", MODELS)
def test_a_migration_does_it_and_undoes_it(sites, state, name):
    expected = entry(f"rooms_{name}")
    assert (expected.enabled, expected.forced, expected.policies) == (True, True, "")
    for operation, backwards in (
        (DisableRLS(name), False),
        (EnableRLS(name), False),
        (EnableRLS(name), True),
        (DisableRLS(name), True),
    ):
        migrate(operation, state, backwards=backwards)
        on = isinstance(operation, DisableRLS) is backwards
        found = entry(f"rooms_{name}")
        assert (found.enabled, found.forced) == (on, on)
        if on:
            assert found == expected
        else:
            policies = "SELECT count(*) FROM pg_policy WHERE polrelid = %s::regclass"
            assert sql(policies, [f"rooms_{name}"]) == [(0,)]


def test_enabling_twice_does_no_harm(sites, state):
    before = entry("rooms_tag")
    migrate(EnableRLS("tag"), state)
    assert entry("rooms_tag") == before


def test_sqlmigrate_shows_it(sites, state):
    with connection.schema_editor(collect_sql=True) as editor:
        EnableRLS("room").database_forwards("rooms", editor, ProjectState(), state)
    assert 'ALTER TABLE "rooms_room" FORCE ROW LEVEL SECURITY;' in editor.collected_sql
    assert entry("rooms_room").enabled


def test_migrations_see_all_rows_with_their_role(sites, state):
    def grow(apps, schema_editor):
        model = apps.get_model("rooms", "Room")
        assert model.objects.update(size=3) == 4

    with override_site(sites[0]):
        migrate(migrations.RunPython(grow), state)
    with cross_site("look"):
        assert Room.objects.filter(size=3).count() == 4


def test_migrate_is_refused_to_a_role_that_sees_one_site(sites):
    signal = {"app_config": None, "using": "default", "plan": [object()]}
    signal["app_config"] = next(
        app for app in wiring.apps.get_app_configs() if app.models_module is not None
    )
    with pytest.raises(CommandError, match="fleet_app sees the rows of one site at most"):
        wiring._before_migrate(**signal)
    wiring._before_migrate(**signal | {"plan": []})
    for role in ("fleet_owner", ACCOUNT):
        with as_role(role):
            wiring._before_migrate(**signal)
    with pytest.raises(CommandError, match="sees the rows of one site at most"):
        call_command("migrate", "rooms", "zero", verbosity=0)
    call_command("migrate", verbosity=0)  # there is nothing to do


def test_the_command_shows_what_is_there(sites):
    code, out = command("status")
    assert code == 0, out
    assert "rooms_room             own            yes         yes     as expected  yes" in out
    assert "rooms_notice           many           guard only" in out
    assert "The role fleet_app sees one site at a time; fleet_all sees all sites." in out
    code, out = command("status", "rooms.Tag", "--json")
    data = json.loads(out)
    assert (code, data["problems"], [entry["table"] for entry in data["tables"]]) == (
        0,
        [],
        ["rooms_tag"],
    )


def test_the_command_does_it_and_undoes_it(sites):
    code, out = command("disable", "rooms.Room", "--dry-run", role="fleet_owner")
    assert code == 0
    assert 'ALTER TABLE "rooms_room" DISABLE ROW LEVEL SECURITY;\n' in out
    assert entry("rooms_room").enabled
    assert command("disable", "rooms.room", "--no-input", role="fleet_owner") == (
        0,
        "Disabled row-level security on rooms_room.\n",
    )
    code, out = command()
    assert code == 1
    assert "Tables without row-level security: rooms_room." in out
    assert command("enable", "--no-input", role="fleet_owner")[0] == 0
    assert command()[0] == 0
    with pytest.raises(SiteRequired):
        sql("SELECT count(*) FROM rooms_room")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("enable", "rooms.Person"), 2, "rooms.Person is no model whose rows belong to a site"),
        (("enable", "rooms.Notice"), 1, "rows with many sites are guarded by the ORM alone"),
        (("enable", "--no-input"), 1, "The role fleet_app does not own the tables"),
        (("status", "--database", "other"), 2, "DATABASES has no 'other'"),
    ],
    ids=["unknown", "many", "not the owner", "no database"],
)
def test_the_command_refuses(sites, arguments, code, says):
    found, out = command(*arguments)
    assert says in out
    assert found == code


@pytest.mark.parametrize("missing", ["RLS", "RLS_ROLE"])
def test_the_command_enables_nothing_that_the_settings_do_not_follow(sites, settings, missing):
    settings.SITEFLEET = settings.SITEFLEET | {missing: ""}
    code, out = command("enable", "--no-input", role="fleet_owner")
    assert code == 1
    assert '"RLS": "transaction", "RLS_ROLE": "fleet_all"' in out


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("", 1), ("no", 1)])
def test_the_command_asks(sites, monkeypatch, answer, code):
    asked = []
    monkeypatch.setattr("builtins.input", lambda text: asked.append(text) or answer)
    assert command("disable", "rooms.Tag", role="fleet_owner")[0] == code
    assert asked == ["Disable row-level security on rooms_tag? [y/N] "]
    assert entry("rooms_tag").enabled is bool(code)


def test_the_role_of_migrations_may_see_all(sites):
    assert command("status", role="fleet_owner")[0] == 1  # as the role that serves
    connections.settings["migrations"] = connection.settings_dict | {"USER": "fleet_owner"}
    try:
        assert command("status", "--database", "migrations")[0] == 0
    finally:
        connections["migrations"].close()
        del connections["migrations"], connections.settings["migrations"]


def test_tests_are_bound_that_run_as_an_owner_of_their_own(sites):
    roles = ROLES.replace("fleet_app", "fleet_test").replace("fleet_all NOLOGIN", "fleet_none")
    roles = roles.replace("fleet_owner", "fleet_none_2")
    with as_role(ACCOUNT), connection.schema_editor() as editor:
        editor.execute(roles, params=None)
        editor.execute(OWNED.replace("fleet_owner", "fleet_test"), params=None)
    with as_role("fleet_test"):
        with override_site(sites[0]):
            assert sql("SELECT count(*) FROM rooms_room") == [(2,)]
        call_command("flush", interactive=False, verbosity=0)
        with cross_site("look"):
            assert sql("SELECT count(*) FROM rooms_room") == [(0,)]


def test_all_tables_are_covered_but_those_of_many_sites(sites):
    free = {scope.table for scope in scopes} - {
        found.table for found in look(connection).tables if found.enabled
    }
    assert free == {"rooms_notice", "rooms_notice_readers", "rooms_notice_sites"}


def test_the_roles_of_the_documentation_are_all_that_is_needed(locked, settings):
    page = (Path(__file__).parents[2] / "docs/rows/rls.md").read_text()
    roles = page.partition("```sql\n")[2].partition("```")[0].replace("fleet_", "docs_")
    name = f"docs_{next(locked.numbers)}"
    locked.sql(f"CREATE DATABASE {name}")
    settings.SITEFLEET = settings.SITEFLEET | {"RLS_ROLE": "docs_all"}
    with as_role(ACCOUNT, NAME=name):
        sql(roles)
    with as_role("docs_owner", NAME=name):
        call_command("migrate", verbosity=0)
        assert command("enable", "--no-input", role="docs_owner")[0] == 0
    with as_role("docs_app", NAME=name):
        site = add_site("a", domain="a.test")
        with override_site(site):
            Room.objects.create(name="a")
            assert sql("SELECT count(*) FROM rooms_room") == [(1,)]
        with cross_site("look"):
            assert Room.objects.count() == 1
        assert command("status", role="docs_app")[0] == 0
