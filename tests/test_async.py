"""Under ASGI: many requests in one thread, cancelled ones, exceptions."""

import asyncio
import random
from collections import Counter

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.conf import settings as django_settings
from django.contrib.sites.models import Site
from django.core.handlers.asgi import ASGIHandler

from sitefleet import get_current_site, get_current_site_id, override_site
from sitefleet.current import active_site_id
from sitefleet.models import SiteConfig
from tests import views
from tests.asgi import ask

#: With these sites are known after the first request, as in a server.
WARM = {"FRESHNESS": 3600}


@pytest.fixture(autouse=True)
def closed():
    views.closed.clear()
    return views.closed


@pytest.mark.parametrize("path", ["/site/", "/async/"])
def test_sync_and_async_views_have_their_site(site, other_site, path):
    for entered, host in ((site, "one.example.org"), (other_site, "two.example.org:8000")):
        answer = async_to_sync(ask)(host, path)
        assert answer.status == 200
        seen = answer.json()
        assert {seen[name] for name in ("id", "setting", "request", "django")} == {entered.pk}
        assert seen["host"] == host
        assert active_site_id() is None


@pytest.mark.parametrize(
    ("host", "path", "status"),
    [
        ("unknown.example", "/async/", 404),
        ("no_host", "/async/", 400),
        (b"\xff\x00.example", "/async/", 400),
        ("old.example", "/async/?a=b", 301),
        ("one.example.org", "/nothing/", 404),
    ],
)
def test_answers_are_the_same_as_under_wsgi(site, host, path, status):
    site.fleet_aliases.create(name="old.example")
    assert async_to_sync(ask)(host, path).status == status


@pytest.mark.parametrize("path", ["/fail/", "/async-fail/"])
def test_nothing_is_left_over_after_an_exception(site, path, caplog):
    async def fail_and_look():
        return await ask("one.example.org", path), active_site_id()

    answer, left_over = async_to_sync(fail_and_look)()
    assert (answer.status, left_over) == (500, None)
    assert f"on site {site.pk}" in caplog.text


def test_a_cancelled_request_cleans_up_under_its_site(site, other_site, closed):
    async def leave():
        waiting = {"until": lambda _: closed.get("/wait/") == "waiting"}
        await ask("one.example.org", "/wait/", **waiting)
        return active_site_id(), (await ask("two.example.org")).json()["id"]

    assert async_to_sync(leave)() == (None, other_site.pk)
    assert closed == {"/wait/": site.pk}


@pytest.mark.acceptance
@pytest.mark.django_db(transaction=True)  # so that answers come from memory, without a thread
def test_a_thousand_requests_over_twenty_sites_are_all_right(settings):
    settings.SITEFLEET = WARM
    rows = [Site(pk=pk, domain=f"s{pk}.example", name=f"s{pk}") for pk in range(100, 120)]
    Site.objects.bulk_create(rows)
    SiteConfig.objects.bulk_create(SiteConfig(site=row, slug=row.name) for row in rows)
    asked = [random.choice(rows).pk for _ in range(1000)]  # noqa: S311 - any will do

    async def storm():
        handler = ASGIHandler()
        for row in rows:
            await ask(row.domain, "/wander/", handler=handler)
        jobs = (ask(f"s{pk}.example", "/wander/", handler=handler) for pk in asked)
        return await asyncio.gather(*jobs)

    answers = async_to_sync(storm)()
    wrong = Counter(
        str(answer.json())
        for pk, answer in zip(asked, answers, strict=True)
        if answer.json() != {"seen": [pk], "request": pk}
    )
    assert not wrong
    assert active_site_id() is None


async def test_tasks_have_the_site_that_they_were_started_under():
    async def look():
        await asyncio.sleep(0)
        return get_current_site_id()

    async def enter(pk):
        async with override_site(pk):
            tasks = [asyncio.create_task(look()) for _ in range(3)]
            await asyncio.sleep(0)
        return await asyncio.gather(*tasks)

    assert await asyncio.gather(*(enter(pk) for pk in range(1, 6))) == [
        [pk] * 3 for pk in range(1, 6)
    ]


@pytest.mark.parametrize("thread_sensitive", [True, False])
async def test_sync_to_async_carries_the_site_there_and_nothing_back(thread_sensitive):
    def look():
        with override_site(7):
            pass
        return get_current_site_id()

    with override_site(3):
        assert await sync_to_async(look, thread_sensitive=thread_sensitive)() == 3
        assert get_current_site_id() == 3
    left = await sync_to_async(active_site_id, thread_sensitive=thread_sensitive)()
    assert left is None


async def test_asyncio_to_thread_carries_the_site():
    with override_site(3):
        assert await asyncio.to_thread(get_current_site_id) == 3


async def test_a_cancelled_task_leaves_nothing():
    seen = []

    async def wait():
        async with override_site(3):
            try:
                await asyncio.sleep(60)
            finally:
                seen.append(get_current_site_id())

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == [3]
    assert active_site_id() is None


@pytest.mark.django_db(transaction=True)
def test_the_loop_asks_the_database_nothing_once_the_site_is_known(site, settings):
    settings.SITEFLEET = WARM

    async def look():
        with override_site(site):
            # Django refuses queries in the event loop: this would raise.
            return get_current_site(), Site.objects.get_current(), django_settings.SITE_ID

    with override_site(site):
        for _ in range(2):
            get_current_site()
    assert async_to_sync(look)() == (site, site, site.pk)
