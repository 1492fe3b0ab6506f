"""What processes say: a file for each, and the terminal of who started the fleet.

All of it goes through the supervisor, by pipes: a full disk costs lines of a log and no request.
A line that begins with a *mark* belongs to one site of a process that serves several.
"""

from __future__ import annotations

import io
import os
import re
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from _typeshed import ReadableBuffer

    from sitefleet.hosting.processes.run_dir import RunDir

#: Stands around the key of an instance at the start of a line: no program writes that by itself.
MARK = "\x1e"
#: The mark of a site; which process may set which, `speaker_of` knows.
_MARKED = re.compile(rf"{MARK}(site-[0-9]{{1,19}}){MARK}")
#: The log of what is said about the fleet as a whole.
OWN = "fleet"
#: Bytes of a log; the one before is kept, as ``.log.1``.
LARGEST = 10_000_000
LONG_LINE = 2000
#: Logs that are kept open: to open one for each line takes longer than to write it.
MOST_OPEN = 16
#: Bytes that arrive in one piece, whoever writes to the pipe meanwhile: PIPE_BUF is 4096.
LONGEST_PIECE = 4000


class Logs:
    """Writes lines to the log of an instance, and shows them; never raises."""

    def __init__(self, run_dir: RunDir, show: Callable[[str, str], None] | None = None) -> None:
        self.run_dir = run_dir
        self.show = show or (lambda _name, _line: None)
        self.lost = 0
        """Lines that could not be written since lines could be."""
        self._folder = str(run_dir.logs)
        self._opened: dict[str, int] = {}
        """Descriptors of logs by path, those used last at the end."""

    def write(self, name: str, line: str) -> None:
        """Write one line of the process or instance ``name``."""
        self._show(name, line)
        self.keep(name, line)

    def keep(self, name: str, line: str) -> None:
        """Write one line that is shown in another way."""
        try:
            self._append(name, line)
            if self.lost and _has_room(self._folder):  # else it was a short line in a last block
                self._append(OWN, f"{self.lost} lines could not be written to the logs before.")
                self.lost = 0
        except OSError as error:
            if not self.lost:
                told = f"The logs cannot be written ({error.strerror}): lines of them are lost."
                self._show(OWN, told)
            self.lost += 1

    def last(self, name: str, lines: int, since: str = "") -> list[str]:
        """Return the last lines of a log, none from before the `stamp` ``since``.

        Raises OSError where there is no such log.
        """
        with (self.run_dir.logs / f"{name}.log").open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - lines * LONG_LINE))
            return [line for line in lines_of(file.read())[-lines:] if line >= since]

    def _show(self, name: str, line: str) -> None:
        with suppress(OSError):  # the terminal is gone
            self.show(name, line)

    def _append(self, name: str, line: str) -> None:
        path = f"{self._folder}/{name}.log"
        data = f"{stamp()} {line}\n".encode("utf-8", "backslashreplace")
        handle, size = self._open(path)
        size += len(data)
        while data:
            data = data[os.write(handle, data) :]
        if size > LARGEST:
            os.replace(path, f"{path}.1")  # noqa: PTH105 - thousands of lines a second

    def _open(self, path: str) -> tuple[int, int]:
        """Return the descriptor of a log, and how many bytes it has."""
        handle = self._opened.pop(path, None)
        if handle is not None:
            now, then = _stat(path), os.fstat(handle)
            if now is not None and os.path.samestat(now, then):
                self._opened[path] = handle  # the last one that was used
                return handle, then.st_size
            os.close(handle)  # it was taken away, by us or by others
        if len(self._opened) >= MOST_OPEN:
            os.close(self._opened.pop(next(iter(self._opened))))
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        handle = self._opened[path] = os.open(path, flags, 0o600)
        return handle, os.fstat(handle).st_size

    def __del__(self) -> None:
        for handle in self._opened.values():
            os.close(handle)


def _has_room(folder: str) -> bool:
    found = os.statvfs(folder)
    return found.f_bavail > 0 and (found.f_favail > 0 or not found.f_files)


def _stat(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)  # noqa: PTH116 - thousands of lines a second
    except FileNotFoundError:
        return None


def stamp() -> str:
    """Return the time as logs have it: ISO 8601, in UTC, so that lines sort by it as text."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"


def lines_of(data: bytes) -> list[str]:
    """Return the lines of a log: ``str.splitlines`` would split at what is part of one."""
    return data.decode("utf-8", "backslashreplace").removesuffix("\n").split("\n")


def speaker_of(line: str, name: str, keys: Collection[str]) -> tuple[str, str]:
    """Return whose line of the process ``name`` this is, and the line without its mark.

    That of the process itself, unless the mark names one of the instances that it serves: nobody
    writes into the logs of others, or makes some.
    """
    found = _MARKED.match(line) if keys else None
    if found is None or found[1] not in keys:
        return name, line.replace(MARK, "") if line.startswith(MARK) else line
    return found[1], line[found.end() :]


def marked(key: str, line: str) -> str:
    """Return a line with the mark of an instance."""
    return f"{MARK}{key}{MARK}{line}"


class MarkedOutput(io.TextIOBase):
    """Stands in for ``sys.stdout`` and ``sys.stderr`` in a process of one site: marks its lines."""

    def __init__(self, key: str, descriptor: int) -> None:
        super().__init__()
        self.key, self._descriptor, self._rest = key, descriptor, ""
        self.buffer = MarkedBytes(self)
        """Where bytes are written, as to that of ``sys.stdout``."""

    encoding, errors = "utf-8", "backslashreplace"

    def writable(self) -> bool:
        """Return that it can be written to."""
        return True

    def write(self, text: str) -> int:
        """Write whole lines, each in one piece; a full disk or a closed pipe is no error."""
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._emit(line)
        return len(text)

    def flush(self) -> None:
        """Write what is left of a line."""
        if self._rest:
            self._emit(self._rest)
            self._rest = ""

    def isatty(self) -> bool:
        """Return that it is no terminal."""
        return False

    def fileno(self) -> int:
        """Return the descriptor below."""
        return self._descriptor

    def _emit(self, line: str) -> None:
        text = marked(self.key, line) if self.key else line
        data = f"{text}\n".encode("utf-8", "backslashreplace")
        if len(data) > LONGEST_PIECE:
            data = data[:LONGEST_PIECE] + b"\n"
        with suppress(OSError):
            os.write(self._descriptor, data)


class MarkedBytes(io.BufferedIOBase):
    """The ``buffer`` of a `MarkedOutput`: what is no UTF-8 is written with backslashes."""

    def __init__(self, output: MarkedOutput) -> None:
        super().__init__()
        self._output = output

    def writable(self) -> bool:
        """Return that it can be written to."""
        return True

    def write(self, data: ReadableBuffer) -> int:
        """Write whole lines."""
        text = bytes(data)
        self._output.write(text.decode("utf-8", "backslashreplace"))
        return len(text)

    def flush(self) -> None:
        """Write what is left of a line."""
        self._output.flush()

    def isatty(self) -> bool:
        """Return that it is no terminal."""
        return False

    def fileno(self) -> int:
        """Return the descriptor below."""
        return self._output.fileno()


def install_marked_output(key: str) -> None:
    """Mark what this process says from now on.

    Empty in a process that is going to be forked, and is to get its key then: handlers of `logging`
    hold on to the streams that were there when they were made.
    """
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if isinstance(stream, MarkedOutput):
            stream.key = key
        else:
            setattr(sys, name, MarkedOutput(key, descriptor))
