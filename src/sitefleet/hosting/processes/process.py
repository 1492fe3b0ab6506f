"""One process that is kept running: started, watched, started again, stopped.

It ends when the supervisor does, however that ends: on Linux the kernel sends it SIGTERM
(``PR_SET_PDEATHSIG``, see prctl(2)), upon which servers end what they have forked. What is left
all the same is found by the next supervisor, see `sitefleet.hosting.processes.leftovers`.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from dataclasses import dataclass, field
from errno import EBADF
from signal import SIGTERM, Signals
from time import monotonic, time
from typing import TYPE_CHECKING

from sitefleet.hosting.processes.logs import speaker_of
from sitefleet.hosting.processes.spawned import Spawned, spawn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Collection, Iterable, Mapping, Sequence

    from sitefleet.hosting.processes.logs import Logs

#: Seconds before a process that has ended is started again: at first at once.
BACKOFF = (0.0, 0.2, 0.5, 1.0, 2.0, 5.0)
#: Seconds after which a process counts as well, and its next end as the first.
WELL_AFTER = 10.0


@dataclass(eq=False)
class Process:
    """A command that is kept running until it is stopped."""

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str]
    logs: Logs
    descriptors: tuple[int, ...] = ()
    """Open files that it inherits, under the same numbers."""
    cwd: str | None = None
    speaks_for: Collection[str] = ()
    """Instances that it serves, where it has several and marks its lines: see `logs`."""
    restarts: int = 0
    """Those that nobody has asked for."""
    failures: int = 0
    """How often in a row it has ended soon after it was started."""
    started: float = 0.0
    """Seconds since 1970."""
    note: str = ""
    """What there is to say of it: `status` shows it."""
    _task: asyncio.Task[None] | None = None
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _running: Spawned | None = None
    _replaced: bool = False
    _inherited: list[tuple[int, int]] = field(default_factory=list)

    async def start(self) -> None:
        """Start it. Raises OSError where there is no such program."""
        self._inherited = _identify(self.descriptors)
        await self._spawn()
        self._task = asyncio.create_task(self._keep(), name=f"keep {self.name}")

    def signal(self, number: int) -> None:
        """Send a signal, if it runs."""
        if self._running is not None:
            self._running.signal(number)

    def replace(self) -> None:
        """Let it end, and start another one."""
        self._replaced = self.is_running  # else another one is about to start anyway
        self.signal(SIGTERM)

    async def stop(self, patience: float = 10.0, number: int = SIGTERM) -> None:
        """End it: ask, wait ``patience`` seconds, then kill its whole group."""
        self._stopping.set()
        if self._task is None:
            return
        self.signal(number)
        await asyncio.wait((self._task,), timeout=patience)
        self.kill()
        await self._task

    def kill(self) -> None:
        """End it and its whole group at once."""
        self._stopping.set()
        if self._running is not None:
            self._running.kill_group()

    @property
    def pid(self) -> int | None:
        """Its number, and that of its group; None while none runs."""
        return self._running.pid if self._running is not None else None

    @property
    def is_running(self) -> bool:
        """Whether it runs now."""
        return self._running is not None and self._running.is_running

    @property
    def is_kept(self) -> bool:
        """Whether it runs, or is about to run again."""
        return self._task is not None and not self._stopping.is_set()

    async def _spawn(self) -> None:
        if _identify(self.descriptors) != self._inherited:
            # A number that was closed meanwhile may be that of another site's socket by now.
            raise OSError(EBADF, "what it inherits was closed")
        self._running = await spawn(
            self.argv, environment=self.environment, cwd=self.cwd, descriptors=self.descriptors
        )
        self.started = time()
        if self._stopping.is_set():  # meanwhile, when there was nothing to send a signal to
            self.signal(SIGTERM)

    async def _keep(self) -> None:
        while self._running is not None:
            well_after = monotonic() + WELL_AFTER
            code = await self._running.wait(self._read)
            if self._stopping.is_set():
                return
            is_well = monotonic() > well_after or self._replaced
            self.failures = 0 if is_well else self.failures + 1
            was_ordered, self._replaced = self._replaced, False
            if not was_ordered:
                self.logs.write(self.name, f"ended ({describe_exit(code)}), is started again")
            if not await self._start_again(self.failures):
                return
            self.restarts += not was_ordered

    async def _start_again(self, failures: int) -> bool:
        while True:
            pause = BACKOFF[min(failures, len(BACKOFF) - 1)]
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
            if self._stopping.is_set():
                return False
            try:
                await self._spawn()
            except OSError as error:
                self.logs.write(self.name, f"cannot be started: {error}")
                failures = len(BACKOFF)
                continue
            return True

    async def _read(self, stream: asyncio.StreamReader) -> None:
        while True:
            try:
                data = await stream.readline()
            except ValueError:  # longer than LONGEST_LINE: asyncio has dropped it
                data = b"... (a line that is too long)"
            if not data:
                return
            line = data.decode("utf-8", "backslashreplace").rstrip("\r\n")
            self.logs.write(*speaker_of(line, self.name, self.speaks_for))


async def wait_for_all(*works: Awaitable[object]) -> None:
    """Wait until all of them have ended, though one has failed; raise what the first one raised.

    After `asyncio.gather` the others would go on, beside whatever is tried next.
    """
    for result in await asyncio.gather(*works, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result


def _identify(descriptors: Iterable[int]) -> list[tuple[int, int]]:
    """Return what open files are, whatever their numbers. Raises OSError where one is closed."""
    found = map(os.fstat, descriptors)
    return [(status.st_dev, status.st_ino) for status in found]


def describe_exit(code: int) -> str:
    """Return how a process ended, for people."""
    if code >= 0:
        return f"exit status {code}"
    with suppress(ValueError):
        return f"by {Signals(-code).name}"
    return f"by signal {-code}"
