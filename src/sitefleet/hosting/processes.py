"""One process that is kept running: started, watched, started again, stopped.

It ends when the supervisor does, however that ends: on Linux the kernel sends it SIGTERM
(``PR_SET_PDEATHSIG``, see prctl(2)), upon which servers end what they have forked. What is left
all the same is found by the next supervisor, see `sitefleet.hosting.leftovers`.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from signal import SIGKILL, SIGTERM, Signals
from time import monotonic, time
from typing import TYPE_CHECKING

from sitefleet.hosting.pipes import open_pipe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sitefleet.hosting.logs import Logs

#: Seconds before a process that has ended is started again: at first at once.
BACKOFF = (0.0, 0.2, 0.5, 1.0, 2.0, 5.0)
#: Seconds after which a process counts as well, and its next end as the first.
WELL_AFTER = 10.0
LONGEST_LINE = 64 * 1024
#: Seconds in which lines are awaited that a process has written before it ended: what it has
#: started in a session of its own may hold the pipe for as long as it likes.
LAST_LINES = 0.5
PR_SET_PDEATHSIG = 1


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
    restarts: int = 0
    pid: int | None = None
    started: float = 0.0
    """Seconds since 1970."""
    _task: asyncio.Task[None] | None = None
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _running: asyncio.subprocess.Process | None = None
    _lines: asyncio.StreamReader | None = None
    _pipe: asyncio.BaseTransport | None = None
    _replaced: bool = False

    async def start(self) -> None:
        """Start it. Raises OSError where there is no such program."""
        await self._spawn()
        self._task = asyncio.create_task(self._keep(), name=f"keep {self.name}")

    def signal(self, number: int) -> None:
        """Send a signal, if it runs."""
        if self._running is not None and self._running.returncode is None:
            with suppress(ProcessLookupError):
                self._running.send_signal(number)

    def replace(self) -> None:
        """Let it end, and start another one."""
        self._replaced = True
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
        self._kill_group()

    @property
    def is_running(self) -> bool:
        """Whether it runs now."""
        return self._running is not None and self._running.returncode is None

    @property
    def is_kept(self) -> bool:
        """Whether it runs, or is about to run again."""
        return self._task is not None and not self._stopping.is_set()

    async def _spawn(self) -> None:
        # A pipe of our own: with one of asyncio, before Python 3.13, the end of a process is told
        # when all that it has forked have closed the pipe.
        self._lines, self._pipe, write_end = await open_pipe(LONGEST_LINE)
        try:
            self._running = await asyncio.create_subprocess_exec(
                *self.argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=write_end,
                stderr=write_end,
                env=dict(self.environment),
                cwd=self.cwd,
                pass_fds=self.descriptors,
                start_new_session=True,  # Ctrl-C is for the supervisor, which stops all in order
                preexec_fn=_end_with(os.getpid()),
            )
        except BaseException:
            self._pipe.close()
            raise
        finally:
            os.close(write_end)
        self.pid, self.started = self._running.pid, time()

    async def _keep(self) -> None:
        failures = 0
        while True:
            well_after = monotonic() + WELL_AFTER
            code = await self._watch()
            if self._stopping.is_set():
                return
            failures = 0 if monotonic() > well_after or self._replaced else failures + 1
            if not self._replaced:
                self.logs.write(self.name, f"ended ({describe_exit(code)}), is started again")
            self._replaced = False
            if not await self._start_again(failures):
                return

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
            self.restarts += 1
            if self._stopping.is_set():  # meanwhile, when there was nothing to send a signal to
                self.signal(SIGTERM)
            return True

    async def _watch(self) -> int:
        """Write down what it says until it has ended; return how it ended."""
        assert self._running is not None  # noqa: S101 - for the type
        assert self._lines is not None  # noqa: S101 - for the type
        assert self._pipe is not None  # noqa: S101 - for the type
        reading = asyncio.create_task(self._read(self._lines))
        code = await self._running.wait()
        self._kill_group()  # what it has forked ends with it
        await asyncio.wait((reading,), timeout=LAST_LINES)
        reading.cancel()
        self._pipe.close()
        return code

    async def _read(self, stream: asyncio.StreamReader) -> None:
        while True:
            try:
                data = await stream.readline()
            except ValueError:  # longer than LONGEST_LINE: asyncio has dropped it
                data = b"... (a line that is too long)"
            if not data:
                return
            self.logs.write(self.name, data.decode("utf-8", "backslashreplace").rstrip("\r\n"))

    def _kill_group(self) -> None:
        if self.pid is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, SIGKILL)


def describe_exit(code: int) -> str:
    """Return how a process ended, for people."""
    if code >= 0:
        return f"exit status {code}"
    with suppress(ValueError):
        return f"by {Signals(-code).name}"
    return f"by signal {-code}"


def _end_with(parent: int) -> Callable[[], None] | None:
    """Return what a new process does first, so that it ends with its parent; None elsewhere."""
    if not sys.platform.startswith("linux"):
        return None

    def ask_kernel() -> None:
        # Nothing but system calls: other threads may have held locks at the fork.
        _libc.prctl(PR_SET_PDEATHSIG, SIGTERM)
        if os.getppid() != parent:  # it has ended before the kernel was asked
            os._exit(1)

    return ask_kernel


_libc = ctypes.CDLL(None)
