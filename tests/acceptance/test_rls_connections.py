"""A connection that many requests share shows each of them the rows of its own site."""

import asyncio
import random
from contextlib import contextmanager

import pytest
from asgiref.sync import sync_to_async
from django.db import connection, transaction
from django.http import JsonResponse
from django.urls import path

from sitefleet import override_site
from sitefleet.exceptions import CrossSiteWrite, SiteRequired
from sitefleet.scoping import cross_site
from sitefleet.scoping.rls.connection import Told
from tests.acceptance.pgbouncer import running_pgbouncer
from tests.acceptance.rls import around, as_role, both_modes, nothing, sql
from tests.databases import elsewhere, together
from tests.rooms.models import Building, Room

pytestmark = pytest.mark.acceptance

CHANCE = random.Random(4)  # noqa: S311 - no secret

ROOMS = "SELECT name FROM rooms_room ORDER BY name"
OF_A, OF_B = [("a",), ("hall a",)], [("b",), ("hall b",)]


@pytest.fixture
def told(monkeypatch):
    """What connections were told, in order."""
    found = []
    original = Told.message

    def message(self, wanted):
        found.append(wanted)
        return original(self, wanted)

    monkeypatch.setattr(Told, "message", message)
    return found


@both_modes
def test_a_transaction_is_told_its_site_once(sites, told, django_assert_num_queries):
    for site, rows in zip(sites, (OF_A, OF_B), strict=True):
        with override_site(site), transaction.atomic(), django_assert_num_queries(4):
            for _ in range(3):
                assert sql(ROOMS) == rows
            list(Building.objects.all())
    assert told == [site.pk for site in sites]


@pytest.mark.parametrize("mode", ["session"])
def test_a_session_is_told_its_site_when_that_changes(sites, told):
    a, b = sites
    for site in (a, a, b, b, a):
        with override_site(site):
            sql(ROOMS)
            sql(ROOMS)
    assert told == [a.pk, b.pk, a.pk]


def test_nothing_of_a_site_is_left_outside_of_transactions(sites):
    with override_site(sites[0]):
        assert sql(ROOMS) == OF_A
    raw = connection.connection
    left = raw.sitefleet.plain(raw).execute("SELECT current_setting('sitefleet.site_id', true)")
    assert left.fetchone() == ("",)


@both_modes
@pytest.mark.parametrize("within", [nothing, transaction.atomic])
def test_iterators_stay_on_the_site_that_they_began_with(sites, within):
    a, b = sites
    with override_site(a):
        Room.objects.bulk_create([Room(name=f"more {n}") for n in range(250)])
    with within():
        with override_site(a):
            rows = Room.objects.order_by("pk").iterator(chunk_size=10)
            first = next(rows)
        with override_site(b):
            assert sql(ROOMS) == OF_B
            rest = list(rows)
        with override_site(b):
            assert sorted(room.name for room in Room.objects.iterator()) == ["b", "hall b"]
    assert {room.site_id for room in [first, *rest]} == {a.pk}
    assert len(rest) == 251


@both_modes
@around
def test_many_rows_are_written_to_the_current_site(sites, block):
    a, b = sites
    insert = "INSERT INTO rooms_building (name, site_id) VALUES (%s, %s)"
    with connection.cursor() as cursor:
        with override_site(a), block():
            cursor.executemany(insert, [(f"x{n}", a.pk) for n in range(3)])
            assert sql("SELECT count(*) FROM rooms_building") == [(4,)]
        with override_site(b):
            with pytest.raises(CrossSiteWrite), block():
                cursor.executemany(insert, [("x", b.pk), ("x", a.pk)])
            assert sql("SELECT count(*) FROM rooms_building") == [(1,)]


@both_modes
@pytest.mark.parametrize("within", [nothing, transaction.atomic])
def test_parameters_may_be_bound_by_the_server(sites, within):
    a, b = sites
    with as_role("fleet_app", OPTIONS={"server_side_binding": True}):
        for site, rows in ((a, OF_A), (b, OF_B), (a, OF_A)):
            with override_site(site), within():
                assert sql("SELECT name FROM rooms_room WHERE id > %s ORDER BY 1", [0]) == rows
                assert [(room.name,) for room in Room.objects.order_by("name").iterator()] == rows
            with cross_site("look"), within():
                assert sql("SELECT count(*) FROM rooms_room WHERE id > %s", [0]) == [(4,)]


@both_modes
def test_cursors_of_psycopg_obey_too(sites):
    a, b = sites
    with connection.cursor() as cursor:
        raw = cursor.connection
        for site, rows in ((a, OF_A), (b, OF_B)):
            with override_site(site):
                assert raw.execute(ROOMS).fetchall() == rows
                assert list(raw.cursor().stream(ROOMS)) == rows
                assert raw.cursor().execute(ROOMS.encode()).fetchall() == rows
                with raw.transaction(), raw.cursor("named") as named:
                    assert named.execute(ROOMS).fetchall() == rows
                with raw.pipeline():
                    assert raw.execute(ROOMS).fetchall() == rows


