"""What a supervisor that was killed has left running: found by its environment, and ended."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path
from time import monotonic

#: In the environment of each process of a fleet: its run directory.
BELONGS_TO = "SITEFLEET_PART_OF"
PROC = Path("/proc")
PATIENCE = 3.0


def belonging_to(run_dir: Path) -> dict[str, str]:
    """Return the variables by which a process is found, and by which they stay readable.

    `setproctitle`, which gunicorn uses where it is installed, writes over them unless it is told
    not to: see ``SPT_NOENV`` in its documentation.
    """
    return {BELONGS_TO: str(run_dir), "SPT_NOENV": "1"}


def find_leftovers(run_dir: Path) -> list[int]:
    """Return the processes that were started for this run directory, this one left out.

    Empty where the system has no ``/proc/<pid>/environ`` (it is Linux's, see proc(5)).
    """
    wanted = b"%s=%s" % (BELONGS_TO.encode(), os.fsencode(run_dir))
    found = []
    for folder in PROC.glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is another user's
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return [pid for pid in found if pid != os.getpid()]


def kill_leftovers(run_dir: Path) -> None:
    """End them at once."""
    _send(find_leftovers(run_dir), signal.SIGKILL)


def _send(pids: list[int], number: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


async def end_leftovers(run_dir: Path) -> int:
    """End them: ask, then kill; return how many there were."""
    found = find_leftovers(run_dir)
    deadline = monotonic() + PATIENCE
    left, number = found, signal.SIGTERM
    while left:
        _send(left, number)
        await asyncio.sleep(0.1)
        left = find_leftovers(run_dir)
        if monotonic() > deadline:
            number = signal.SIGKILL
        if monotonic() > deadline + PATIENCE:
            break
    return len(found)
