"""A server with a master process, on sockets that it is handed: replaced by another without a gap.

The next one is started beside the one that runs, on the same sockets. Only when it has told that it
answers is the old one asked to end, and that one answers what it has accepted. One that does not
come up leaves the old one in place.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

from sitefleet.hosting.context import Status
from sitefleet.hosting.processes.apology import apologize
from sitefleet.hosting.processes.memory import private_bytes
from sitefleet.hosting.processes.run_dir import make_prefix, write_file
from sitefleet.hosting.servers.told import Told, children_of
from sitefleet.hosting.servers.variables import ASKING, COUNTS, READY

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from sitefleet.hosting.context import Context
    from sitefleet.hosting.planning.plan import Instance
    from sitefleet.hosting.processes.process import Process

#: Seconds that a server may take until it answers.
LONGEST_START = 60.0
#: Seconds between looks at whether it does.
LOOK = 0.02
#: Ends in a row, each soon after the start, after which clients are not let wait for the next one.
HOPELESS = 3
#: Seconds for which those are answered at a time.
APOLOGY = 0.25
#: Said of the first server, which is started again until it does.
NOT_UP = "It does not come up: see its log."
#: Seconds beyond those of the longest request that an old server gets to end.
GRACE = 5.0


class Server:
    """One server: its process, and what those tell that it forks."""

    def __init__(self, make: Callable[[int], Process], patience: float, tellers: int) -> None:
        """``make`` returns the process, not started, for the descriptor to tell by.

        ``tellers`` is how many of what it forks tell before it counts as ready.
        """
        self.told = Told()
        self._patience = patience
        self._tellers = tellers
        self.process = make(self.told.write)

    @property
    def is_ready(self) -> bool:
        """Whether it answers."""
        return self.told.ready >= self._tellers and self.process.is_running

    def pids(self, site: int | None) -> list[int]:
        """Return the processes that run for a site; without one the master and all of its own."""
        master = self.process.pid
        if master is None or not self.process.is_running:
            return []
        return self.told.pids(master, site) if site else [master, *children_of(master)]

    def restarts(self, instance: Instance) -> int:
        """Return how often its processes were replaced that had not ended as they should."""
        beyond = self.told.restarts(instance.site or 0, instance.options.workers)
        return max(self.process.restarts, beyond)

    async def start(self) -> bool:
        """Start it and wait until it answers, or has ended; return whether it answers.

        Raises OSError where there is no process.
        """
        due = monotonic() + LONGEST_START
        await self.process.start()
        while monotonic() < due and self.process.is_running and not self.process.restarts:
            if self.is_ready:
                return True
            await asyncio.sleep(LOOK)
        return self.is_ready and not self.process.restarts

    async def stop(self) -> None:
        """End it; what it has accepted is answered."""
        try:
            await self.process.stop(self._patience if self.told.ready >= self._tellers else 0)
        finally:
            self.told.close()


class Master:
    """The server of a name that runs now; those before it end in the background."""

    def __init__(self, context: Context, name: str) -> None:
        self._context = context
        self.name = name
        self.server: Server | None = None
        self.why = ""
        """Why it is not the server that was asked for last; empty when it is."""
        # What ended one server is not to end the next one, too: so it is kept from one to another.
        self._asking = make_prefix(context.run_dir.files, f"{name}.asking")
        self._file: Path | None = None
        """What the server is configured by, if by a file, and what the next one will be."""
        self._next_file: Path | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._descriptors: list[tuple[int, int]] = []
        """Numbers of its sockets, and those of their inodes."""
        self._apologizing: asyncio.Task[None] | None = None

    def configure(self, name: str, text: str) -> Path:
        """Write the file of the next server under a name that tells its content; return its path.

        The server that runs has its own, and may have to be started again. Raises OSError.
        """
        path = self._context.run_dir.files / name
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        self._next_file = path.with_name(f"{path.stem}.{digest}{path.suffix}")
        write_file(self._next_file, text)
        return self._next_file

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
        does not come up. What was given to `configure` before is its own from now on. Raises
        OSError where there is no process: it is not started again, what runs goes on.
        """

        def make(tells: int) -> Process:
            counts = str(self._context.run_dir.counts / self.name)
            told = {READY: str(tells), ASKING: str(self._asking), COUNTS: counts}
            variables = {**environment, **told}
            kept = (*descriptors, tells)
            return self._context.process(self.name, argv, environment=variables, descriptors=kept)

        self._descriptors = [(number, os.fstat(number).st_ino) for number in descriptors]
        if self._apologizing is None:
            self._apologizing = asyncio.create_task(self._apologize())
        server, file, self._next_file = (
            Server(make, patience + GRACE, tellers),
            self._next_file,
            None,
        )
        try:
            is_up = await server.start()
        except OSError:
            self._end(server)
            raise
        if is_up or self.server is None:
            before, self.server, self._file = self.server, server, file
            self.why = "" if is_up else NOT_UP
        else:
            before = server
            self.why = "What ran before goes on, the new one does not come up: see its log."
        if self.why:
            self._context.say(f"{self.name}: {self.why}")
        if before is not None:
            self._end(before)
        if file is not None:
            _remove_versions(file, self._file)
        return is_up

    async def stop(self) -> None:
        """Stop it, and wait for those before it."""
        if self._apologizing is not None:
            self._apologizing.cancel()
            await asyncio.wait((self._apologizing,))
            self._apologizing = None
        if self.server is not None:
            server, self.server = self.server, None
            self._end(server)
        if self._ending:
            await asyncio.wait(self._ending)
        if self._file is not None:
            self._file.unlink(missing_ok=True)

    def status(self, instance: Instance) -> Status:
        """Return what runs for an instance; the pid is that of the first of its processes."""
        server = self.server
        pids = server.pids(instance.site) if server else []
        sizes = [size for pid in pids if (size := private_bytes(pid)) is not None]
        state = self._state_of(instance.site, pids)
        return Status(
            instance=instance.key,
            state=state,
            pid=pids[0] if pids else None,
            memory=sum(sizes) if sizes else None,
            restarts=server.restarts(instance) if server else 0,
            note="" if state == "running" and self.why == NOT_UP else self.why,
        )

    def _state_of(self, site: int | None, pids: Sequence[int]) -> str:
        if self.server is None:
            return "idle"
        if self.server.is_ready and site in self.server.told.failing:
            return "failing"
        if self.server.is_ready and pids:
            return "running"
        return "failing" if self.why or self.server.process.restarts else "starting"

    async def _apologize(self) -> None:
        """Answer who waits for a server that ends each time that it is started."""
        while True:
            await asyncio.sleep(APOLOGY)
            process = self.server.process if self.server else None
            if process is None or process.is_running or process.failures < HOPELESS:
                continue
            copies = [copy for number in self._descriptors if (copy := _copy(*number)) is not None]
            try:
                with suppress(OSError):  # no descriptor is left: perhaps the next time
                    await apologize(copies, APOLOGY)
            finally:
                for copy in copies:
                    os.close(copy)

    def _end(self, server: Server) -> None:
        task = asyncio.create_task(server.stop())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


def _remove_versions(one: Path, kept: Path | None) -> None:
    stem, _, _ = one.stem.rpartition(".")
    for path in one.parent.glob(f"{stem}.{'?' * 8}{one.suffix}"):
        if path != kept:
            path.unlink(missing_ok=True)


def _copy(number: int, inode: int) -> int | None:
    """Return a copy of a descriptor; None where it was closed, though another may be that now."""
    try:
        copy = os.dup(number)
    except OSError:
        return None
    if os.fstat(copy).st_ino == inode:
        os.set_blocking(copy, False)  # whatever the server has made of it
        return copy
    os.close(copy)
    return None
