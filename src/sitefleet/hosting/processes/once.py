"""A command that is run to its end, for what it says."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sitefleet.exceptions import SiteError
from sitefleet.hosting.processes.spawned import spawn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

#: Seconds that a command has: loading a large project takes a few.
PATIENCE = 60.0
BLOCK = 64 * 1024


async def run_once(  # noqa: PLR0913 - what there is to say of a process, by keyword
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    descriptors: tuple[int, ...] = (),
    patience: float = PATIENCE,
    late: str = "",
) -> tuple[int, str]:
    """Return the exit status of a command, and all that it has said.

    Raises OSError where it cannot be started; SiteError, which begins with ``late``, where it has
    not ended after ``patience`` seconds: then it is killed.
    """
    spawned = await spawn(command, environment=environment, cwd=cwd, descriptors=descriptors)
    said = bytearray()

    async def read(lines: asyncio.StreamReader) -> None:
        while block := await lines.read(BLOCK):
            said.extend(block)

    try:
        # Not `wait_for`: that of Python 3.11 may lose a cancellation.
        async with asyncio.timeout(patience):
            status = await spawned.wait(read)
    except TimeoutError:
        message = f"{late or f'{command[0]} has not ended'} within {patience:.0f} seconds."
        raise SiteError(message) from None
    return status, said.decode(errors="replace")


def last_line(said: str) -> str:
    """Return the last line of what a command has said: that tells what was wrong."""
    return (said.splitlines() or ["It ended without a word."])[-1]
