"""Requests to an application without a server."""

import asyncio
import threading
import time

import pytest

from sitefleet.serving.asking import TimeIsUp, ask_asgi, limit

URL = "http://one.example.org/"


async def front(scope, receive, send):
    if scope["path"] == "/exit/":
        raise SystemExit
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


async def ask(application, path="/"):
    """Ask where a loop runs already, as in servers that import their application in one."""
    with limit(0.2):
        return ask_asgi(application, URL, path)


def test_in_an_event_loop_too_the_status_comes_back():
    assert asyncio.run(ask(front)) == 204


def test_what_it_raises_there_comes_back_too():
    with pytest.raises(SystemExit):
        asyncio.run(ask(front, "/exit/"))


def test_an_answer_that_does_not_come_is_not_waited_for_in_an_event_loop_either():
    over = threading.Event()

    async def hang(*_):
        over.wait(60)

    begun = time.monotonic()
    try:
        with pytest.raises(TimeIsUp):
            asyncio.run(ask(hang))
        assert time.monotonic() - begun < 30
    finally:
        over.set()
