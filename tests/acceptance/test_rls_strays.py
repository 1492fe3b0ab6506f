"""Tables that are locked though nobody has the key, or that stand open beside a lock."""

import pytest
from django.db import connection

from sitefleet import override_site
from sitefleet.scoping.rls.checks import check_database
from sitefleet.scoping.rls.operations import disable_table
from sitefleet.scoping.rls.status import look
from sitefleet.scoping.scopes import scopes
from tests.acceptance.postgres import ACCOUNT
from tests.acceptance.rls import as_role, sql
from tests.acceptance.test_rls_checks import warnings
from tests.acceptance.test_rls_operations import command, entry
from tests.rooms.models import Room

pytestmark = pytest.mark.acceptance

#: Some of what goes with rooms.
ROOMS = {"rooms_room", "rooms_hall", "rooms_room_tags", "rooms_stay"}


@pytest.fixture
def no_rooms(sites, monkeypatch):
    """Rooms are taken out of `SCOPED_MODELS`."""
    left = {name: own for name, own in scopes.tables.items() if own.root.table != "rooms_room"}
    monkeypatch.setattr(scopes, "tables", left)


def strays():
    return {found.table for found in look(connection).tables if found.stray}


def test_tables_that_are_locked_without_a_site_are_told(no_rooms):
    assert strays() >= ROOMS
    assert warnings() == {"456"}
    code, out = command()
    assert code == 1
    assert "rooms_hall is under row-level security, and no column says which site" in out
    assert "manage.py rls disable rooms.Hall" in out


def test_what_a_column_leaves_that_was_dropped_is_told_and_mended(no_rooms):
    with as_role("fleet_owner"):
        sql("ALTER TABLE rooms_room DROP COLUMN site_id CASCADE")
    assert strays() >= ROOMS
    assert command("status", "rooms.Room")[0] == 1
    assert sql("SELECT count(*) FROM rooms_hall") == [(0,)]  # and not a word
    code, out = command("disable", "rooms.hall", "--no-input", role="fleet_owner")
    assert (code, out) == (0, "Disabled row-level security on rooms_hall.\n")
    assert sql("SELECT count(*) FROM rooms_hall") == [(2,)]
    assert "rooms_hall" not in strays()
    code, out = command("enable", "rooms.Room", role="fleet_owner")
    assert (code, "rooms.Room is no model whose rows belong to a site" in out) == (2, True)


def test_a_table_goes_out_with_all_that_goes_with_its_rows(no_rooms):
    with as_role("fleet_owner"), connection.schema_editor() as editor:
        disable_table(editor, Room)
    assert strays() == set()
    assert [message.msg for message in check_database(["default"])] == []
    assert entry("rooms_building").policies == ""
    assert sql("SELECT count(*) FROM rooms_room_tags") == [(2,)]


def test_tables_that_others_have_locked_are_left_alone(sites):
    with as_role("fleet_owner"), connection.schema_editor() as editor:
        for statement in (
            "ALTER TABLE rooms_person ENABLE ROW LEVEL SECURITY",
            "ALTER TABLE rooms_person FORCE ROW LEVEL SECURITY",
            "CREATE POLICY mine ON rooms_person USING (true)",
        ):
            editor.execute(statement)
        disable_table(editor, Room._meta.apps.get_model("rooms", "Person"))
    assert warnings() == set()
    with as_role(ACCOUNT):
        assert sql("SELECT count(*) FROM pg_policies WHERE policyname = 'mine'") == [(1,)]


