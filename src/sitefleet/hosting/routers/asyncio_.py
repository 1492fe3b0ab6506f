"""The router of our own: a small process on asyncio, for development and tests.

The supervisor holds the public socket. A router that is killed, or replaced by a new one, loses
the requests that it is passing on; those that wait in the backlog, and all later ones, it does
not.
"""

from __future__ import annotations

import asyncio
import socket
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from sitefleet.exceptions import SiteError
from sitefleet.hosting.context import Context, Status
from sitefleet.hosting.processes.memory import private_bytes
from sitefleet.hosting.processes.sockets import listen
from sitefleet.hosting.proxy.channel import Channel

if TYPE_CHECKING:
    from sitefleet.hosting.planning.plan import Plan
    from sitefleet.hosting.processes.process import Process

NAME = "router"
#: Seconds for a router to start, and for one that runs to take a table.
STARTS_IN, TAKES_IN = 20.0, 5.0
#: Ends soon after a start that may happen: more of them in a row are a failure.
ONCE = 1
#: Seconds beyond its timeout, in which an instance starts or is started again.
GRACE = 30
#: Seconds for requests under way when it stops: a little more than the process gives them.
STOPS_IN = 12.0


class Running:
    """One process of the router, and our end of the line to it."""

    def __init__(self, router: AsyncioRouter) -> None:
        self._router = router
        self._word = ""
        self._pid = 0
        self._number = 0
        self._applied = asyncio.Event()
        self.channel = Channel(self._receive, lambda: None)
        self.process: Process | None = None
        self._ours, self._theirs = socket.socketpair()

    async def start(self, context: Context, listening: socket.socket) -> None:
        """Start it, and wait until it has its table. Raises SiteError."""
        self._ours.settimeout(0)
        loop = asyncio.get_running_loop()
        await loop.create_unix_connection(lambda: self.channel, sock=self._ours)
        # Our copy of its end stays open: a process that replaces a killed one inherits it again.
        ends = (listening.fileno(), self._theirs.fileno())
        numbers = ("--fd", str(ends[0]), "--routes", str(ends[1]))
        argv = context.python("sitefleet.hosting.proxy", *numbers)
        self.process = context.process(NAME, argv, descriptors=ends)
        try:
            await self.process.start()
            async with asyncio.timeout(STARTS_IN):
                await self._applied.wait()
        except (OSError, TimeoutError) as error:
            await self.stop(0.0)
            message = f"The router does not start ({error!r}): `sitefleet logs {NAME}` says why."
            raise SiteError(message) from None

    async def apply(self) -> None:
        """Send the table, and wait until it counts; one that starts meanwhile gets it anyway."""
        alive = self.process is not None and self.process.is_running
        if not (alive and self.process is not None and self.process.pid == self._pid):
            return
        self._send()
        try:
            # Not `wait_for`: that of Python 3.11 may lose a cancellation.
            async with asyncio.timeout(TAKES_IN):
                await self._applied.wait()
        except TimeoutError:
            self._router.say("has not taken its routes yet")

    async def stop(self, patience: float = STOPS_IN) -> None:
        """End it, once its requests are answered."""
        if self.process is not None:
            await self.process.stop(patience)
        self.channel.close()
        self._theirs.close()

    def _send(self) -> None:
        self._number += 1
        self._applied.clear()
        self.channel.send({"for": self._word, "number": self._number, **self._router.table})

    def _receive(self, value: dict[str, Any]) -> None:
        if "hello" in value:
            self._word, self._pid = str(value["hello"]), int(value["pid"])
            self._send()
        elif value.get("applied") == self._number:
            self._applied.set()
        if "requests" in value:
            self._router.requests += value["requests"]
            self._router.last = value["last"]


class AsyncioRouter:
    """Leads hosts to instances by a process of ours; as `sitefleet.hosting.context.Router`."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._listening: socket.socket | None = None
        self._running: Running | None = None
        self._restarts = 0
        self.table: dict[str, Any] = {}
        """What the process leads by."""
        self.requests = 0
        self.last: float | None = None
        """When the last request was (seconds since 1970)."""

    async def start(self, plan: Plan) -> None:
        if find_spec("httptools") is None:
            message = 'The router needs httptools: pip install "django-sitefleet[serve]".'
            raise SiteError(message)
        self._make_table(plan)
        self._listening = self._listening or listen(plan.fleet.serving.bind)
        made = Running(self)
        try:
            await made.start(self._context, self._listening)
        except SiteError:
            await self.stop()
            raise
        self._running = made

    async def apply(self, plan: Plan) -> None:
        self._make_table(plan)
        if self._running is not None:
            await self._running.apply()

    async def reload(self) -> None:
        """Replace the process by one with the code as it is now; no request is lost.

        Both accept connections until the old one stops. Raises SiteError when the new one does
        not start; the old one stays then.
        """
        assert self._listening is not None  # noqa: S101 - it is started
        made = Running(self)
        await made.start(self._context, self._listening)
        old, self._running = self._running, made
        if old is not None:
            await old.stop()

    async def status(self) -> list[Status]:
        process = self._running.process if self._running is not None else None
        alive = process is not None and process.is_running
        pid = process.pid if process is not None and alive else None
        failures = process.failures if process is not None else 0
        return [
            Status(
                NAME,
                "running" if alive else "failing" if failures > ONCE else "starting",
                pid,
                private_bytes(pid),
                self.requests,
                self.last,
                process.restarts if process is not None else 0,
                "asyncio",
            )
        ]

    async def stop(self) -> None:
        listening, self._listening = self._listening, None
        if listening is not None:
            listening.close()
        running, self._running = self._running, None
        if running is not None:
            await running.stop()

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens: host, and the real port where 0 was asked for."""
        assert self._listening is not None  # noqa: S101 - it is started
        host, port = self._listening.getsockname()[:2]
        return host, port

    def say(self, what: str) -> None:
        """Say something about the router."""
        self._context.say(f"The router {what}.")

    def _make_table(self, plan: Plan) -> None:
        keys = [instance.key for instance in plan.instances]
        self.table = {
            "addresses": {key: self._context.sockets.address(key) for key in keys},
            "names": plan.routes(),
            "patience": {i.key: i.options.timeout + GRACE for i in plan.instances},
            "trusted": list(plan.fleet.serving.trusted_proxies),
        }
