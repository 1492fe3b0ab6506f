"""Threads, tasks and pools: each asks for its own site, all at the same time."""

from __future__ import annotations

import asyncio
import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.sites.models import Site
from django.db import close_old_connections, connections

from sitefleet import carry_site, override_site
from sitefleet.exceptions import SiteRequired
from sitefleet.scoping import cross_site
from sitefleet.scoping.guard import writes
from tests.databases import together
from tests.rooms.models import Key, Notice, Room

pytestmark = pytest.mark.acceptance  # three seconds

SITES = 5


@pytest.fixture
def sites(settings):
    settings.SITE_ID = None
    return furnish()


def furnish():
    found = [Site.objects.create(domain=f"{n}.test", name=f"{n}") for n in range(SITES)]
    for site in found:
        with override_site(site):
            Key.objects.create(room=Room.objects.create(name=site.name))
    return found


@pytest.mark.django_db
def test_many_tasks_on_many_sites_see_their_own_rows(sites):
    rooms = Room.objects.order_by("pk")

    async def visit(number):
        site = sites[number % SITES]
        async with override_site(site):
            for _ in range(3):
                await asyncio.sleep(random.random() / 500)  # noqa: S311 - no secret
                names = [room.name async for room in rooms.all()]
                key = await Key.objects.select_related("room").aget(room__name=site.name)
                if names != [site.name] or key.room.name != site.name:
                    return number
        return None

    async def visit_all():
        return await asyncio.gather(*(visit(number) for number in range(40)))

    assert set(async_to_sync(visit_all)()) == {None}


@pytest.mark.django_db
def test_tasks_that_cross_and_tasks_that_do_not_do_not_meet(sites):
    async def visit(number):
        if number % 2:
            async with cross_site("all"):
                await asyncio.sleep(0)
                return await Room.objects.acount()
        async with override_site(sites[0]):
            await asyncio.sleep(0)
            return await Room.objects.acount()

    async def visit_all():
        return await asyncio.gather(*(visit(number) for number in range(20)))

    assert async_to_sync(visit_all)() == [1, SITES] * 10


@pytest.fixture
def shared_file(file_database, settings):
    settings.SITE_ID = None
    return furnish()


def names():
    try:
        return [room.name for room in Room.objects.all()]
    finally:
        close_old_connections()


def test_threads_see_their_own_rows(shared_file):
    def visit(number):
        site = shared_file[number % SITES]
        with override_site(site):
            return all(names() == [site.name] for _ in range(5))

    assert together(visit, 10) == [True] * 10


def test_threads_of_a_pool_see_the_rows_of_what_they_are_handed(shared_file):
    def ask():
        try:
            return names()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(3) as pool:
        futures = []
        for number in range(15):
            with override_site(shared_file[number % SITES]):
                futures.append(pool.submit(carry_site(ask)))
        assert [future.result() for future in futures] == [[f"{n % SITES}"] for n in range(15)]
        with pytest.raises(SiteRequired):
            pool.submit(ask).result()


def test_functions_in_other_threads_see_the_rows_of_the_task_that_waits(shared_file):
    def ask():
        try:
            return names()
        finally:
            connections.close_all()

    async def visit(number):
        async with override_site(shared_file[number % SITES]):
            return await sync_to_async(ask, thread_sensitive=False)()

    async def visit_all():
        return await asyncio.gather(*(visit(number) for number in range(15)))

    assert async_to_sync(visit_all)() == [[f"{n % SITES}"] for n in range(15)]


def test_a_row_of_many_sites_is_never_there_without_one(shared_file, monkeypatch):
    def fail(*_):
        raise LookupError

    monkeypatch.setattr(writes, "after_insert", fail)
    with override_site(shared_file[0]), pytest.raises(LookupError):
        Notice.objects.create(text="new")
    with cross_site("what stands there"):
        assert not Notice.objects.exists()
