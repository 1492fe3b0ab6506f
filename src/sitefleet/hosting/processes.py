"""One process that is kept running: started, watched, started again, stopped."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sitefleet.hosting.logs import Logs

#: Seconds before a process that has ended is started again: at first at once.
BACKOFF = (0.0, 0.2, 0.5, 1.0, 2.0, 5.0)
#: Seconds after which a process counts as well, and its next end as the first.
WELL_AFTER = 10.0
LONGEST_LINE = 64 * 1024


@dataclass
class Process:
    """A command that is kept running until it is stopped."""

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str]
    logs: Logs
    descriptors: tuple[int, ...] = ()
    """Open files that it inherits, under the same numbers."""
    cwd: str | None = None
    restarts: int = 0
    pid: int | None = None
    _task: asyncio.Task[None] | None = None
    _stopping: bool = False
    _running: asyncio.subprocess.Process | None = None
    _ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> None:
        """Start it. Raises OSError where there is no such program."""
        await self._spawn()
        self._task = asyncio.create_task(self._keep(), name=f"keep {self.name}")

    def signal(self, number: int) -> None:
        """Send a signal, if it runs."""
        if self._running is not None and self._running.returncode is None:
            with suppress(ProcessLookupError):
                self._running.send_signal(number)

    async def stop(self, patience: float = 10.0, number: int = signal.SIGTERM) -> None:
        """End it: ask, wait ``patience`` seconds, then kill its whole group."""
        self._stopping = True
        self.signal(number)
        if self._task is None:
            return
        try:
            await asyncio.wait_for(asyncio.shield(self._task), patience)
        except TimeoutError:
            self._kill_group()
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        self._kill_group()

    @property
    def is_running(self) -> bool:
        """Whether it runs now."""
        return self._running is not None and self._running.returncode is None

    async def _spawn(self) -> None:
        self._running = await asyncio.create_subprocess_exec(
            *self.argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=dict(self.environment),
            cwd=self.cwd,
            pass_fds=self.descriptors,
            start_new_session=True,  # Ctrl-C is for the supervisor, which stops all in order
            limit=LONGEST_LINE,
        )
        self.pid = self._running.pid

    async def _keep(self) -> None:
        failures = 0
        while True:
            started = monotonic()
            await self._read()
            assert self._running is not None  # noqa: S101 - for the type
            code = await self._running.wait()
            if self._stopping:
                return
            self._kill_group()
            failures = 0 if monotonic() - started > WELL_AFTER else failures + 1
            self.logs.write(self.name, f"ended ({describe_exit(code)}), is started again")
            await asyncio.sleep(BACKOFF[min(failures, len(BACKOFF) - 1)])
            if self._stopping:
                return
            self.restarts += 1
            while not self._stopping:
                try:
                    await self._spawn()
                    break
                except OSError as error:
                    self.logs.write(self.name, f"cannot be started: {error}")
                    await asyncio.sleep(BACKOFF[-1])

    async def _read(self) -> None:
        assert self._running is not None  # noqa: S101 - for the type
        stream = self._running.stdout
        assert stream is not None  # noqa: S101 - for the type
        waiting = asyncio.create_task(self._running.wait())
        while True:
            reading = asyncio.create_task(_line(stream))
            await asyncio.wait((reading, waiting), return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                # It has ended, but what it has forked still holds the pipe.
                await asyncio.wait((reading,), timeout=0.5)
            if not reading.done():
                reading.cancel()
                break
            line = reading.result()
            if line is None:
                break
            self.logs.write(self.name, line)
        await waiting

    def _kill_group(self) -> None:
        if self.pid is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)


async def _line(stream: asyncio.StreamReader) -> str | None:
    try:
        data = await stream.readline()
    except ValueError:  # longer than LONGEST_LINE: asyncio has dropped it
        return "... (a line that is too long)"
    return data.decode("utf-8", "backslashreplace").rstrip("\r\n") if data else None


def describe_exit(code: int) -> str:
    """Return how a process ended, for people."""
    if code >= 0:
        return f"exit status {code}"
    with suppress(ValueError):
        return f"by {signal.Signals(-code).name}"
    return f"by signal {-code}"
