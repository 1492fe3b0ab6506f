"""Open sockets are closed when their site is gone, and know what is true now."""

import asyncio

import pytest
from asgiref.sync import sync_to_async

from sitefleet import get_current_site
from sitefleet.hosting.servers import closing
from sitefleet.options import entered_site
from sitefleet.persite.websockets import SiteWebSocketMiddleware
from sitefleet.registry import add_alias, change_site, configure_site, set_state
from tests.persite.websockets.wire import (
    LOOKS,
    ONE,
    TWO,
    Socket,
    echo,
    opened,
    run,
)

CHANGES = [
    (lambda site: set_state(site, "archived"), 4410, "Gone"),
    (lambda site: set_state(site, "suspended"), 4404, "Not Found"),
    (lambda site: set_state(site, "maintenance"), 4503, "Service Unavailable"),
    (lambda site: site.delete(), 4404, "Not Found"),
    (lambda site: change_site(site, domain="new.example.org"), 4404, "Not Found"),
    (lambda site: change_site(site, path_prefix="/x"), 4404, "Not Found"),
]


@pytest.mark.parametrize(("change", "code", "reason"), CHANGES)
def test_row_34_idle_sockets_are_closed_when_their_site_is_gone(
    site, other_site, change, code, reason
):
    async def scenario():
        middleware = SiteWebSocketMiddleware(echo)
        async with opened(middleware, TWO) as other:
            gone = [Socket(middleware, ONE) for _ in range(3)]
            for socket in gone:
                await socket.open()
            await asyncio.sleep(LOOKS)
            assert [socket.code for socket in gone] == [None] * 3
            await sync_to_async(change)(site)
            for socket in gone:
                assert (await socket.get())["type"] == "websocket.close"
                assert (socket.code, socket.reason) == (code, reason)
                await asyncio.wait_for(socket.task, 2)
            assert await other.say("?") == str(other_site.pk), "others stay open"

    run(scenario)


def test_row_34_a_site_that_moves_below_a_prefix_closes_its_sockets(site):
    """Their paths lead to it still, but routes and links would be those of before."""

    async def scenario():
        socket = Socket(SiteWebSocketMiddleware(echo), ONE, "/x/ws/")
        await socket.open()
        await sync_to_async(change_site)(site, path_prefix="/x")
        assert (await socket.get())["code"] == 4404
        await socket.task

    run(scenario)


def test_row_34_a_host_that_leads_to_another_site_by_now_closes_the_sockets(site, other_site):
    alias = add_alias(site, "alias.example.net", redirect=False)

    def hand_over():
        alias.site = other_site
        alias.save()

    def redirect():
        alias.redirect = True
        alias.save()

    async def scenario():
        for change, code in ((hand_over, 4404), (redirect, 4308)):
            socket = Socket(SiteWebSocketMiddleware(echo), "alias.example.net")
            await socket.open()
            await sync_to_async(change)()
            await socket.get()
            assert socket.code == code
            await socket.task

    run(scenario)


def test_other_changes_leave_sockets_open(site):
    async def scenario():
        async with opened(SiteWebSocketMiddleware(echo), ONE) as socket:
            await sync_to_async(change_site)(site, name="Other")
            await sync_to_async(add_alias)(site, "b.example.org")
            await asyncio.sleep(LOOKS)
            assert await socket.say("?") == str(site.pk)

    run(scenario)


def test_what_follows_the_site_is_fresh_in_an_open_socket(site):
    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        while (await receive())["type"] == "websocket.receive":
            text = f"{entered_site().options.theme} {get_current_site().name}"
            await send({"type": "websocket.send", "text": text})

    async def scenario():
        async with opened(SiteWebSocketMiddleware(app), ONE) as socket:
            assert await socket.say("?") == " One"
            await sync_to_async(configure_site)(site, theme="dark")
            await sync_to_async(change_site)(site, name="New")
            await asyncio.sleep(LOOKS)
            assert await socket.say("?") == "dark New"

    run(scenario)


def test_a_socket_that_is_closed_takes_and_gives_nothing_more(site, monkeypatch):
    heard, failed = [], []

    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            heard.append(message["text"])
        heard.append(message)
        await send({"type": "websocket.send", "text": "good-bye"})
        monkeypatch.setattr(closing, "GRACE", 0)
        try:
            await send({"type": "websocket.send", "text": "still here"})
        except OSError as error:
            failed.append(error)
            raise

    async def scenario():
        socket = Socket(SiteWebSocketMiddleware(app), ONE)
        received, server = asyncio.Queue(), asyncio.Queue()

        async def slow_client(message):
            # It neither says good-bye nor stops to speak, so the server still waits for it.
            await received.put(message)

        task = asyncio.create_task(socket.app(socket.scope, server.get, slow_client))
        await server.put({"type": "websocket.connect"})
        await received.get()
        await sync_to_async(set_state)(site, "suspended")
        assert (await asyncio.wait_for(received.get(), 2))["code"] == 4404
        await server.put({"type": "websocket.receive", "text": "delete everything"})
        await asyncio.wait_for(task, 2)
        assert received.empty()

    run(scenario)
    assert heard == [{"type": "websocket.disconnect", "code": 4404}]
    assert len(failed) == 1, "it is told that nobody is there, and that is no error of the server"


def test_a_site_that_goes_before_the_application_has_accepted_is_refused(site):
    async def app(scope, receive, send):
        await receive()
        await asyncio.sleep(0.1)
        await send({"type": "websocket.accept"})

    async def scenario():
        socket = Socket(SiteWebSocketMiddleware(app), ONE)
        opening = asyncio.create_task(socket.open())
        await asyncio.sleep(0.02)
        await sync_to_async(set_state)(site, "suspended")
        assert (await opening)["type"] == "websocket.close"
        await socket.task
        assert not socket.accepted

    run(scenario)
