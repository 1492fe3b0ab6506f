"""What all connections of one router share: its limits, its routes, and whether it stops."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from time import time
from typing import TYPE_CHECKING

from sitefleet.hosting.proxy.routes import Routes

if TYPE_CHECKING:
    import asyncio

#: Descriptors that are not for connections.
RESERVED = 64


class Stage(Enum):
    """What a connection waits for."""

    HEAD = "the head of a request"
    BODY = "the rest of the body"
    ANSWER = "the instance"
    TUNNEL = "either side"
    CLOSING = "the client, to take what was written last"


@dataclass
class Limits:
    """Seconds, and numbers of connections."""

    head: float = 10.0
    """From the first byte of a request, or from connecting, to the end of its head."""
    idle: float = 75.0
    """Between two requests."""
    stalled: float = 60.0
    """For the first part of a body, then without a byte of it; and without room for more of a
    response."""
    linger: float = 2.0
    connect: float = 5.0
    last_call: float = 1.0
    """For clients that wait for another request, when the router stops: one may be on its way."""
    stop: float = 10.0
    """For requests under way, when the router stops."""
    per_instance: int = 512
    """Requests that one instance has, or that wait for it."""
    clients: int = 4096


def limits_for(descriptors: int) -> Limits:
    """Return the limits under which that many descriptors suffice: two for each request."""
    clients = max(8, (descriptors - RESERVED) // 2)
    return Limits(clients=min(clients, 20_000), per_instance=max(4, min(512, clients // 2)))


class State:
    """One router, as its connections see it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: Limits) -> None:
        self.loop = loop
        self.now = loop.time
        self.limits = limits
        self.routes = Routes()
        self.is_stopping = False
        self._requests, self._last = 0, 0.0

    def count(self) -> None:
        """Count a request that an instance is asked."""
        self._requests += 1
        self._last = time()

    def take_count(self) -> tuple[int, float]:
        """Return the requests since this was asked before, and when the last one was.

        The time is in seconds since 1970; 0 before the first.
        """
        new, self._requests = self._requests, 0
        return new, self._last
