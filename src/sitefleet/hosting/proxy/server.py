"""Accepts clients, keeps time for all of them, and stops in order."""

from __future__ import annotations

import asyncio
import socket

from sitefleet.hosting.proxy.client import Client
from sitefleet.hosting.proxy.state import Limits, State

#: Seconds between two looks at what takes too long.
EVERY = 0.5
#: Connections taken in one turn of the loop, so that those that are open get theirs.
AT_ONCE = 32


class Server(State):
    """One router; made in its running loop."""

    def __init__(self, listening: socket.socket, limits: Limits | None = None) -> None:
        super().__init__(asyncio.get_running_loop(), limits or Limits())
        self.clients: set[Client] = set()
        self._listening = listening
        self._accepting = False
        self._coming: dict[Client, asyncio.Task[None]] = {}
        """Those that asyncio is making a transport for."""
        self._empty = asyncio.Event()
        self._clock: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Accept connections."""
        self._listening.settimeout(0)
        self._accept_on()
        self._tick()

    async def stop(self) -> None:
        """Accept no more; requests under way are answered, within their time."""
        self.is_stopping = True
        self._accept_off()
        self._listening.close()  # others may want the address
        try:
            async with asyncio.timeout(self.limits.stop):
                while self.clients or self._coming:
                    self._empty.clear()
                    await self._empty.wait()
        except TimeoutError:
            for client in list(self.clients):
                client.stop()
            await asyncio.sleep(0.1)  # for what is written last
        if self._clock is not None:
            self._clock.cancel()

    def _on_gone(self) -> None:
        if not self.clients:
            self._empty.set()
        if not self.is_stopping and not self._accepting and self._has_room:
            self._accept_on()

    @property
    def _has_room(self) -> bool:
        coming = sum(client not in self.clients for client in self._coming)
        return len(self.clients) + coming <= self.limits.clients

    def _accept_on(self) -> None:
        self._accepting = True
        self.loop.add_reader(self._listening, self._accept)

    def _accept_off(self) -> None:
        if self._accepting:
            self._accepting = False
            self.loop.remove_reader(self._listening)

    def _accept(self) -> None:
        for _ in range(AT_ONCE):
            try:
                made, _ = self._listening.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError:  # there are no descriptors
                self._make_room()
                return
            made.settimeout(0)
            # Who is gone without a word is noticed, where nothing is sent for long.
            made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            client = Client(self, self.clients, self._on_gone)
            self._coming[client] = self.loop.create_task(self._welcome(client, made))
            if not self._has_room:
                self._make_room()
                return

    async def _welcome(self, client: Client, made: socket.socket) -> None:
        try:
            await self.loop.connect_accepted_socket(lambda: client, made)
        except OSError:
            made.close()
        finally:
            del self._coming[client]

    def _make_room(self) -> None:
        """Close connections that wait for a request, those that have waited longest.

        Others wait in the backlog.
        """
        self._accept_off()
        idle = sorted((one for one in self.clients if one.is_idle), key=lambda one: one.since)
        for client in idle[: max(1, len(idle) // 2)]:
            client.cut()

    def _tick(self) -> None:
        # First: what goes wrong with one of them must not stop the time of all.
        self._clock = self.loop.call_later(EVERY, self._tick)
        now = self.now()
        for client in list(self.clients):
            client.check(now)
        if not self.is_stopping and not self._accepting:
            if self._has_room:
                self._accept_on()
            else:
                self._make_room()