@pytest.mark.parametrize("how", ["partition", "inherits"])
def test_partitions_that_stand_open_are_told(sites, how):
    a, b = sites

    with as_role("fleet_owner"):
        if how == "inherits":
            sql("CREATE TABLE rooms_open () INHERITS (rooms_booking)")
        else:
            columns = "(id bigint, venue_id int, code text, room_id bigint, day text)"
            sql("DROP TABLE rooms_booking")
            sql(f"CREATE TABLE rooms_booking {columns} PARTITION BY LIST (venue_id)")
            sql("CREATE INDEX ON rooms_booking (venue_id)")
            sql("CREATE TABLE rooms_open PARTITION OF rooms_booking DEFAULT")
        for table in ("rooms_booking", "rooms_open"):
            sql(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO fleet_app, fleet_all")
        assert command("enable", "rooms.Booking", "--no-input", role="fleet_owner")[0] == 0
        sql(
            "INSERT INTO rooms_open (id, venue_id, code, day) VALUES (9, %s, 'x', '2030-01-01')",
            [b.pk],
        )
    with override_site(a):
        assert sql("SELECT code FROM rooms_booking WHERE code = 'x'") == []
        assert sql("SELECT code FROM rooms_open") == [("x",)]
    assert warnings() == {"457"}
    assert "Partitions of rooms_booking, or" in command("status", "rooms.Booking")[1]
    with as_role("fleet_owner"):
        sql("REVOKE ALL ON rooms_open FROM fleet_app")
    assert warnings() == set()
    with override_site(b):
        assert ("x",) in sql("SELECT code FROM rooms_booking")


def test_tables_of_another_schema_are_found(sites, monkeypatch):
    with as_role(ACCOUNT):
        sql('CREATE SCHEMA "Other"')
        sql('GRANT USAGE ON SCHEMA "Other" TO fleet_owner, fleet_app, fleet_all')
        sql('ALTER TABLE rooms_room SET SCHEMA "Other"')
        sql('ALTER TABLE rooms_hall SET SCHEMA "Other"')
    for name in ("rooms_room", "rooms_hall"):
        scope = scopes.tables[name]
        monkeypatch.setattr(scope.model._meta, "db_table", f'Other"."{name}')
        monkeypatch.delitem(scopes.tables, name)
        monkeypatch.setitem(scopes.tables, scope.table, scope)
    assert warnings() == set()
    for action, expected in (("disable", {"447"}), ("enable", set())):
        arguments = (action, "rooms.Room", "rooms.Hall", "--no-input")
        assert command(*arguments, role="fleet_owner")[0] == 0
        assert warnings() == expected
    with override_site(sites[0]):
        assert sql('SELECT name FROM "Other".rooms_room ORDER BY 1') == [("a",), ("hall a",)]
        assert sql('SELECT count(*) FROM "Other".rooms_hall') == [(1,)]


@pytest.mark.parametrize("whose", ["ROLE fleet_app", "DATABASE {name}"])
def test_a_site_that_connections_begin_with_is_told(sites, locked, whose):
    whose = whose.format(name=connection.settings_dict["NAME"])
    locked.sql(f"ALTER {whose} SET sitefleet.site_id = '1'")
    try:
        assert warnings() == {"458"}
        code, out = command()
    finally:
        locked.sql(f"ALTER {whose} RESET sitefleet.site_id")
    assert (code, f"ALTER {whose} RESET sitefleet.site_id;" in out) == (1, True)
    assert warnings() == set()


def test_a_role_that_does_not_exist_is_told(sites, settings):
    settings.SITEFLEET = settings.SITEFLEET | {"RLS_ROLE": "fleet_typo"}
    code, out = command("enable", "--no-input", role="fleet_owner")
    assert code == 1
    assert "PostgreSQL has no role fleet_typo" in out
    assert "CREATE ROLE fleet_typo NOLOGIN;" in out


def test_a_table_that_does_not_exist_yet_is_left_out(sites):
    with as_role("fleet_owner"):
        sql("DROP TABLE rooms_booking")
    code, out = command("enable", "--no-input", role="fleet_owner")
    assert (code, "rooms_room." in out, "rooms_booking." in out) == (0, True, False)
    code, out = command("enable", "rooms.Booking", "--no-input", role="fleet_owner")
    assert (code, out) == (1, "rooms.Booking: it has no table yet, migrate.")
