"""Checks say what is wrong with row-level security in a database."""

import pytest
from django.db import connection, connections

from sitefleet import override_site
from sitefleet.scoping.rls.checks import check_database
from tests.acceptance.postgres import ACCOUNT
from tests.acceptance.rls import as_role, sql

pytestmark = pytest.mark.acceptance


def warnings():
    return {message.id.removeprefix("sitefleet.W") for message in check_database(["default"])}


def test_checks_are_silent_where_all_is_well(sites):
    assert warnings() == set()


@pytest.mark.parametrize(
    ("number", "statement"),
    [
        ("447", "ALTER TABLE rooms_room DISABLE ROW LEVEL SECURITY"),
        ("448", "ALTER TABLE rooms_room NO FORCE ROW LEVEL SECURITY"),
        ("449", "DROP POLICY sitefleet_site ON rooms_room"),
        ("449", "DROP POLICY sitefleet_shared ON rooms_tag"),
        ("449", "ALTER POLICY sitefleet_site ON rooms_room USING (site_id = 1)"),
        ("449", "ALTER POLICY sitefleet_site ON rooms_hall WITH CHECK (true)"),
        ("449", "ALTER POLICY sitefleet_all ON rooms_hall TO fleet_app"),
        ("449", "CREATE POLICY mine ON rooms_room USING (true)"),
        ("450", "DROP INDEX rooms_building_site_id_57a2dea7"),
        ("451", "CREATE INDEX x ON rooms_room USING gin (to_tsvector('simple', name))"),
        ("452", "GRANT TRUNCATE ON rooms_room TO fleet_app"),
        ("453", "CREATE MATERIALIZED VIEW v AS SELECT * FROM rooms_room"),
        ("453", "CREATE VIEW v AS SELECT * FROM rooms_room"),
        ("455", "REVOKE SELECT ON rooms_room FROM fleet_all"),
    ],
    ids=lambda value: value.replace(" ", "-"),
)
def test_checks_tell_what_is_wrong_with_a_table(sites, number, statement):
    if "DROP INDEX" in statement:
        name = "SELECT indexname FROM pg_indexes WHERE indexname LIKE 'rooms_building_site_id%'"
        statement = f"DROP INDEX {sql(name)[0][0]}"
    with as_role(ACCOUNT), connection.schema_editor() as editor:
        editor.execute(statement, params=None)
    assert warnings() == {number}


def test_views_that_obey_are_not_complained_of(sites):
    with as_role(ACCOUNT), connection.schema_editor() as editor:
        view = "VIEW {} AS SELECT name FROM rooms_room"
        editor.execute(f"CREATE {view.format('whole')}", params=None)
        safe = view.format("safe").replace(" AS", " WITH (security_invoker = true) AS")
        editor.execute(f"CREATE {safe}", params=None)
        editor.execute("GRANT SELECT ON whole, safe TO fleet_app", params=None)
    with override_site(sites[0]):
        assert sql("SELECT count(*) FROM safe") == [(2,)]
        assert sql("SELECT count(*) FROM whole") == [(4,)]
    (found,) = [message.msg for message in check_database(["default"])]
    assert found.endswith("of all sites: whole.")


@pytest.mark.parametrize(
    ("number", "role"), [("444", ACCOUNT), ("445", "fleet_owner"), ("446", "fleet_stranger")]
)
def test_checks_tell_what_is_wrong_with_the_role(sites, locked, number, role):
    with as_role(ACCOUNT), connection.schema_editor() as editor:
        if role == "fleet_stranger":
            exists = "SELECT FROM pg_roles WHERE rolname = 'fleet_stranger'"
            create = f"IF NOT EXISTS ({exists}) THEN CREATE ROLE fleet_stranger LOGIN; END IF"
            editor.execute(f"DO $$ BEGIN {create}; END $$", params=None)
            granted = "GRANT SELECT ON ALL TABLES IN SCHEMA public TO fleet_stranger"
            editor.execute(granted, params=None)
    with as_role(role):
        assert warnings() == {number}


def test_no_check_looks_where_row_level_security_is_not_asked_for(sites, settings):
    settings.SITEFLEET = settings.SITEFLEET | {"RLS": ""}
    with as_role(ACCOUNT):
        assert warnings() == set()


@pytest.mark.parametrize(("version", "old"), [(150_013, True), (150_014, False), (180_000, False)])
def test_checks_tell_of_versions_with_a_hole(sites, monkeypatch, version, old):
    monkeypatch.setattr(type(connections["default"]), "pg_version", version)
    assert warnings() == ({"454"} if old else set())
