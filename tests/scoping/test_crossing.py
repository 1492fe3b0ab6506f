"""The way out is said aloud: ``cross_site`` sees all rows, and the log says who and why."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from threading import Barrier

import pytest
from asgiref.sync import async_to_sync

from sitefleet import override_site
from sitefleet.current import activate, deactivate
from sitefleet.exceptions import SiteRequired
from sitefleet.scoping import cross_site
from sitefleet.scoping.crossing import is_crossing, unguarded
from tests.rooms.models import Key, Room, Tag


@pytest.fixture
def log(caplog):
    caplog.set_level(logging.INFO, "sitefleet.cross_site")
    return caplog


def test_it_sees_and_changes_the_rows_of_all_sites(world):
    with cross_site("yearly report"):
        assert Room.objects.count() == Room._base_manager.count() == 4
        assert Tag.objects.count() == 3
        assert Room.objects.update(size=9) == 4
        world.a.key.room = world.b.room
        world.a.key.save()
        assert world.b.booking.delete()[0] == 1
        world.b.room.site = world.a.site
        world.b.room.save()


def test_the_log_says_who_and_why(world, log):
    with override_site(world.a.site), cross_site("yearly report", by="joe"):
        Room.objects.count()
    (record,) = log.records
    assert (record.reason, record.by, record.levelname) == ("yearly report", "joe", "INFO")
    assert record.where.startswith("test_crossing:") or ".test_crossing:" in record.where
    assert record.where.endswith("test_the_log_says_who_and_why")
    text = record.getMessage()
    assert "'yearly report', by joe in" in text
    assert text.endswith(f"site {world.a.site.pk}")


def test_without_a_name_code_has_asked_and_without_a_site_none_is_told(db, log):
    with cross_site("repair"):
        pass
    assert "by code in" in log.text
    assert "site none" in log.text


def test_what_we_do_ourselves_is_not_logged(log):
    with unguarded():
        assert is_crossing()
    assert not log.records


@pytest.mark.parametrize("reason", ["", "  ", None, 5])
def test_a_reason_is_needed(reason):
    with pytest.raises(ValueError, match="needs a reason"):
        cross_site(reason)


def test_a_site_that_is_entered_inside_is_guarded(world):
    with cross_site("report"):
        for own in (world.a, world.b):
            with override_site(own.site):
                assert not is_crossing()
                assert Room.objects.count() == 2
                with cross_site("inner"):
                    assert Room.objects.count() == 4
                    assert is_crossing(aloud=True)
                assert Room.objects.count() == 2
        assert Room.objects.count() == 4
        assert is_crossing(aloud=True)
    assert not is_crossing()


def test_a_site_that_is_activated_inside_is_guarded(world):
    with cross_site("report"):
        activate(world.a.site)
        try:
            assert Room.objects.count() == 2
        finally:
            deactivate()


def test_it_ends_with_the_site_that_is_deactivated_inside(world):
    with cross_site("report"):
        activate(world.a.site)
        deactivate()
        with pytest.raises(SiteRequired):
            Room.objects.count()
    activate(world.a.site)
    with cross_site("report"):
        assert is_crossing()
        deactivate()
        with pytest.raises(SiteRequired):
            Room.objects.count()


def test_it_ends_with_the_block_and_with_an_exception(world):
    def fail():
        with cross_site("report"):
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    with pytest.raises(SiteRequired):
        Room.objects.count()


def test_one_instance_nests(world):
    crossing = cross_site("report")
    with crossing:
        with crossing:
            assert is_crossing()
        assert is_crossing()
    assert not is_crossing()


def test_rows_that_are_fetched_after_the_block_are_guarded(world):
    with cross_site("report"):
        rows = Room.objects.all()
        iterator = Room.objects.iterator()
        key = Key.objects.get(pk=world.b.key.pk)
    for ask in (lambda: list(rows), lambda: next(iterator), lambda: key.room):
        with pytest.raises(SiteRequired):
            ask()


def test_it_decorates_functions_and_coroutine_functions(world, log):
    @cross_site("count all", by="cron")
    def count():
        """Count."""
        return Room.objects.count()

    @cross_site("count all")
    async def acount():
        return await Room.objects.acount()

    assert count() == async_to_sync(acount)() == 4
    assert count.__doc__ == "Count."
    assert len(log.records) == 2
    assert not is_crossing()


def test_it_is_an_async_with_and_tasks_that_are_started_inside_cross_too(world):
    async def report():
        async with cross_site("report"):
            inside = await asyncio.gather(Room.objects.acount(), Tag.objects.acount())
        return inside, is_crossing()

    assert async_to_sync(report)() == ([4, 3], False)


async def names():
    return {room.name async for room in Room.objects.all()}


OURS, ALL = {"aa-room", "aa-hall"}, {"aa-room", "aa-hall", "bb-room", "bb-hall"}


def test_a_task_that_outlives_the_block_is_guarded_from_its_end_on(world):
    async def twice(begun, over):
        inside = await names()
        begun.set()
        await over.wait()
        return inside, await names()

    async def report():
        begun, over = asyncio.Event(), asyncio.Event()
        async with cross_site("report"):
            task = asyncio.create_task(twice(begun, over))
            await begun.wait()
        over.set()
        return await task

    with override_site(world.a.site):
        assert async_to_sync(report)() == (ALL, OURS)


def test_an_async_generator_that_is_left_ends_it_where_it_is_closed(world):
    async def rooms():
        async with cross_site("report"):
            async for room in Room.objects.order_by("pk"):
                yield room

    async def first():
        rows = rooms()
        async for _ in rows:
            break
        await asyncio.create_task(rows.aclose())  # in another context, as a loop does it
        return await names()

    with override_site(world.a.site):
        assert async_to_sync(first)() == OURS


def test_a_copy_of_the_context_does_not_keep_it(world):
    with override_site(world.a.site):
        with cross_site("outer"), cross_site("inner"):
            copy = copy_context()
            assert copy.run(is_crossing)
        assert not copy.run(is_crossing)
        assert not copy.run(is_crossing)
        with cross_site("outer"):
            with cross_site("inner"):
                copy = copy_context()
            assert copy.run(is_crossing)


def test_one_instance_is_entered_by_many_threads(world):
    crossing, all_in = cross_site("report"), Barrier(3)

    def work():
        with crossing:
            all_in.wait()
            inside = is_crossing()
            all_in.wait()
        return inside, is_crossing()

    with ThreadPoolExecutor(3) as pool:
        runs = [pool.submit(work) for _ in range(3)]
    assert [run.result() for run in runs] == [(True, False)] * 3


def test_to_leave_it_twice_is_harmless():
    crossing = cross_site("report")
    with crossing:
        crossing.__exit__(None, None, None)
        assert not is_crossing()


def test_it_decorates_no_generators():
    def rows():
        yield

    async def arows():
        yield

    for function in (rows, arows):
        with pytest.raises(TypeError, match="no generators"):
            cross_site("report")(function)


def test_what_is_decorated_is_named_in_the_log(caplog):
    @cross_site("a yearly report")
    def report():
        assert is_crossing()

    with caplog.at_level(logging.INFO, "sitefleet.cross_site"):
        report()
    assert "report" in caplog.records[0].where
    assert __name__ in caplog.records[0].where


def test_statements_of_our_own_do_not_cross_aloud():
    with unguarded():
        assert is_crossing()
        assert not is_crossing(aloud=True)
