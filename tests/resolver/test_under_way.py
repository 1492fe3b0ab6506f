"""What happens to requests that are under way, or lie idle, while a site changes."""

import asyncio
from threading import Event, Thread

from django.contrib.sites import models as django_sites
from django.contrib.sites.models import Site
from django.db import connections, transaction

from sitefleet.current import current_state, override_site
from sitefleet.resolver import resolver
from tests.resolver.asking import found


def enter(host):
    """Enter the site of a host as the middleware does."""
    current_state.set(resolver.find(host).root.frame)


def test_an_async_request_keeps_its_site_when_djangos_cache_is_cleared(file_site):
    async def request():
        django_sites.SITE_CACHE.clear()
        return Site.objects.get_current().domain

    enter("one.example.org")
    try:
        assert asyncio.run(request()) == "one.example.org"
    finally:
        current_state.set(None)


def test_what_such_a_request_puts_back_is_not_kept_for_others(file_site, clock):
    enter("one.example.org")
    try:
        Site.objects.filter(pk=file_site.pk).update(name="Two")
        clock.pass_(1.01)
        resolver.find("unknown.example.org")  # another request looks, and forgets

        async def read():
            return Site.objects.get_current().name

        assert asyncio.run(read()) == "One", "its own site, as it was found"
    finally:
        current_state.set(None)
    with override_site(file_site.pk):
        assert Site.objects.get_current().name == "Two"


def test_async_code_under_a_site_that_it_was_given_needs_no_query(file_site):
    given = resolver.find("one.example.org").root.site

    async def read():
        django_sites.SITE_CACHE.clear()
        with override_site(given):
            return Site.objects.get_current().domain

    assert asyncio.run(read()) == "one.example.org"


def test_a_thread_that_lies_idle_after_a_change_slows_nobody_down(file_site):
    changed, done = Event(), Event()

    def change_and_idle():
        with transaction.atomic():
            file_site.name = "Two"
            file_site.save()
        changed.set()
        done.wait(10)
        connections.close_all()

    thread = Thread(target=change_and_idle)
    thread.start()
    try:
        assert changed.wait(10)
        found("one.example.org")
        assert resolver.usual("one.example.org") is not None
    finally:
        done.set()
        thread.join()


def test_such_a_request_slows_nobody_down_for_longer_than_the_promised_time(file_site, clock):
    given = resolver.find("one.example.org").root.site

    async def read():
        django_sites.SITE_CACHE.clear()
        with override_site(given):
            return Site.objects.get_current().domain

    asyncio.run(read())
    assert resolver._older == {file_site.pk}
    for _ in range(2):
        clock.pass_(1.01)
        found("one.example.org")
    assert not resolver._older
