"""The connection of a client, read and written no faster than the other side takes it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from sitefleet.hosting.proxy.state import State


class Connection(asyncio.Protocol):
    """What can be held, on both of its ways."""

    __slots__ = ("_is_reading", "_state", "_stuck_since", "is_blocked", "transport")

    transport: asyncio.Transport

    def __init__(self, state: State) -> None:
        self._state = state
        self.is_blocked = False
        """Whether the client takes no more of the response now."""
        self._stuck_since = 0.0
        """When that began."""
        self._is_reading = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def pause_writing(self) -> None:
        self.is_blocked = True
        self._stuck_since = self._state.now()

    def resume_writing(self) -> None:
        self.is_blocked = False

    def is_stuck(self, now: float) -> bool:
        """Tell whether the client has taken too little for too long, whatever it has sent."""
        return self.is_blocked and now - self._stuck_since > self._state.limits.stalled

    def send(self, data: bytes) -> None:
        """Send a part of the response."""
        if not self.transport.is_closing():
            self.transport.write(data)

    def hold(self) -> None:
        """Take no more for now."""
        if self._is_reading and not self.transport.is_closing():
            self._is_reading = False
            self.transport.pause_reading()

    def read_on(self) -> None:
        """Take more."""
        if not self._is_reading and not self.transport.is_closing():
            self._is_reading = True
            self.transport.resume_reading()
