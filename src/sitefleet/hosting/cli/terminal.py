"""How the command shows things: lines, tables, colours and progress where there is a terminal."""

from __future__ import annotations

import os
import shutil
import sys
from time import monotonic
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Sequence

BAR_WIDTH = 24
GREEN, YELLOW, RED, GREY = 32, 33, 31, 90
#: For the lines of processes, by name.
PALETTE = (36, 35, 34, 33, 32, 96, 95, 94)


def printable(text: str) -> str:
    """Return a text whose every character is seen as what it is.

    Names come from the database: control characters and those that turn the direction of text
    would let one of them write to the whole terminal.
    """
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


class Terminal:
    """Where the command writes to."""

    def __init__(self, stream: TextIO, error: TextIO | None = None) -> None:
        self.stream = stream
        self.error = error or sys.stderr
        self.is_live = stream.isatty()
        self.colours = self.is_live and not os.environ.get("NO_COLOR")
        self._started = monotonic()
        self._bar = False

    def line(self, text: str = "") -> None:
        """Write a line."""
        self.clear()
        self.stream.write(f"{text}\n")
        self.stream.flush()

    def paint(self, text: str, colour: int) -> str:
        """Return a text in a colour, where colours are."""
        return f"\x1b[{colour}m{text}\x1b[0m" if self.colours else text

    def named(self, name: str, text: str) -> None:
        """Write a line of a process behind its name."""
        colour = PALETTE[sum(name.encode()) % len(PALETTE)]
        self.line(f"{self.paint(f'{printable(name):<12}', colour)} {printable(text)}")

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
        """Return rows below a head, in columns no wider than the terminal."""
        lines = [tuple(head), *(tuple(printable(cell) for cell in row) for row in rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        made = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        ]
        if self.is_live:
            width = shutil.get_terminal_size().columns
            made = [line[:width] for line in made]
        return [self.paint(made[0], GREY), *made[1:]]

    def fitting(self, lines: Sequence[str]) -> list[str]:
        """Return as many lines as there is room for, and how many more there are."""
        room = shutil.get_terminal_size().lines - 1
        if len(lines) <= room:
            return list(lines)
        return [*lines[: room - 1], f"... and {len(lines) - room + 1} more lines"]

    def progress(self, done: int, total: int, label: str = "") -> None:
        """Show on a terminal that ``done`` of ``total`` is done, after a second."""
        if not self.error.isatty() or (done and monotonic() - self._started < 1):
            return
        if done < total:
            bar = "#" * (BAR_WIDTH * done // total)
            self.error.write(f"\r\x1b[K[{bar:.<{BAR_WIDTH}}] {label}")
            self.error.flush()
            self._bar = True
        else:
            self.clear()

    def clear(self) -> None:
        """Take the bar away."""
        if self._bar:
            self.error.write("\r\x1b[K")
            self.error.flush()
            self._bar = False


def ago(seconds: float) -> str:
    """Return how long ago something was, for people."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit} ago"
    return f"{max(0.0, seconds):.0f} s ago"


def megabytes(number: int | None) -> str:
    """Return bytes in megabytes, for people."""
    return "" if number is None else f"{number / 1_000_000:.1f} MB"
