"""Statements that stand alone, roles that somebody has SET, and what is no missing site."""

import random

import pytest
from django.db import DatabaseError, connection, transaction

from sitefleet import override_site
from sitefleet.exceptions import SiteRequired
from sitefleet.scoping import cross_site
from tests.acceptance.postgres import ACCOUNT
from tests.acceptance.rls import as_role, both_modes, nothing, sql

pytestmark = pytest.mark.acceptance

CHANCE = random.Random(4)  # noqa: S311 - no secret
ROOMS = "SELECT name FROM rooms_room ORDER BY name"
OF_A, OF_B = [("a",), ("hall a",)], [("b",), ("hall b",)]
within_both = pytest.mark.parametrize("within", [nothing, transaction.atomic])


@pytest.fixture
def readonly(locked):
    """A role that the one which serves the sites may become."""
    exists = "SELECT FROM pg_roles WHERE rolname = 'fleet_reads'"
    create = "CREATE ROLE fleet_reads NOLOGIN; GRANT fleet_reads TO fleet_app;"
    locked.sql(f"DO $$ BEGIN IF NOT EXISTS ({exists}) THEN {create} END IF; END $$")
    with as_role(ACCOUNT):
        sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO fleet_reads")


def who():
    return sql("SELECT current_user")[0][0]


@both_modes
@within_both
def test_a_role_that_was_set_is_not_undone_by_a_crossing(sites, readonly, within):
    with within(), cross_site("look"):
        assert who() == "fleet_all"
    with override_site(sites[0]), transaction.atomic():
        sql("SET LOCAL ROLE fleet_reads")
        assert who() == "fleet_reads"
        with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
            sql("UPDATE rooms_room SET size = 9")
        assert who() == "fleet_reads"
        with cross_site("look"):
            assert (who(), len(sql(ROOMS))) == ("fleet_all", 4)
        assert who() == "fleet_reads"
        assert sql(ROOMS) == OF_A


@both_modes
def test_a_crossing_ends_in_the_role_of_its_time(sites, readonly):
    sql("SET ROLE fleet_reads")
    with cross_site("look"):
        assert who() == "fleet_all"
    assert who() == "fleet_reads"
    sql("RESET ROLE")
    with override_site(sites[0]), transaction.atomic():
        with cross_site("look"):
            assert who() == "fleet_all"
        assert who() == "fleet_app"


@both_modes
def test_a_crossing_that_is_undone_in_part_still_ends(sites):
    with override_site(sites[0]), transaction.atomic():
        for _ in range(2):
            with cross_site("look"):
                assert who() == "fleet_all"
                with pytest.raises(DatabaseError), transaction.atomic():
                    sql("SELECT 1/0")
                with transaction.atomic():
                    assert who() == "fleet_all"
                    transaction.set_rollback(True)
                assert who() == "fleet_all"
            assert who() == "fleet_app"
            with transaction.atomic():
                with cross_site("look"):
                    assert who() == "fleet_all"
                transaction.set_rollback(True)
            assert who() == "fleet_app"


@both_modes
def test_tables_and_views_are_made_of_the_rows_that_are_seen(sites):
    a, b = sites
    every = sorted(OF_A + OF_B)
    for number, (enter, rows) in enumerate(
        [(override_site(a), OF_A), (cross_site("copy"), every), (override_site(b), OF_B)]
    ):
        with enter:
            sql(f"CREATE TEMPORARY TABLE copy_{number} AS {ROOMS}")
            assert sql(f"TABLE copy_{number}") == rows
    with pytest.raises(SiteRequired):
        sql(f"CREATE TEMPORARY TABLE mine AS {ROOMS}")


@both_modes
@pytest.mark.parametrize("ahead", ["", "/* by hand */ ", "-- by hand\n", " -- x\n /* y */\n"])
def test_statements_that_stand_alone_may_have_a_comment_ahead(sites, ahead):
    sql("CREATE TEMPORARY TABLE mine (x int)")
    for enter in (override_site(sites[0]), cross_site("look")):
        with enter:
            sql(f"{ahead}VACUUM mine")
            sql(f"{ahead}CREATE INDEX CONCURRENTLY ON mine (x)")
            sql(f"{ahead}DO $$ BEGIN COMMIT; END $$")


@both_modes
def test_what_stands_alone_in_a_crossing_has_no_site_at_all(sites):
    with override_site(sites[0]):
        assert sql(ROOMS) == OF_A
    with cross_site("look"), pytest.raises(DatabaseError, match="invalid input syntax"):
        sql(f"DO $$ BEGIN PERFORM name FROM rooms_room; COMMIT; END $$; -- {ROOMS}")
    with override_site(sites[0]):
        assert sql(ROOMS) == OF_A


@both_modes
def test_procedures_are_called_for_the_site(sites, mode):
    with as_role(ACCOUNT):
        grow = "UPDATE rooms_room SET size = size + 1"
        for name, body in (
            ("plain", [grow]),
            ("saving", [grow, "COMMIT", "DELETE FROM rooms_hall"]),
        ):
            sql(f"CREATE PROCEDURE {name}() LANGUAGE plpgsql AS 'BEGIN {'; '.join(body)}; END'")
    with override_site(sites[0]):
        sql("/* by hand */ CALL plain()")
        if mode == "session":
            sql("CALL saving()")
        else:
            with pytest.raises(DatabaseError, match="invalid transaction termination"):
                sql("CALL saving()")
    with cross_site("look"):
        size = 2 if mode == "session" else 1
        assert sql("SELECT name FROM rooms_room WHERE size = %s ORDER BY 1", [size]) == OF_A
        halls = 1 if mode == "session" else 2
        assert sql("SELECT count(*) FROM rooms_hall") == [(halls,)]


@both_modes
@within_both
def test_a_pipeline_follows_the_site(sites, within):
    found = []
    with within():
        sql("SELECT 1")
        raw = connection.connection
        with raw.pipeline() as pipeline:
            for number in CHANCE.choices(range(3), k=20):
                enter = cross_site("look") if number == 2 else override_site(sites[number])
                with enter:
                    found.append((raw.execute(ROOMS), number))
                if CHANCE.random() < 0.2:
                    pipeline.sync()
            for cursor, number in found:
                assert cursor.fetchall() == (OF_A, OF_B, sorted(OF_A + OF_B))[number]
        assert who() == "fleet_app"


@both_modes
@within_both
@pytest.mark.parametrize("statement", ["SELECT ''::integer", "SELECT 'no site'::integer"])
def test_other_errors_are_left_as_they_are(sites, within, statement):
    with override_site(sites[0]), pytest.raises(DatabaseError, match="invalid input"), within():
        sql(statement)
    if "no site" not in statement:
        with pytest.raises(DatabaseError, match="invalid input"), within():
            sql(statement)


@both_modes
@within_both
def test_a_site_that_a_connection_begins_with_does_not_count(sites, within):
    with as_role("fleet_app", OPTIONS={"options": f"-c sitefleet.site_id={sites[0].pk}"}):
        for _ in range(2):
            with pytest.raises(SiteRequired), within():
                sql(ROOMS)
        with override_site(sites[1]), within():
            assert sql(ROOMS) == OF_B
