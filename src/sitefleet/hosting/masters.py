"""A server with a master process, on sockets that it is handed: replaced by another without a gap.

The next one is started beside the one that runs, on the same sockets. Only when it has told that it
answers is the old one asked to end, and that one answers what it has accepted. One that does not
come up leaves the old one in place.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from sitefleet.hosting.memory import private_bytes
from sitefleet.hosting.variables import READY, STRICT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sitefleet.hosting.context import Context
    from sitefleet.hosting.processes import Process

#: Seconds that a server may take until it answers.
LONGEST_START = 60.0
#: Seconds between looks at whether it does.
LOOK = 0.02
#: Seconds beyond those of the longest request that an old server gets to end.
GRACE = 5.0


class Server:
    """One server: its process, and a pipe by which it tells that it answers."""

    def __init__(self, make: Callable[[int], Process], patience: float, tellers: int) -> None:
        """``make`` returns the process, not started, for the descriptor to tell by.

        ``tellers`` is how many of what it forks tell before it counts as ready.
        """
        self._told, self._tells = os.pipe()
        os.set_blocking(self._told, False)
        os.set_blocking(self._tells, False)
        self._patience = patience
        self._unheard = tellers
        self.process = make(self._tells)

    @property
    def is_ready(self) -> bool:
        """Whether it answers."""
        if self._unheard > 0:
            with suppress(BlockingIOError):
                self._unheard -= len(os.read(self._told, self._unheard))
        return self._unheard <= 0 and self.process.is_running

    async def start(self) -> bool:
        """Start it and wait until it answers, or has ended; return whether it answers."""
        due = monotonic() + LONGEST_START
        try:
            await self.process.start()
        except OSError:
            return False
        while monotonic() < due and self.process.is_running and not self.process.restarts:
            if self.is_ready:
                return True
            await asyncio.sleep(LOOK)
        return self.is_ready and not self.process.restarts

    async def stop(self) -> None:
        """End it; what it has accepted is answered."""
        try:
            await self.process.stop(self._patience if self._unheard <= 0 else 0)
        finally:
            os.close(self._told)
            os.close(self._tells)


class Master:
    """The server of a name that runs now; those before it end in the background."""

    def __init__(self, context: Context, name: str) -> None:
        self._context = context
        self.name = name
        self.server: Server | None = None
        self.why = ""
        """Why it is not the server that was asked for last; empty when it is."""
        self._ending: set[asyncio.Task[None]] = set()

    async def run(
        self,
        argv: Sequence[str],
        environment: dict[str, str],
        descriptors: Sequence[int],
        *,
        patience: int,
        tellers: int = 1,
    ) -> bool:
        """Run a server in place of the one before it; return whether it has come up.

        ``patience`` is how many seconds a request may take, ``tellers`` how many of its processes
        tell that they are ready. The first server is kept, and started again and again, even if it
        does not come up.
        """

        def make(tells: int) -> Process:
            variables = {**environment, READY: str(tells)}
            if self.server is not None:
                # One that would answer each request with an error is not to take its place.
                variables[STRICT] = "1"
            kept = (*descriptors, tells)
            return self._context.process(self.name, argv, environment=variables, descriptors=kept)

        server = Server(make, patience + GRACE, tellers)
        is_up = await server.start()
        if is_up or self.server is None:
            before, self.server = self.server, server
            self.why = "" if is_up else "It does not come up: see its log."
        else:
            before = server
            self.why = "What ran before goes on, the new one does not come up: see its log."
        if self.why:
            self._context.say(f"{self.name}: {self.why}")
        if before is not None:
            self._end(before)
        return is_up

    async def stop(self) -> None:
        """Stop it, and wait for those before it."""
        if self.server is not None:
            server, self.server = self.server, None
            self._end(server)
        if self._ending:
            await asyncio.wait(self._ending)

    def pids(self) -> list[int]:
        """Return the pids of the master and of what it has forked; none when it does not run."""
        process = self.server.process if self.server else None
        if process is None or process.pid is None or not process.is_running:
            return []
        return [process.pid, *_children(process.pid)]

    def memory(self) -> int | None:
        """Return what all of them really own, in bytes; None where that is not told."""
        sizes = [size for pid in self.pids() if (size := private_bytes(pid)) is not None]
        return sum(sizes) if sizes else None

    @property
    def state(self) -> str:
        """Return its state, as `sitefleet.hosting.context.Status` has it."""
        if self.server is None:
            return "idle"
        if self.server.is_ready:
            return "running"
        return "failing" if self.why or self.server.process.restarts else "starting"

    @property
    def restarts(self) -> int:
        """Return how often its process was started again."""
        return self.server.process.restarts if self.server else 0

    def _end(self, server: Server) -> None:
        task = asyncio.create_task(server.stop())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


def _children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    except OSError:
        return []
    return [int(word) for word in text.split()]
