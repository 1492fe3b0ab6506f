"""Requests are counted by the site that has answered them."""

import asyncio

import pytest
from asgiref.sync import async_to_sync
from django.http import HttpResponse
from django.test import AsyncRequestFactory, RequestFactory
from django.urls import path

from sitefleet.hosting.servers.counts import Tally
from sitefleet.hosting.servers.variables import COUNTS
from sitefleet.persite.websockets import SiteWebSocketMiddleware
from sitefleet.serving.application import load_asgi, load_wsgi
from sitefleet.serving.asking import ask_asgi, ask_wsgi
from sitefleet.serving.counting import count_asgi, count_wsgi
from tests.persite.websockets.wire import ONE, TWO, Socket

urlpatterns = [path("", lambda _: HttpResponse("fine"))]
pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


@pytest.fixture
def counted(tmp_path, monkeypatch):
    """Be a process that is asked to count; return requests by site."""
    monkeypatch.setenv(COUNTS, str(tmp_path / "shared"))
    return lambda: {site: found for site, (found, _) in Tally(tmp_path).by_site.items()}


def ask(host, server):
    if server == "wsgi":
        environ = RequestFactory().get("/", headers={"host": host}).environ
        load_wsgi()(environ, lambda *_: None)
    else:
        async_to_sync(_ask)(host)


async def _ask(host):
    incoming = asyncio.Queue()
    await incoming.put({"type": "http.request", "body": b"", "more_body": False})

    async def send(message):
        pass

    scope = AsyncRequestFactory().get("/", headers={"host": host}).scope
    scope["headers"] = [(b"host", host.encode())]
    await load_asgi()(scope, incoming.get, send)


@pytest.mark.parametrize("server", ["wsgi", "asgi"])
def test_a_request_is_counted_for_its_site_and_an_unknown_host_for_none(
    site, other_site, counted, server
):
    for host in (ONE, TWO, ONE, "nobody.example.org"):
        ask(host, server)
    assert counted() == {site.pk: 2, other_site.pk: 1, 0: 1}


def test_nobody_waits_for_a_warm_up(site, counted):
    assert ask_wsgi(load_wsgi(), f"http://{ONE}", "/") == 200
    assert ask_asgi(load_asgi(), f"http://{ONE}", "/") == 200
    assert counted() == {}


def test_a_websocket_is_counted_when_it_is_over(site, counted):
    async def application(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        await receive()

    async def talk():
        socket = Socket(count_asgi(SiteWebSocketMiddleware(application)), ONE)
        await socket.open()
        before = counted()
        await socket.leave()
        return before

    assert async_to_sync(talk)() == {}
    assert counted() == {site.pk: 1}


def test_what_a_view_raises_is_counted_and_raised(site, counted):
    def broken(environ, start_response):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        count_wsgi(broken)({}, None)
    assert counted() == {0: 1}


def test_a_server_that_nobody_asks_counts_nothing():
    def application(environ, start_response):
        return environ

    assert count_wsgi(application) is application
    assert count_asgi(application) is application
