"""The way out is said aloud: ``cross_site`` sees all rows, and the log says who and why."""

from __future__ import annotations

import asyncio
import logging

import pytest
from asgiref.sync import async_to_sync

from sitefleet import override_site
from sitefleet.current import activate, deactivate
from sitefleet.exceptions import SiteRequired
from sitefleet.scoping import cross_site
from sitefleet.scoping.crossing import is_crossing, reason_of_crossing, unguarded
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
                    assert reason_of_crossing() == "inner"
                assert Room.objects.count() == 2
        assert Room.objects.count() == 4
        assert reason_of_crossing() == "report"
    assert reason_of_crossing() is None


def test_a_site_that_is_activated_inside_is_guarded(world):
    with cross_site("report"):
        activate(world.a.site)
        try:
            assert Room.objects.count() == 2
        finally:
            deactivate()


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


def test_it_decorates_no_generators():
    def rows():
        yield

    async def arows():
        yield

    for function in (rows, arows):
        with pytest.raises(TypeError, match="no generators"):
            cross_site("report")(function)
