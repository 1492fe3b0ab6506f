"""The descriptors of the parent: high numbers, so that a child closes all of them by one call."""

from __future__ import annotations

import fcntl
import os
import resource
from pathlib import Path

from sitefleet.hosting.processes.open_files import raise_limit

#: Numbers below are left to the project, which opens files when it is loaded, and later.
ROOM = 64


class Descriptors:
    """Those that wake the parent, those of sites, and the bell that children ring."""

    def __init__(self, *low: int) -> None:
        self._low = low
        self._before = resource.getrlimit(resource.RLIMIT_NOFILE)
        raise_limit()
        self._base = (
            max((int(path.name) for path in Path("/proc/self/fd").iterdir()), default=0) + ROOM
        )
        self._highest = self._base
        self.woken, self.wake = self._pipe()
        self.heard, self.bell = self._pipe()

    def own(self, descriptor: int) -> int:
        """Return a descriptor under a number of the parent's; the given one is closed."""
        try:
            made = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, self._base)
        finally:
            os.close(descriptor)
        self._highest = max(self._highest, made)
        return made

    def leave(self, listener: int) -> tuple[int, int]:
        """In a child: close all that is the parent's, and have the limit of before.

        Returns the new numbers of the child's listening socket and of the bell.
        """
        for descriptor in self._low:
            os.close(descriptor)
        kept = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 0) for number in (listener, self.bell)]
        os.closerange(self._base, self._highest + 1)
        resource.setrlimit(resource.RLIMIT_NOFILE, self._before)
        return kept[0], kept[1]

    def _pipe(self) -> tuple[int, int]:
        read, write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        return self.own(read), self.own(write)
