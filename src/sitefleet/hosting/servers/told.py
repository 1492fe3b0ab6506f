"""What the processes of a server tell of themselves, in lines through a pipe.

``<pid> <site>`` when one is ready; ``-<pid> <site>`` when it ends as it should, after its number
of requests; ``0 <site>`` when there is none, since it did not start. The site is 0 for a server
of many. A line is shorter than PIPE_BUF, so it is never mixed with those of others, see pipe(7).
"""

from __future__ import annotations

import asyncio
import os
import re
from collections import Counter
from contextlib import suppress
from pathlib import Path

#: Code of sites can write there, too: what is no such line is left out.
_LINE = re.compile(rb"^(-?[0-9]{1,10}) ([0-9]{1,19})$", re.MULTILINE)
LONGEST_LINE = 40
AT_ONCE = 65536
#: Processes that are kept in mind before it is looked which of them live.
MANY = 1000


class Told:
    """The pipe of one server, and what has come through it."""

    def __init__(self) -> None:
        self._read, self.write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self.write, False)
        self._rest = b""
        self._sites: dict[int, int] = {}
        """Of processes that were ready."""
        self._many = MANY
        self.ready = 0
        """How often one was."""
        self.failing: set[int] = set()
        """Sites whose last process did not start."""
        self._started: Counter[int] = Counter()
        """Processes by site, without those that were replaced after their number of requests."""
        asyncio.get_running_loop().add_reader(self._read, self.hear)

    def hear(self) -> None:
        """Take note of what has come."""
        with suppress(BlockingIOError):
            data = self._rest + os.read(self._read, AT_ONCE)
            lines, _, rest = data.rpartition(b"\n")
            self._rest = rest[-LONGEST_LINE:]
            for pid, site in _LINE.findall(lines):
                self._take(int(pid), int(site))

    def _take(self, pid: int, site: int) -> None:
        if pid == 0:
            self.failing.add(site)
            return
        self._started[site] += 1 if pid > 0 else -1
        if pid > 0:
            self.ready += 1
            self._sites[pid] = site
            self.failing.discard(site)
            if len(self._sites) > self._many:  # some end again and again
                self._sites = {one: its for one, its in self._sites.items() if _lives(one)}
                self._many = max(MANY, 2 * len(self._sites))

    def pids(self, master: int, site: int) -> list[int]:
        """Return the processes of a site that live, of those that a master has forked."""
        children = children_of(master)
        return sorted(pid for pid in children if self._sites.get(pid) == site)

    def restarts(self, site: int, wanted: int) -> int:
        """Return how many were started beyond those that are wanted."""
        return max(0, self._started[site] - wanted)

    def close(self) -> None:
        """Hear no more."""
        asyncio.get_running_loop().remove_reader(self._read)
        os.close(self._read)
        os.close(self.write)


def children_of(pid: int) -> list[int]:
    """Return the processes that the main thread of a process has forked, see proc(5)."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    except OSError:
        return []
    return [int(word) for word in text.split()]


def _lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()
