"""Open sockets are looked after: one whose site is gone is closed, idle or not."""

from __future__ import annotations

import asyncio
import logging
from contextlib import contextmanager, suppress
from contextvars import Context
from functools import cache
from http import HTTPStatus
from time import monotonic
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from asgiref.sync import sync_to_async
from django.contrib.sites.models import Site
from django.db import close_old_connections

from sitefleet import answers
from sitefleet.conf import get_conf
from sitefleet.databases import is_in_memory, site_connection
from sitefleet.hosting.servers.closing import Closable
from sitefleet.lookup import find_match
from sitefleet.resolver import resolver
from sitefleet.states import State

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Task
    from collections.abc import Collection, Iterator

    from django.core.handlers.asgi import ASGIRequest

    from sitefleet.persite.websockets.messages import Receive, Send
    from sitefleet.pipeline import Match

logger = logging.getLogger("sitefleet")

#: The code of a socket that is closed is this, in the range that is ours (RFC 6455 7.4.2), and the
#: status that a request would be answered with.
CLOSE_CODES = 4000
STATUS = {State.MAINTENANCE: HTTPStatus.SERVICE_UNAVAILABLE, State.ARCHIVED: HTTPStatus.GONE}
#: Seconds between two looks after open sockets, whatever FRESHNESS is: most looks are no query.
SHORTEST, LONGEST = 0.05, 1.0


class Socket(Closable):
    """An open socket, and what its handshake led to."""

    def __init__(self, handshake: ASGIRequest, match: Match, receive: Receive, send: Send) -> None:
        super().__init__(receive, send)
        self.host, self.path = answers.raw_host(handshake), handshake.path_info
        self.match = match


class Watch:
    """The open sockets of an event loop. One task looks after all of them."""

    def __init__(self) -> None:
        self.sockets: set[Socket] = set()
        self.task: Task[None] | None = None

    @contextmanager
    def over(self, socket: Socket) -> Iterator[None]:
        """Look after ``socket`` within the block."""
        self.sockets.add(socket)
        if self.task is None:
            # In a context of its own: not under the site of the socket that came first.
            self.task = asyncio.get_running_loop().create_task(self._run(), context=Context())
        try:
            yield
        finally:
            self.sockets.discard(socket)
            if not self.sockets and self.task is not None:
                self.task.cancel()
                self.task = None

    async def _run(self) -> None:
        looked = monotonic()
        while True:
            freshness = get_conf().FRESHNESS
            await asyncio.sleep(min(max(freshness, SHORTEST), LONGEST))
            is_due = monotonic() - looked >= freshness
            looked = monotonic() if is_due else looked
            # A thread of its own, so that no code of the application holds this up.
            look = sync_to_async(_look, thread_sensitive=is_in_memory(site_connection()))
            try:
                refused = await look(self.sockets.copy(), is_due=is_due)
            except Exception:
                logger.exception("Open WebSockets could not be looked after.")
                continue
            for socket, status in refused.items():
                socket.close_soon(CLOSE_CODES + status, status.phrase)


_watches: WeakKeyDictionary[AbstractEventLoop, Watch] = WeakKeyDictionary()


def watch() -> Watch:
    """Return what looks after the sockets of the running event loop."""
    return _watches.setdefault(asyncio.get_running_loop(), Watch())


def _look(sockets: Collection[Socket], *, is_due: bool) -> dict[Socket, HTTPStatus]:
    """Return the sockets whose handshake would lead elsewhere by now, and the status for each."""
    close_old_connections()
    try:
        if is_due:
            resolver.announced()  # or it might look after the promised time only
        find_once, refused = cache(find_match), {}
        for socket in sockets:
            match = find_once(socket.host, socket.path)
            status = None if match == socket.match else _status(socket.match, match)
            if status is not None:
                refused[socket] = status
            elif match is not None:
                socket.match = match
        for pk in {socket.match.site.pk for socket in sockets}:
            with suppress(Site.DoesNotExist):
                resolver.site(pk)  # for async code, which could not ask the database for it
        return refused
    finally:
        close_old_connections()


def _status(before: Match, now: Match | None) -> HTTPStatus | None:
    """Return how a handshake would be refused now; None where it leads to the same site."""
    place = None if now is None else (now.site.pk, now.path_prefix)
    if now is None or place != (before.site.pk, before.path_prefix):
        return HTTPStatus.NOT_FOUND
    if now.state != State.ACTIVE:
        return STATUS.get(State(now.state), HTTPStatus.NOT_FOUND)
    return HTTPStatus.PERMANENT_REDIRECT if now.redirect else None
