"""What a queryset keeps of a run is of the site that it has run for."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from asgiref.sync import async_to_sync
from django.db import connection
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext

from sitefleet import override_site
from sitefleet.current import active_site_id
from sitefleet.scoping import cross_site
from sitefleet.scoping.guard import kept
from tests.rooms.models import Booking, Key, Room


def codes(rows):
    return [booking.code for booking in rows]


READS = {
    "iterate": codes,
    "length": lambda rows: (len(rows), codes(rows)),
    "item": lambda rows: rows[0].code,
    "slice": lambda rows: codes(rows[:5]),
    "bool": lambda rows: (bool(rows), codes(rows)),
    "count": lambda rows: (rows.count(), codes(rows)),
    "exists": lambda rows: (rows.exists(), codes(rows)),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_a_queryset_that_has_run_runs_again_for_another_site(world, read):
    rows = Booking.objects.order_by("pk")
    for own in (world.a, world.b, world.a):
        with override_site(own.site):
            assert read(rows) == read(Booking.objects.order_by("pk"))
            assert own.booking.code in str(read(rows))


def test_so_does_one_that_is_read_by_async_for(world):
    rows = Booking.objects.order_by("pk")
    for own in (world.a, world.b):
        assert async_to_sync(in_turn)(rows, own.site) == [own.booking.code]


async def in_turn(rows, site):
    async with override_site(site):
        return [booking.code async for booking in rows]


def test_contains_asks_for_the_site(world):
    rows = Booking.objects.all()
    with override_site(world.a.site):
        assert rows.contains(world.a.booking)
        list(rows)
    with override_site(world.b.site):
        assert not rows.contains(world.a.booking)


def test_so_does_one_of_a_model_of_no_site_that_joins_rows_of_sites(world):
    keys = Key.objects.select_related("room")
    for own in (world.a, world.b):
        with override_site(own.site):
            assert [key.room.name for key in keys] == [own.room.name]


def test_a_pickled_queryset_brings_no_rows_of_another_site(world):
    rows = Booking.objects.all()
    with override_site(world.a.site):
        data = pickle.dumps(rows)
    with override_site(world.b.site):
        assert codes(pickle.loads(data)) == [world.b.booking.code]  # noqa: S301 - made above


def test_on_one_site_the_rows_are_kept(world):
    rows = Booking.objects.all()
    with override_site(world.a.site), CaptureQueriesContext(connection) as queries:
        assert codes(rows) == codes(rows) == [world.a.booking.code]
    assert len(queries) == 1


def test_what_was_prefetched_stays_with_its_instance(world):
    with override_site(world.a.site):
        (room,) = Room.objects.filter(pk=world.a.room.pk).prefetch_related("bookings")
    with override_site(world.b.site), CaptureQueriesContext(connection) as queries:
        assert codes(room.bookings.all()) == [world.a.booking.code]
    assert not queries


def test_each_site_has_its_own_rows_prefetched(world):
    rooms = Room.objects.prefetch_related("bookings").order_by("pk")
    for own in (world.a, world.b):
        with override_site(own.site):
            list(rooms)
            with CaptureQueriesContext(connection) as queries:
                assert own.booking.code in [
                    code for room in rooms for code in codes(room.bookings.all())
                ]
            assert not queries


def test_rows_that_were_read_while_crossing_are_not_those_of_a_site(world):
    rows = Booking.objects.order_by("pk")
    with cross_site("a list of all"):
        everything = codes(rows)
    assert codes(rows) == everything  # behind the block, as any rows that were read
    with override_site(world.a.site):
        assert codes(rows) == [world.a.booking.code]
        with cross_site("a list of all"):
            assert codes(rows) == everything


def test_a_report_on_all_sites_is_not_made_of_the_rows_of_one(world):
    rows = Booking.objects.order_by("pk")
    with override_site(world.a.site):
        assert len(rows) == 1
        with cross_site("a list of all"):
            assert len(rows) > 1


def test_threads_on_two_sites_share_one_queryset(world, monkeypatch):
    """Each sees its own, however they take turns between filling and reading."""
    rows = Booking.objects.all()
    barrier = Barrier(2)
    with override_site(world.a.site):
        mine = list(Booking.objects.all())
    with override_site(world.b.site):
        theirs = list(Booking.objects.all())
    found = {world.a.site.pk: mine, world.b.site.pk: theirs}

    def fill(queryset):
        queryset._result_cache = found[active_site_id()]
        barrier.wait(timeout=10)

    fill = kept.filling(fill)

    def read(own):
        with override_site(own.site):
            fill(rows)
            return codes(rows._result_cache)

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(read, (world.a, world.b))) == [codes(mine), codes(theirs)]


def test_it_stands_where_django_keeps_rows():
    assert QuerySet.__dict__[kept.ROWS] is kept.rows_of_the_site


def test_rows_of_a_site_can_be_read_when_it_is_left(world):
    rows = Booking.objects.all()
    with override_site(world.a.site):
        len(rows)
    assert codes(rows) == [world.a.booking.code]


def test_rows_of_the_default_site_are_not_those_of_another(world, settings):
    settings.SITE_ID = world.a.site.pk
    rows = Booking.objects.all()
    assert codes(rows) == [world.a.booking.code]
    with override_site(world.b.site):
        assert codes(rows) == [world.b.booking.code]
    assert codes(rows) == [world.a.booking.code]
