"""Requests by site, counted by the processes that answer them, in files that the supervisor reads.

No server tells all of it: which site, how many, and when the last one was. A process has a file of
its own, by a lock that ends with it; the next process takes the file over and counts on. So there
are as many files as there have been processes at once, and none of them is ever put together.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from itertools import count
from struct import Struct
from threading import Lock
from time import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: A row of a file: the id of a site (0: of none), its requests, when the last one was.
ROW = Struct("<qQd")
Key = TypeVar("Key")


class Writer:
    """Counts for this process, and for each that is forked from it."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._lock = Lock()
        self._pid = 0
        self._file: int | None = None
        self._rows: dict[int, list[int]] = {}
        """Of each site where its row is, and its requests."""

    def count(self, site: int) -> None:
        """Count a request of a site; it is lost where nothing can be written."""
        with self._lock:
            if self._pid != os.getpid():
                self._take_file()
            if self._file is None:
                return
            row = self._rows.setdefault(site, [len(self._rows) * ROW.size, 0])
            row[1] += 1
            with suppress(OSError):  # a full disk; the next one that is written has all
                os.pwrite(self._file, ROW.pack(site, row[1], time()), row[0])

    def _take_file(self) -> None:
        """Find a file that no living process has, and count on in it."""
        if self._file is not None:
            os.close(self._file)  # that of the process before the fork
        self._pid, self._file, self._rows = os.getpid(), None, {}
        with suppress(OSError):
            self._file = _lock_one(self._prefix)
            kept = os.pread(self._file, os.fstat(self._file).st_size, 0)
            for at, (site, requests, _) in enumerate(_rows(kept)):
                self._rows[site] = [at * ROW.size, requests]


def forget(folder: Path) -> None:
    """Begin anew: let nothing be counted that is there. Raises OSError."""
    for path in folder.glob("*.*"):
        path.unlink()


class Tally:
    """What has been counted up to now."""

    def __init__(self, folder: Path) -> None:
        self.by_process: dict[str, tuple[int, float]] = {}
        """Requests, and when the last one was (seconds since 1970), by what the files are named."""
        self.by_site: dict[int, tuple[int, float]] = {}
        for path in folder.glob("*.*"):
            with suppress(OSError):
                for site, requests, last in _rows(path.read_bytes()):
                    _add(self.by_process, path.stem, requests, last)
                    _add(self.by_site, site, requests, last)


def _add(table: dict[Key, tuple[int, float]], key: Key, requests: int, last: float) -> None:
    before = table.get(key, (0, 0.0))
    table[key] = (before[0] + requests, max(before[1], last))


def _lock_one(prefix: str) -> int:
    for number in count():
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.open(f"{prefix}.{number}", flags, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
        else:
            return file
    raise AssertionError


def _rows(data: bytes) -> Iterator[tuple[int, int, float]]:
    return ROW.iter_unpack(data[: len(data) // ROW.size * ROW.size])
