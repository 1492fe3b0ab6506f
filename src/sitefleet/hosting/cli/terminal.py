"""How the command shows things: lines, tables, colours and progress where there is a terminal."""

from __future__ import annotations

import os
import shutil
import textwrap
from typing import TYPE_CHECKING, TextIO

from sitefleet.terminal import Progress, columns, leave_to_nobody, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

GREEN, YELLOW, RED, GREY = 32, 33, 31, 90
#: For the lines of processes, by name.
PALETTE = (36, 35, 34, 33, 32, 96, 95, 94)


class Terminal:
    """Where the command writes to."""

    goes_on = False
    """Whether the command goes on where nobody reads any more what it writes."""

    def __init__(self, stream: TextIO, error: TextIO | None = None) -> None:
        self.stream = stream
        self.is_live = stream.isatty()
        self.colours = self.is_live and not os.environ.get("NO_COLOR")
        self._bar = Progress(stream=error)

    def line(self, text: str = "") -> None:
        """Write a line."""
        self._bar.clear()
        try:
            self.stream.write(f"{text}\n")
            self.stream.flush()
        except OSError:
            if not self.goes_on:
                raise
            leave_to_nobody(self.stream)

    def paint(self, text: str, colour: int) -> str:
        """Return a text in a colour, where colours are."""
        return f"\x1b[{colour}m{text}\x1b[0m" if self.colours else text

    def named(self, name: str, text: str) -> None:
        """Write a line of a process behind its name."""
        colour = PALETTE[sum(name.encode()) % len(PALETTE)]
        self.line(f"{self.paint(f'{printable(name):<12}', colour)} {printable(text)}")

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
        """Return rows below a head, in columns no wider than the terminal.

        Each is one item: where the last column has no room it goes on below, in lines of the same
        item.
        """
        clean = [tuple(map(printable, row)) for row in rows]
        made = columns(head, clean)
        width = shutil.get_terminal_size().columns
        if self.is_live and max(map(len, made)) > width:
            made = _wrapped(head, clean, width)
        return [self.paint(made[0], GREY), *made[1:]]

    def fitting(self, lines: Sequence[str]) -> list[str]:
        """Return as many lines as there is room for, and how many more there are."""
        room = shutil.get_terminal_size().lines - 1
        if len(lines) <= room:
            return list(lines)
        return [*lines[: room - 1], f"... and {len(lines) - room + 1} more lines"]

    def progress(self, done: int, total: int, label: str = "") -> None:
        """Show on a terminal that ``done`` of ``total`` is done; nothing more when all is."""
        if done < total:
            self._bar(done, total, label)
        else:
            self._bar.clear()


#: The last column is wrapped in its place where it has that many characters, else below its row.
NARROWEST = 24
INDENT = 4


def _wrapped(head: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    front = columns(head[:-1], [row[:-1] for row in rows])
    start = max(map(len, front)) + 2
    beside = width - start >= NARROWEST
    indent = " " * (start if beside else INDENT)
    lines = []
    for line, (*_, last) in zip(front, [head, *rows], strict=True):
        parts = textwrap.wrap(last, width - len(indent)) or [""]
        if beside:
            first, *more = parts
            lines.append(
                "\n".join([f"{line:<{start}}{first}".rstrip(), *(indent + p for p in more)])
            )
        else:
            lines.append("\n".join([line[:width], *(indent + p for p in parts if p)]))
    return lines


def ago(seconds: float) -> str:
    """Return how long ago something was, for people."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit} ago"
    return f"{max(0.0, seconds):.0f} s ago"


def megabytes(number: int | None) -> str:
    """Return bytes in megabytes, for people."""
    return "" if number is None else f"{number / 1_000_000:.1f} MB"
