"""Learns the fleet, and each change of it, from a process that runs Django."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING

from sitefleet.exceptions import SiteError
from sitefleet.hosting.planning.fleet import Fleet, read_fleet
from sitefleet.hosting.processes.logs import stamp
from sitefleet.hosting.processes.once import last_line, run_once
from sitefleet.hosting.processes.pipes import open_pipe

if TYPE_CHECKING:
    from sitefleet.hosting.context import Context
    from sitefleet.hosting.processes.process import Process
    from sitefleet.hosting.processes.project import Project

MODULE = "sitefleet.serving.reader"
#: Bytes of a line with a fleet: half a kilobyte for each site with a word of its own.
LONGEST = 2**28
#: How a line begins that tells of trouble, and not of a fleet.
TROUBLE = b'{"trouble":'


async def read_once(project: Project, *, everything: bool = False) -> Fleet:
    """Return the fleet as it is now; with ``everything``, plain shared sites too, up to a number.

    Raises SiteError with what the project says where it cannot be loaded or its database does not
    answer.
    """
    lines, pipe, write_end = await open_pipe(LONGEST)
    how = ["--once", "--all"] if everything else ["--once"]
    reading = asyncio.create_task(lines.readline())
    try:
        try:
            status, said = await run_once(
                (project.python, "-m", MODULE, "--fd", str(write_end), *how),
                environment=project.variables(),
                cwd=project.root,
                descriptors=(write_end,),
                late="The project has not said what sites it has",
            )
        finally:
            os.close(write_end)
        line = b"" if status else await reading
    finally:
        reading.cancel()
        pipe.close()
    if not line.endswith(b"\n"):
        raise SiteError(last_line(said).removeprefix("sitefleet: "))
    return read_fleet(line)


class Reader:
    """Keeps the process running that tells of changes; `next` waits for one."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lines: asyncio.StreamReader | None = None
        self._pipe: asyncio.BaseTransport | None = None
        self.process: Process | None = None
        self.is_away = False
        """Whether the database does not answer."""
        self._since = ""
        """When there began to be trouble."""

    async def start(self) -> None:
        """Start it. Raises OSError."""
        # The writing end stays open here: the next process goes on where one has ended.
        self._lines, self._pipe, write_end = await open_pipe(LONGEST)
        arguments = "--fd", str(write_end)
        self.process = self._context.process(
            "reader", self._context.python(MODULE, *arguments), descriptors=(write_end,)
        )
        await self.process.start()
        # For each later one what it finds is a change, which servers may not know of yet.
        self.process.argv = [*self.process.argv, "--again"]

    async def next(self) -> Fleet:
        """Wait for a fleet, and return it."""
        assert self._lines is not None  # noqa: S101 - for the type
        while True:
            try:
                line = await self._lines.readline()
                if not line.startswith(TROUBLE):
                    return read_fleet(line)
                self._take_trouble(**json.loads(line))
            except (ValueError, TypeError, KeyError) as error:
                # It has ended within a line: another process starts with a whole one.
                self._context.say(f"The reader wrote what is no fleet ({error}).")
                self.restart()
                await asyncio.sleep(1)

    def _take_trouble(self, trouble: str, *, away: bool) -> None:
        """Tell in the status what there is, and since when: another reader may tell it, too."""
        self.is_away = away
        self._since = (self._since or stamp()) if trouble else ""
        if self.process is not None:
            self.process.note = f"{trouble} (since {self._since})" if trouble else ""

    def restart(self) -> None:
        """Let it read the settings again."""
        if self.process is not None:
            self.process.replace()

    async def stop(self) -> None:
        """End it."""
        if self.process is not None:
            await self.process.stop(2)
            os.close(self.process.descriptors[0])
        if self._pipe is not None:
            self._pipe.close()
