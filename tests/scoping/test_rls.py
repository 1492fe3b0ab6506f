"""Row-level security, as far as it needs no PostgreSQL."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.writer import OperationWriter

from sitefleet.exceptions import CrossSiteWrite, SiteRequired
from sitefleet.scoping.rls.checks import check_database, check_settings
from sitefleet.scoping.rls.connection import explain
from sitefleet.scoping.rls.operations import DisableRLS, EnableRLS, scope_in
from sitefleet.scoping.rls.policies import enable, normal_form, policies
from sitefleet.scoping.scopes import Kind, Scope, scopes
from tests.rooms.models import Hall, Notice, Room, Tag

SITE = "(SELECT current_setting('sitefleet.site_id')::integer)"


@pytest.fixture
def postgres():
    """A connection to PostgreSQL that is never opened."""
    return DatabaseWrapper({**connections.settings["default"], "NAME": "none"}, "default")


def statements(model, postgres):
    return enable(scopes.of(model), postgres, "fleet_all")


def test_the_policy_is_one_that_an_index_can_serve(postgres):
    found = statements(Room, postgres)
    assert found[3] == (
        'CREATE POLICY sitefleet_site ON "rooms_room" FOR ALL'
        f' USING ("site_id" = {SITE}) WITH CHECK ("site_id" = {SITE})'
    )
    assert found[4] == (
        'CREATE POLICY sitefleet_all ON "rooms_room" FOR ALL TO "fleet_all"'
        " USING (true) WITH CHECK (true)"
    )
    assert found[5:] == [
        'ALTER TABLE "rooms_room" ENABLE ROW LEVEL SECURITY',
        'ALTER TABLE "rooms_room" FORCE ROW LEVEL SECURITY',
    ]


def test_shared_rows_are_shown_by_a_policy_of_their_own(postgres):
    assert (
        'CREATE POLICY sitefleet_shared ON "rooms_tag" FOR SELECT USING ("site_id" IS NULL)'
    ) in statements(Tag, postgres)


def test_a_child_goes_with_its_parent(postgres):
    expected = (
        'EXISTS(SELECT 1 FROM "rooms_room" "sitefleet_0" WHERE "sitefleet_0"."id" ='  # noqa: S608
        f' "rooms_hall"."room_ptr_id" AND "sitefleet_0"."site_id" = {SITE})'
    )
    assert f"USING ({expected}) WITH CHECK ({expected})" in statements(Hall, postgres)[3]


def test_what_goes_with_a_shared_row_is_read_with_it(postgres):
    scope = Scope(Hall, Kind.PATH, "room_ptr", "room_ptr_id", scopes.of(Tag), "id")
    found = {policy.name: policy for policy in policies(scope, postgres, "")}
    assert set(found) == {"sitefleet_site", "sitefleet_shared"}
    assert "IS NULL" not in found["sitefleet_site"].expression
    assert found["sitefleet_shared"].command == "SELECT"
    assert 'OR "sitefleet_0"."site_id" IS NULL' in found["sitefleet_shared"].expression


def test_what_postgresql_shows_of_a_policy_is_known_again():
    shown = (
        "(EXISTS ( SELECT 1\n   FROM rooms_room sitefleet_0\n  WHERE ((sitefleet_0.id ="
        " rooms_hall.room_ptr_id) AND (sitefleet_0.site_id = ( SELECT"
        " (current_setting('sitefleet.site_id'::text))::integer AS current_setting)))))"
    )
    ours = (
        'EXISTS(SELECT 1 FROM "rooms_room" "sitefleet_0" WHERE "sitefleet_0"."id" ='  # noqa: S608
        f' "rooms_hall"."room_ptr_id" AND "sitefleet_0"."site_id" = {SITE})'
    )
    assert normal_form(shown, "rooms_hall") == normal_form(ours, "rooms_hall")
    assert normal_form(shown, "rooms_hall") != normal_form(shown.replace("1", "2"), "rooms_hall")


@pytest.fixture
def history():
    """The models of the migrations."""
    return MigrationLoader(None).project_state(("rooms", "0001_initial"))


@pytest.mark.parametrize(
    ("name", "kind", "field"),
    [
        ("room", Kind.OWN, "site"),
        ("tag", Kind.SHARED, "site"),
        ("booking", Kind.OWN, "venue"),
        ("hall", Kind.PATH, "room_ptr"),
        ("room_tags", Kind.PATH, "room"),
        ("room_neighbours", Kind.PATH, "from_room"),
        ("stay", Kind.PATH, "room"),
        ("tag_suits", Kind.PATH, "room"),
        ("notice_boards", Kind.PATH, "room"),
    ],
)
def test_models_of_migrations_have_the_scopes_of_the_real_ones(history, name, kind, field):
    model = history.apps.get_model("rooms", name)
    found, real = scope_in(model), scopes.tables[model._meta.db_table]
    assert (found.kind, found.field) == (kind, field)
    assert (found.kind, found.field, found.column, found.parent_column) == (
        real.kind,
        real.field,
        real.column,
        real.parent_column,
    )


@pytest.mark.parametrize("name", ["person", "notice", "notice_sites", "notice_readers", "key"])
def test_other_models_are_refused(history, name):
    with pytest.raises(ImproperlyConfigured, match=r'EnableRLS\("\w+", field="site"\)'):
        scope_in(history.apps.get_model("rooms", name))


def test_migrations_write_the_operation_as_it_was_given():
    text, imports = OperationWriter(EnableRLS("room", shared=False)).serialize()
    assert "".join(line.strip() for line in text.splitlines()) == (
        "sitefleet.scoping.rls.operations.EnableRLS(model_name='room',shared=False,),"
    )
    assert imports == {"import sitefleet.scoping.rls.operations"}
    assert DisableRLS("Room").migration_name_fragment == "room_no_rls"


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor == "postgresql", reason="about the other databases")
def test_on_other_databases_nothing_is_done_and_that_is_said(history, caplog):
    caplog.set_level("INFO", "sitefleet.rls")
    said = "Enable row-level security on room: nothing to do, that is PostgreSQL's alone."
    with connection.schema_editor(collect_sql=True) as editor:
        EnableRLS("room").database_forwards("rooms", editor, history, history)
    assert editor.collected_sql == [f"-- {said}"]
    assert not caplog.messages
    for operation in (EnableRLS("room"), DisableRLS("room")):
        with connection.schema_editor() as editor:
            operation.database_forwards("rooms", editor, history, history)
            operation.database_backwards("rooms", editor, history, history)
    assert caplog.messages[0] == said
    assert len(caplog.messages) == 4


@pytest.mark.skipif(connection.vendor == "postgresql", reason="about the other databases")
def test_the_command_is_refused_on_other_databases():
    with pytest.raises(CommandError, match="Row-level security is PostgreSQL's, and this is"):
        call_command("rls")


def settings_checked(settings, postgres, monkeypatch, **values):
    monkeypatch.setitem(postgres.settings_dict, "DISABLE_SERVER_SIDE_CURSORS", True)
    monkeypatch.setattr("sitefleet.scoping.rls.checks.connections", {"default": postgres})
    settings.SITEFLEET = values
    return [message.id for message in check_settings()]


def test_checks_are_silent_without_row_level_security(settings):
    assert check_settings() == []
    assert check_database(["default"]) == []


@pytest.mark.skipif(connection.vendor == "postgresql", reason="about the other databases")
def test_it_needs_postgresql(settings):
    settings.SITEFLEET = {"RLS": "session", "RLS_ROLE": "fleet_all"}
    assert [message.id for message in check_settings()] == ["sitefleet.E441"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"RLS": "transaction", "RLS_ROLE": "fleet_all"}, []),
        ({"RLS": "transaction"}, ["sitefleet.E442"]),
        ({"RLS": "session", "RLS_ROLE": "fleet_all"}, ["sitefleet.W443"]),
    ],
    ids=["right", "no role", "pooler"],
)
def test_settings_that_do_not_go_together_are_told(
    settings, postgres, monkeypatch, values, expected
):
    assert settings_checked(settings, postgres, monkeypatch, **values) == expected


def test_rows_with_many_sites_are_the_guards_alone(postgres):
    assert "many" in scopes.of(Notice).kind.value


class InGerman(Exception):
    """An error of PostgreSQL as psycopg raises it."""

    def __init__(self, sqlstate, message, function=""):
        super().__init__(f"FEHLER: {message}")
        self.sqlstate = sqlstate
        self.diag = SimpleNamespace(message_primary=message, source_function=function)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (InGerman("22P02", "ungültige Eingabesyntax für Typ integer: »no site«"), SiteRequired),
        (InGerman("22P02", "ungültige Eingabesyntax für Typ integer: »«"), None),
        (InGerman("42704", "unbekannter Parameter »sitefleet.site_id«"), SiteRequired),
        (InGerman("42501", "neue Zeile verletzt", "ExecWithCheckOptions"), CrossSiteWrite),
        (InGerman("42501", "keine Berechtigung", "aclcheck_error"), None),
    ],
    ids=["no site", "other syntax", "never told", "policy", "permission"],
)
def test_errors_of_policies_are_known_in_all_languages(error, expected):
    told = SimpleNamespace(site=lambda: None)
    if expected is None:
        explain(error, told)
    else:
        with pytest.raises(expected):
            explain(error, told)


@pytest.mark.parametrize(
    "operation", [EnableRLS("romm"), DisableRLS("romm")], ids=["enable", "disable"]
)
def test_a_model_that_migrations_do_not_know_is_told(history, operation):
    with pytest.raises(ImproperlyConfigured, match=r"RLS\('romm'\): .*booking, building"):
        operation.database_forwards("rooms", None, history, history)