@both_modes
def test_transactions_of_psycopg_are_noticed(sites):
    a, b = sites
    with override_site(a):
        assert sql(ROOMS) == OF_A
    with override_site(b), transaction.atomic():
        assert sql(ROOMS) == OF_B
    raw = connection.connection
    with override_site(b), raw.transaction():
        assert sql(ROOMS) == OF_B
        with raw.transaction(force_rollback=True), override_site(a):
            assert sql(ROOMS) == OF_A
            with override_site(b):
                assert sql(ROOMS) == OF_B
            assert sql(ROOMS) == OF_A
        assert sql(ROOMS) == OF_B
        with override_site(a):
            with raw.transaction(force_rollback=True), override_site(b):
                assert sql(ROOMS) == OF_B
            assert sql(ROOMS) == OF_A


@both_modes
def test_several_results_come_in_their_order(sites):
    with override_site(sites[0]), connection.cursor() as cursor:
        cursor.execute("SELECT 1; SELECT 2")
        assert cursor.fetchall() == [(1,)]
        assert cursor.nextset()
        assert cursor.fetchall() == [(2,)]
        assert not cursor.nextset()
        cursor.execute("SELECT '%%', %s", ["%"])
        assert cursor.fetchall() == [("%", "%")]
        cursor.execute("SELECT '%'")
        assert cursor.fetchall() == [("%",)]


@contextmanager
def pool(size):
    with as_role("fleet_app", OPTIONS={"pool": {"min_size": 1, "max_size": size}}):
        try:
            yield
        finally:
            connection.close()
            connection.close_pool()


def visit(site, rows):
    """Read the rooms of a site in some way; return what is wrong."""
    how = CHANCE.choice(["atomic", "plain", "cross", "undone"])
    with override_site(site):
        if how == "plain":
            return None if sql(ROOMS) == rows else (site.pk, how)
        with transaction.atomic():
            found = [sql(ROOMS), sql(ROOMS)]
            if how == "cross":
                with cross_site("report"):
                    found.append(rows if len(sql(ROOMS)) == 4 else None)
            if how == "undone":
                transaction.set_rollback(True)
        return None if all(item == rows for item in found) else (site.pk, how)


def visits(sites, *, close=False):
    def work(number):
        wrong = []
        for _ in range(60):
            index = CHANCE.randrange(2)
            wrong.append(visit(sites[index], (OF_A, OF_B)[index]))
            if close:
                connection.close()
        return [item for item in wrong if item]

    return work


@both_modes
def test_threads_that_share_a_pool_see_their_own_rows(sites):
    with pool(2):
        assert together(visits(sites, close=True), 6) == [[]] * 6


@both_modes
def test_who_borrows_a_connection_from_a_pool_has_nothing_of_the_last_one(sites):
    with pool(1):
        with override_site(sites[0]):
            assert sql(ROOMS) == OF_A
        connection.close()

        def next_one():
            with pytest.raises(SiteRequired):
                sql(ROOMS)
            with override_site(sites[1]):
                return sql(ROOMS)

        assert elsewhere(next_one) == OF_B


def test_clients_of_pgbouncer_see_their_own_rows(sites, locked):
    with running_pgbouncer(locked, ["fleet_app"]) as address, as_role("fleet_app", **address):
        assert together(visits(sites), 12) == [[]] * 12
        with pytest.raises(SiteRequired):
            sql(ROOMS)


def test_what_a_session_was_told_leaks_through_pgbouncer(sites, locked, settings):
    """So there the mode is ``transaction``; the check W443 says it."""
    settings.SITEFLEET = settings.SITEFLEET | {"RLS": "session"}
    bouncer = running_pgbouncer(locked, ["fleet_app"], size=1)
    with bouncer as address, as_role("fleet_app", **address), override_site(sites[0]):
        assert sql(ROOMS) == OF_A
        assert elsewhere(override_site(sites[1])(sql), ROOMS) == OF_B
        assert sql(ROOMS) == OF_B


@both_modes
def test_tasks_of_asyncio_see_their_own_rows(sites):
    async def work(index, *, sensitive):
        wrong = 0
        for _ in range(20):
            async with override_site(sites[index]):
                await asyncio.sleep(CHANCE.random() / 1000)
                rows = await sync_to_async(read, thread_sensitive=sensitive)()
                names = [room.name async for room in Room.objects.order_by("name")]
            wrong += rows != (OF_A, OF_B)[index] or names != [row[0] for row in rows]
        return wrong

    def read():
        try:
            return sql(ROOMS)
        finally:
            close()

    def close():
        connection.close()

    async def run():
        works = [work(number % 2, sensitive=number % 4 < 2) for number in range(8)]
        found = await asyncio.gather(*works)
        await sync_to_async(close)()
        return found

    assert asyncio.run(run()) == [0] * 8


@both_modes
def test_a_connection_goes_from_request_to_request(sites, client, settings):
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = ["sitefleet.middleware.SiteMiddleware"]
    raw = None
    for _ in range(2):
        for host, rows in (("a.test", OF_A), ("b.test", OF_B)):
            assert client.get("/", headers={"host": host}).json() == [row[0] for row in rows]
            assert raw in {None, connection.connection}
            raw = connection.connection


def show(request):
    return JsonResponse([row[0] for row in sql(ROOMS)], safe=False)


urlpatterns = [path("", show)]
