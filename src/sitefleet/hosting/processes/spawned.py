"""A process that has been started: what it says is read until it ends, and nothing of it is left.

On Linux it ends when this one does, however that ends: the kernel sends it SIGTERM.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from signal import SIGKILL
from typing import TYPE_CHECKING

from sitefleet.hosting.processes.parents import end_with
from sitefleet.hosting.processes.pipes import open_pipe

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

LONGEST_LINE = 64 * 1024
#: Seconds in which lines are awaited that a process has written before it ended: what it has
#: started in a session of its own may hold the pipe for as long as it likes.
LAST_LINES = 0.5


class Spawned:
    """One process, the first of a group and a session of its own."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        lines: asyncio.StreamReader,
        pipe: asyncio.BaseTransport,
    ) -> None:
        self._process, self._lines, self._pipe = process, lines, pipe
        self.pid: int | None = process.pid
        """Of the process and of its group; None when it has ended: the number may be another's."""

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.returncode is None

    def signal(self, number: int) -> None:
        """Send a signal, if it runs."""
        if self.is_running:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)

    def kill_group(self) -> None:
        """End it at once, with all that it has forked."""
        if self.pid is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, SIGKILL)

    async def wait(self, read: Callable[[asyncio.StreamReader], Awaitable[None]]) -> int:
        """Let ``read`` have what it says until it ends, once; return how it ended.

        It is killed where nobody waits any more. What it has forked ends with it in any case.
        """
        reading = asyncio.ensure_future(read(self._lines))
        try:
            return await self._process.wait()
        finally:
            self.kill_group()
            try:
                await self._process.wait()  # else its end is told to a loop that is closed
                self.pid = None
                await asyncio.wait((reading,), timeout=LAST_LINES)
            finally:
                reading.cancel()
                self._pipe.close()


async def spawn(
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    cwd: Path | str | None = None,
    descriptors: tuple[int, ...] = (),
) -> Spawned:
    """Start a command; it inherits ``descriptors`` under their numbers. Raises OSError."""
    # A pipe of our own: with one of asyncio, before Python 3.13, the end of a process is told
    # when all that it has forked have closed the pipe.
    lines, pipe, write_end = await open_pipe(LONGEST_LINE)
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=write_end,
            stderr=write_end,
            env=environment,
            cwd=cwd,
            pass_fds=descriptors,
            start_new_session=True,  # Ctrl-C is for this process, which stops all in order
            preexec_fn=_before_exec(os.getpid()),
        )
    except BaseException:
        pipe.close()
        raise
    finally:
        os.close(write_end)
    return Spawned(process, lines, pipe)


def _before_exec(parent: int) -> Callable[[], None] | None:
    """Return what a new process does first, so that it ends with its parent; None elsewhere."""
    if not sys.platform.startswith("linux"):
        return None

    def ask_kernel() -> None:
        if not end_with(parent):
            os._exit(1)

    return ask_kernel
