"""A short answer for who waits at a site that does not start, by the parent itself.

It never waits for a client: what is not there within `PATIENCE` is answered all the same.
"""

from __future__ import annotations

import asyncio
import select
import socket
from contextlib import closing, suppress
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

#: Seconds that a client has to send its request.
PATIENCE = 1.0
#: Clients at a time.
MOST = 200
BODY = b"This site cannot be reached at the moment. Please try again soon.\n"


def make_answer(retry_after: float) -> bytes:
    """Return an answer 503 (RFC 9110, 15.6.4), which names the whole seconds until the next try."""
    return (
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n"
        b"Cache-Control: no-store\r\nConnection: close\r\nRetry-After: %d\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (max(1, round(retry_after)), len(BODY), BODY)
    )


class Apologies:
    """Connections that are answered with 503."""

    def __init__(self, poll: select.epoll, own: Callable[[int], int] = int) -> None:
        """``own`` returns another descriptor for one that is closed: see `Descriptors.own`."""
        self._poll, self._own = poll, own
        self._waiting: dict[int, tuple[socket.socket, float, bytes]] = {}

    def accept(self, descriptor: int, retry_after: float, now: float) -> None:
        """Take one connection from a listening socket, if there is one."""
        if len(self._waiting) >= MOST:
            self.end(next(iter(self._waiting)))
        with suppress(OSError):
            with socket.socket(fileno=descriptor) as listener:
                try:
                    accepted, _ = listener.accept()
                finally:
                    listener.detach()
            # A child of another site that is forked meanwhile is to close it.
            client = socket.socket(fileno=self._own(accepted.detach()))
            client.settimeout(0.0)
            answer = make_answer(retry_after)
            self._waiting[client.fileno()] = client, now + PATIENCE, answer
            self._poll.register(client.fileno(), select.EPOLLIN)

    def end(self, descriptor: int) -> bool:
        """Answer a client and let it go; return whether it was one of these."""
        if descriptor not in self._waiting:
            return False
        client, _, answer = self._waiting.pop(descriptor)
        self._poll.unregister(descriptor)
        with suppress(OSError):
            client.recv(65536)  # unread, it would make the kernel reset the connection
        with suppress(OSError):
            client.send(answer)
        with suppress(OSError):
            client.shutdown(socket.SHUT_WR)
        client.close()
        return True

    def end_late(self, now: float) -> None:
        """Answer those that have not sent anything."""
        for descriptor, (_, deadline, _) in list(self._waiting.items()):
            if now < deadline:
                break
            self.end(descriptor)

    @property
    def due(self) -> float:
        """When `end_late` is to be called at the latest."""
        return min((deadline for _, deadline, _ in self._waiting.values()), default=float("inf"))


async def apologize(listeners: Collection[int], seconds: float) -> None:
    """Answer all who come to listening sockets, that do not block, for some seconds.

    In the loop that runs, and not in a thread: the supervisor forks.
    """
    loop = asyncio.get_running_loop()
    until = monotonic() + seconds
    with closing(select.epoll()) as poll:
        apologies = Apologies(poll)
        numbers = set(listeners)
        for number in numbers:
            poll.register(number, select.EPOLLIN)
        come = asyncio.Event()
        loop.add_reader(poll.fileno(), come.set)
        try:
            while (now := monotonic()) < until:
                with suppress(TimeoutError):
                    # Not `wait_for`: that of Python 3.11 may lose a cancellation.
                    async with asyncio.timeout(min(until, apologies.due) - now):
                        await come.wait()
                come.clear()
                for number, _ in poll.poll(0):
                    if number in numbers:
                        apologies.accept(number, seconds, now)
                    else:
                        apologies.end(number)
                apologies.end_late(monotonic())
        finally:
            loop.remove_reader(poll.fileno())
            apologies.end_late(float("inf"))
