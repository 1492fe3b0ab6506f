"""WebSockets whose process is told to end."""

import asyncio
import os
import signal

import pytest

from sitefleet.hosting.servers import closing, ending
from sitefleet.serving.ending import close_at_end
from tests.persite.websockets.wire import ONE, Socket


@pytest.fixture
def told(monkeypatch):
    """Signals that the server hears of, which handles them itself."""
    heard = []
    monkeypatch.setattr(ending, "still_accepts", 0)
    before = signal.signal(signal.SIGTERM, lambda number, _frame: heard.append(number))
    yield heard
    signal.signal(signal.SIGTERM, before)


async def echo(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


async def test_sockets_are_closed_and_the_server_hears_of_the_end_all_the_same(told):
    sockets = [Socket(close_at_end(echo), ONE) for _ in range(2)]
    for socket in sockets:
        await socket.open()
    assert await sockets[0].say("hello") == "hello"
    os.kill(os.getpid(), signal.SIGTERM)
    for socket in sockets:
        message = {"type": "websocket.close", "code": 1012, "reason": "Service Restart"}
        assert await socket.get() == message
        await asyncio.wait_for(socket.task, 2)
    assert told == [signal.SIGTERM]


async def test_a_socket_that_is_accepted_then_is_closed_and_none_is_refused(told):
    begun, may_accept = asyncio.Event(), asyncio.Event()

    async def late(scope, receive, send):
        begun.set()
        await may_accept.wait()
        await echo(scope, receive, send)

    application = close_at_end(late)
    socket = Socket(application, ONE)
    opening = asyncio.create_task(socket.open())
    await asyncio.wait_for(begun.wait(), 2)
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.sleep(0.01)
    may_accept.set()
    assert (await opening)["type"] == "websocket.accept"
    assert (await socket.get())["code"] == 1012
    await asyncio.wait_for(socket.task, 2)


async def test_an_application_that_goes_on_sending_ends_without_noise(told, monkeypatch):
    monkeypatch.setattr(closing, "GRACE", 0)

    async def busy(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        while True:
            await send({"type": "websocket.send", "text": "more"})
            await asyncio.sleep(0.001)

    socket = Socket(close_at_end(busy), ONE)
    await socket.open()
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(socket.task, 2)
    assert socket.code == 1012


async def test_where_nobody_handles_the_signal_it_ends_the_process_as_ever(told):
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    socket = Socket(close_at_end(echo), ONE)
    await socket.open()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    await socket.leave()


async def test_requests_are_left_alone(told):
    seen = []

    async def application(*given):
        seen.append(given)

    given = {"type": "http"}, object(), object()
    await close_at_end(application)(*given)
    assert seen == [given]
