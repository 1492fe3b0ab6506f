"""What processes say: a file for each, and the terminal of who started the fleet.

All of it goes through the supervisor, by pipes: a full disk costs lines of a log and no request.
A line that begins with a *mark* belongs to one site of a process that serves several.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from sitefleet.hosting.run_dir import RunDir

#: Stands around the key of an instance at the start of a line: no program writes that by itself.
MARK = "\x1e"
LARGEST = 10_000_000


class Logs:
    """Writes lines to the log of an instance, and shows them; never raises."""

    def __init__(self, run_dir: RunDir, show: Callable[[str, str], None] | None = None) -> None:
        self.run_dir = run_dir
        self.show = show or (lambda _name, _line: None)
        self.lost = 0
        """Lines that could not be written."""

    def write(self, name: str, line: str) -> None:
        """Write one line of the process ``name``, or of the instance that its mark names."""
        if line.startswith(MARK):
            _, marked, line = line.split(MARK, 2) if line.count(MARK) > 1 else ("", name, line[1:])
            name = marked if marked.replace("-", "").isalnum() else name
        self.show(name, line)
        path = self.run_dir.logs / f"{name}.log"
        try:
            with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(f"{line}\n")
                large = file.tell() > LARGEST
            if large:
                path.replace(path.with_suffix(".log.1"))
        except OSError:
            self.lost += 1


def marked(key: str, line: str) -> str:
    """Return a line with the mark of an instance."""
    return f"{MARK}{key}{MARK}{line}"


class MarkedOutput:
    """Stands in for ``sys.stdout`` and ``sys.stderr`` in a process of one site: marks its lines."""

    def __init__(self, key: str, descriptor: int) -> None:
        self._key, self._descriptor, self._rest = key, descriptor, ""

    encoding, errors = "utf-8", "backslashreplace"

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
        """It is no terminal."""
        return False

    def fileno(self) -> int:
        """Return the descriptor below."""
        return self._descriptor

    def _emit(self, line: str) -> None:
        data = f"{marked(self._key, line)}\n".encode("utf-8", "backslashreplace")
        try:
            os.write(self._descriptor, data[:4000] + (b"\n" if len(data) > 4000 else b""))
        except OSError:
            pass


def install_marked_output(key: str) -> None:
    """Mark what this process says from now on."""
    sys.stdout = MarkedOutput(key, 1)  # type: ignore[assignment]
    sys.stderr = MarkedOutput(key, 2)  # type: ignore[assignment]
