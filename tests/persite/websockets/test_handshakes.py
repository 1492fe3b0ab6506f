"""A socket runs under the site of its handshake."""

import asyncio

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from channels.routing import URLRouter
from django.conf import settings as django_settings
from django.contrib.sites.models import Site
from django.test import override_settings
from django.urls import get_script_prefix, path, reverse

from sitefleet import get_current_site, get_current_site_id, override_site
from sitefleet.current import active_site_id
from sitefleet.options import entered_site
from sitefleet.persite.storage import SiteStorage
from sitefleet.persite.websockets import SiteWebSocketMiddleware
from tests.persite.websockets.wire import (
    IN_MEMORY,
    LOOKS,
    ONE,
    TWO,
    Socket,
    echo,
    opened,
    run,
)


def test_the_application_runs_under_the_site_of_the_handshake(site, other_site):
    seen = []

    async def app(scope, receive, send):
        seen.append(
            {
                scope["site"].pk,
                get_current_site_id(),
                get_current_site().pk,
                django_settings.SITE_ID,
                Site.objects.get_current().pk,
                entered_site().pk,
                await sync_to_async(get_current_site_id)(),
                await sync_to_async(get_current_site_id, thread_sensitive=False)(),
                await asyncio.create_task(sync_to_async(active_site_id)()),
            }
        )
        seen.append((get_current_site().domain, reverse("site")))
        await echo(scope, receive, send)

    async def scenario():
        for one, host in ((site, ONE), (other_site, f"{TWO}:8000")):
            async with opened(SiteWebSocketMiddleware(app), host) as socket:
                assert await socket.say("?") == str(one.pk)
                assert active_site_id() is None, "out here"

    run(scenario)
    assert seen == [{site.pk}, (ONE, "/site/"), {other_site.pk}, (TWO, "/site/")]


def test_links_to_files_of_another_site_name_its_host_as_in_requests(site, other_site, settings):
    settings.MEDIA_URL = "/media/"
    seen = []

    async def app(scope, receive, send):
        for one in (site, other_site):
            with override_site(one):
                seen.append(SiteStorage(IN_MEMORY).url("a.txt"))
        await echo(scope, receive, send)

    async def scenario():
        async with opened(SiteWebSocketMiddleware(app), ONE):
            pass

    run(scenario)
    files = [f"/media/sites/{one.pk}/a.txt" for one in (site, other_site)]
    assert seen == [files[0], f"https://{TWO}{files[1]}"]


def test_an_application_that_fails_leaves_nothing(site):
    async def app(scope, receive, send):
        message = f"on site {get_current_site_id()}"
        raise RuntimeError(message)

    async def scenario():
        socket = Socket(SiteWebSocketMiddleware(app), ONE)
        with pytest.raises(RuntimeError, match=f"on site {site.pk}"):
            await SiteWebSocketMiddleware(app)(socket.scope, socket.incoming.get, socket._sent)

    run(scenario)


@pytest.mark.parametrize("kind", ["http", "lifespan", "channel"])
def test_what_is_no_socket_is_passed_on(kind):
    passed = []

    async def app(*arguments):
        passed.append(arguments)

    scope, receive, send = {"type": kind}, object(), object()
    async_to_sync(SiteWebSocketMiddleware(app))(scope, receive, send)
    assert passed == [(scope, receive, send)]


@pytest.mark.parametrize("root_path", ["", "/app"])
def test_below_a_prefix_routes_and_links_are_those_of_the_site(fleet, root_path):
    seen = []

    async def app(scope, receive, send):
        seen.append((scope["site"].pk, get_script_prefix(), reverse("site")))
        await echo(scope, receive, send)

    routed = SiteWebSocketMiddleware(URLRouter([path("ws/", app)]))

    async def scenario():
        for prefix in ("/de", ""):
            place = f"{root_path}{prefix}/ws/"
            async with opened(routed, ONE, place, root_path=root_path):
                pass
        assert get_script_prefix() == "/"

    run(scenario)
    assert seen == [
        (fleet[2].pk, f"{root_path}/de/", f"{root_path}/de/site/"),
        (fleet[0].pk, f"{root_path}/", f"{root_path}/site/"),
    ]


def test_a_forced_script_name_is_the_mount(fleet):
    seen = []

    async def app(scope, receive, send):
        seen.append((scope["site"].pk, reverse("site")))
        await echo(scope, receive, send)

    async def scenario():
        app_ = SiteWebSocketMiddleware(URLRouter([path("ws/", app)]))
        for place in ("/app/de/ws/", "/de/ws/"):  # servers take the mount away, or leave it
            async with opened(app_, ONE, place):
                pass

    with override_settings(FORCE_SCRIPT_NAME="/app"):
        run(scenario)
    assert seen == [(fleet[2].pk, "/app/de/site/")] * 2


def test_the_forwarded_host_counts_only_where_the_settings_say_so(site, other_site, settings):
    forwarded = [(b"x-forwarded-host", TWO.encode())]

    async def scenario():
        middleware = SiteWebSocketMiddleware(echo)
        async with opened(middleware, ONE, headers=forwarded) as socket:
            assert await socket.say("?") == str(site.pk)
        settings.USE_X_FORWARDED_HOST = True
        async with opened(middleware, ONE, headers=forwarded) as socket:
            assert await socket.say("?") == str(other_site.pk)
        spoofed = [(b"x_forwarded_host", TWO.encode())]
        async with opened(middleware, ONE, headers=spoofed) as socket:
            assert await socket.say("?") == str(site.pk)

    run(scenario)


def test_a_listed_host_and_a_forced_site_are_what_they_are_for_requests(
    site, other_site, settings, monkeypatch
):
    async def scenario():
        async with opened(SiteWebSocketMiddleware(echo), host) as socket:
            await asyncio.sleep(LOOKS)  # it is looked after meanwhile
            assert await socket.say("?") == str(other_site.pk)

    settings.SITE_ID = other_site.pk
    settings.ALLOWED_HOSTS = ["testserver", *settings.ALLOWED_HOSTS]
    host = "testserver"
    run(scenario)
    monkeypatch.setenv("SITEFLEET_SITE", "two")
    host = ONE
    run(scenario)
