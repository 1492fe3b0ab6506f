"""A cursor with a name shows rows of the site that it was declared for, whenever they are fetched.

PostgreSQL looks for the site when the first row is wanted that a policy is about.
"""

import psycopg
import pytest
from django.db import DatabaseError, connection, transaction

from sitefleet import override_site
from sitefleet.exceptions import SiteRequired
from sitefleet.scoping import cross_site
from tests.acceptance.rls import as_role, both_modes, nothing, sql
from tests.rooms.models import Building, Room

pytestmark = [pytest.mark.acceptance, both_modes]

ROOMS = "SELECT name FROM rooms_room ORDER BY name"
OF_A, OF_B = [("a",), ("hall a",)], [("b",), ("hall b",)]


def look_across(_):
    with cross_site("look"):
        assert len(sql(ROOMS)) == 4


def look_elsewhere(site):
    with override_site(site):
        assert sql(ROOMS) == OF_B


def look_in_vain(site):
    with pytest.raises(DatabaseError), override_site(site), transaction.atomic():
        sql("SELECT 1/0")


between = pytest.mark.parametrize("look", [look_elsewhere, look_across, look_in_vain])


@between
@pytest.mark.parametrize("binding", [False, True], ids=["client", "server"])
@pytest.mark.parametrize("fetch", ["fetchall", "fetchone", "fetchmany", "__iter__", "scroll"])
def test_rows_are_fetched_for_the_site_of_the_cursor(sites, fetch, look, binding):
    a, b = sites
    with as_role("fleet_app", OPTIONS={"server_side_binding": binding}), transaction.atomic():
        with connection.chunked_cursor() as cursor:
            with override_site(a):
                cursor.execute(ROOMS)
            look(b)
            with override_site(b):
                if fetch == "scroll":
                    cursor.scroll(1)
                    assert cursor.fetchall() == OF_A[1:]
                else:
                    found = getattr(cursor, fetch)()
                    assert found == OF_A[0] if fetch == "fetchone" else list(found)[:1] == OF_A[:1]
                assert sql(ROOMS) == OF_B
        with override_site(a):
            assert sql(ROOMS) == OF_A
        assert sql("SELECT current_user") == [("fleet_app",)]


@between
def test_an_iterator_over_several_tables_stays_on_its_site(sites, look):
    a, b = sites
    with override_site(a):
        Building.objects.bulk_create([Building(name=f"more {n}") for n in range(20)])
        both = Building.objects.values_list("name").union(
            Room.objects.values_list("name"), all=True
        )
        expected = set(both)
    with transaction.atomic():
        found = []
        with override_site(a):
            rows = both.iterator(chunk_size=5)
            found.append(next(rows))
        for row in rows:
            found.append(row)
            look(b)
    assert (len(found), set(found)) == (23, expected)


def test_rows_that_a_join_looks_for_late_are_those_of_the_site(sites):
    a, b = sites
    with override_site(a):
        building = Building.objects.get()
        Room.objects.update(building=None)
        Room.objects.bulk_create(
            [Room(name=f"{n}", building=building if n > 20 else None) for n in range(40)]
        )
    with transaction.atomic():
        # As with many rows: the other table is looked into for each row that names one.
        for name in ("hashjoin", "mergejoin", "material"):
            sql(f"SET LOCAL enable_{name} = off")
        with override_site(a):
            rows = Room.objects.select_related("building").order_by("pk").iterator(chunk_size=5)
            first = next(rows)
        with override_site(b):
            assert Building.objects.get().name == "b"
            found = [first, *rows]
    assert [room.building for room in found if room.building_id] == [building] * 19


def test_a_cursor_that_crosses_has_its_role_for_each_row(sites):
    a, _ = sites
    with transaction.atomic(), connection.chunked_cursor() as cursor:
        with cross_site("look"):
            # PostgreSQL asks for what a function may see when it is called.
            sql(
                "CREATE FUNCTION pg_temp.number() RETURNS bigint LANGUAGE plpgsql AS"
                " 'BEGIN RETURN (SELECT count(*) FROM public.rooms_room); END'"
            )
            cursor.execute("SELECT pg_temp.number() FROM generate_series(1, 2)")
        with override_site(a):
            assert sql("SELECT count(*) FROM rooms_room") == [(2,)]
            assert cursor.fetchall() == [(4,), (4,)]
            assert sql("SELECT current_user") == [("fleet_app",)]


@pytest.mark.parametrize("within", [nothing, transaction.atomic])
def test_a_cursor_without_a_site_is_refused_its_rows(sites, within):
    def fetch():
        with within(), connection.chunked_cursor() as cursor:
            cursor.execute(ROOMS)
            cursor.fetchall()

    with pytest.raises(SiteRequired):
        fetch()


def test_the_site_is_told_ahead_of_a_fetch_only_where_it_changed(sites):
    with override_site(sites[0]), transaction.atomic(), connection.chunked_cursor() as cursor:
        cursor.execute(ROOMS)
        raw = connection.connection.sitefleet
        before = raw.local
        assert cursor.fetchmany(1) == OF_A[:1]
        assert raw.local is before


def test_rows_that_are_held_are_those_of_the_site(sites):
    a, b = sites
    connection.ensure_connection()
    raw = connection.connection
    with raw.cursor("held", withhold=True) as cursor:
        with override_site(a):
            cursor.execute(ROOMS)
        with override_site(b), transaction.atomic():
            assert sql(ROOMS) == OF_B
            assert cursor.fetchall() == OF_A
            assert sql(ROOMS) == OF_B


def test_no_cursor_is_held_beyond_a_transaction(sites):
    """Its rows would be looked for at COMMIT, for the site that is told last."""
    a, b = sites
    with transaction.atomic():
        sql("SELECT 1")
        cursor = connection.connection.cursor("held", withhold=True)
        with override_site(a):
            cursor.execute(ROOMS)
        with override_site(b):
            assert sql(ROOMS) == OF_B
            assert cursor.fetchone() == OF_A[0]
    with pytest.raises(psycopg.errors.InvalidCursorName):
        cursor.fetchall()
    cursor.close()
