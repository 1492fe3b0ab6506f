"""Who looks after open sockets: in time, at little cost, whatever goes wrong."""

import asyncio
import gc
import random

from asgiref.sync import sync_to_async
from django.conf import settings as django_settings
from django.db import connection

from sitefleet import get_current_site_id, override_site
from sitefleet.current import active_site_id
from sitefleet.persite.websockets import SiteWebSocketMiddleware, watching
from sitefleet.registry import add_site, set_state
from sitefleet.test import client_for
from tests.persite.websockets.wire import (
    LOOKS,
    ONE,
    Socket,
    echo,
    opened,
    run,
)


def test_row_34_clients_that_do_not_let_go_delay_no_other(site):
    async def scenario():
        sockets = [Socket(SiteWebSocketMiddleware(echo), ONE) for _ in range(5)]
        for socket in sockets:
            socket._sent = never_done(socket._sent)
            await socket.open()
        await sync_to_async(set_state)(site, "suspended")
        for socket in sockets:
            assert (await socket.get())["code"] == 4404
            await asyncio.wait_for(socket.task, 2)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    def never_done(send):
        async def slow(message):
            await send(message)
            if message["type"] == "websocket.close":
                await asyncio.sleep(60)

        return slow

    run(scenario)


def test_a_server_whose_client_is_gone_already_makes_no_noise(site, caplog):
    async def scenario():
        socket = Socket(SiteWebSocketMiddleware(echo), ONE)
        sent = socket._sent

        async def fail(message):
            await sent(message)
            if message["type"] == "websocket.close":
                raise RuntimeError

        socket._sent = fail
        await socket.open()
        await sync_to_async(set_state)(site, "suspended")
        await asyncio.wait_for(socket.task, 2)
        await asyncio.sleep(LOOKS)

    run(scenario)
    gc.collect()
    assert caplog.text == ""


def test_sockets_are_looked_after_under_no_site(site, other_site, monkeypatch):
    look, seen = watching._look, []

    def spy(*arguments, **options):
        seen.append(active_site_id())
        return look(*arguments, **options)

    monkeypatch.setattr(watching, "_look", spy)

    async def scenario():
        with override_site(other_site):
            socket = Socket(SiteWebSocketMiddleware(echo), ONE)
            await socket.open()
        await asyncio.sleep(LOOKS)
        await socket.leave()

    run(scenario)
    assert set(seen) == {None}


def test_row_34_a_look_that_fails_is_not_the_last_one(site, monkeypatch, caplog):
    look, failures = watching._look, [RuntimeError("on purpose")]

    def fail_once(*arguments, **options):
        if failures:
            raise failures.pop()
        return look(*arguments, **options)

    monkeypatch.setattr(watching, "_look", fail_once)

    async def scenario():
        socket = Socket(SiteWebSocketMiddleware(echo), ONE)
        await socket.open()
        await sync_to_async(set_state)(site, "suspended")
        await socket.get()
        assert socket.code == 4404
        await socket.task

    run(scenario)
    assert "could not be looked after" in caplog.text


def test_row_34_the_promised_time_is_kept_where_others_ask_all_the_time(
    transactional_db, site, settings
):
    """Each look of a request puts off the next one; sockets have looks of their own."""
    settings.SITEFLEET = {"FRESHNESS": 3600}

    def change_elsewhere():
        client_for(site).get("/site/")
        with connection.cursor() as cursor:
            cursor.execute("UPDATE sitefleet_siteconfig SET state = 'archived'")

    async def scenario():
        socket = Socket(SiteWebSocketMiddleware(echo), ONE)
        await socket.open()
        await sync_to_async(change_elsewhere)()
        held = watching.watch().sockets
        look = sync_to_async(watching._look)
        assert await look(held, is_due=False) == {}
        assert list((await look(held, is_due=True)).values()) == [410]
        await socket.leave()

    run(scenario)


def test_row_34_a_look_asks_once_however_many_sockets_there_are(
    transactional_db, site, settings, django_assert_max_num_queries
):
    settings.SITEFLEET = {"FRESHNESS": 3600}

    async def open_all(sockets):
        for socket in sockets:
            await socket.open()

    async def scenario():
        middleware = SiteWebSocketMiddleware(echo)
        sockets = [Socket(middleware, ONE) for _ in range(20)]
        await open_all(sockets)
        held = watching.watch().sockets

        def look(is_due, queries):
            with django_assert_max_num_queries(queries):
                assert watching._look(held, is_due=is_due) == {}

        await sync_to_async(look)(is_due=False, queries=0)
        await sync_to_async(look)(is_due=True, queries=2)  # generation, site
        for socket in sockets:
            await socket.leave()

    run(scenario)


def test_row_23_two_hundred_sockets_on_ten_sites_never_mix(db, settings):
    settings.SITEFLEET = {"FRESHNESS": 3600}
    sites = {f"s{n}.example.org": add_site(f"s{n}", domain=f"s{n}.example.org") for n in range(10)}

    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        while (await receive())["type"] == "websocket.receive":
            seen = {scope["site"].pk}
            for _ in range(3):
                await asyncio.sleep(random.random() / 500)  # noqa: S311 - a wait, no secret
                seen.add(get_current_site_id())
                seen.add(django_settings.SITE_ID)
            if random.random() < 0.1:  # noqa: S311
                seen.add(await sync_to_async(get_current_site_id)())
            await send({"type": "websocket.send", "text": ",".join(map(str, seen))})

    middleware = SiteWebSocketMiddleware(app)

    async def one(host):
        async with opened(middleware, host) as socket:
            for _ in range(3):
                assert await socket.say("?") == str(sites[host].pk)

    async def scenario():
        await asyncio.gather(*(one(host) for host in list(sites) * 20))

    run(scenario)
