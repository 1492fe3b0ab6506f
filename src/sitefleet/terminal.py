"""What commands show on a terminal: text that writes only itself, columns, a bar."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BAR_WIDTH = 24
#: Characters of a progress bar at most: a longer one would go on in the next line, and stay there.
LONGEST_BAR = 200
#: What shells report for a process that was ended by SIGINT: 128 and its number.
INTERRUPTED = 130
#: The same for SIGPIPE, by which programs end whose output nobody reads any more.
UNREAD = 141


def printable(text: str, kept: str = "") -> str:
    """Return a text whose every character is seen as what it is, but for those in ``kept``.

    Names may come in past the forms: control characters and those that turn the direction of text
    would let one of them write other lines than its own.
    """
    return "".join(
        char if char.isprintable() or char in kept else char.encode("unicode_escape").decode()
        for char in text
    )


def few(names: Sequence[str], most: int) -> str:
    """Return as many of the names as that, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows below a head, each a line, in columns."""
    lines = [head, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]


@contextmanager
def ending_with_its_reader() -> Iterator[None]:
    """End quietly where nobody reads any more what is written: ``manage.py sites | head -1``.

    Raises SystemExit: with `UNREAD` then, with a reason where there is no room for it.
    """
    try:
        try:
            yield
        finally:
            _write_the_rest()
    except BrokenPipeError:
        leave_to_nobody(sys.stdout, sys.stderr)
        sys.exit(UNREAD)


def _write_the_rest() -> None:
    """Write what is in the buffer: else Python would do so at its end, and complain."""
    try:
        if sys.stdout is not None:  # it may be closed
            sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:  # a full disk
        leave_to_nobody(sys.stdout)
        sys.exit(f"Standard output took no more: {error.strerror}.")


def leave_to_nobody(*streams: TextIO | None) -> None:
    """Let what is written to these go nowhere, and what is left in them, where nobody reads it."""
    for stream in filter(None, streams):  # one may be closed
        try:
            stream.flush()
        except OSError:
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, stream.fileno())
            os.close(nothing)


def open_standard_streams() -> None:
    """Open those of standard input, output and errors that this process was started without.

    Else the next files that it opens would get their numbers, and what others are told there.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
            setattr(sys, name, os.fdopen(number, mode, closefd=False))


class Progress:
    """A progress bar on standard error, on a terminal only; ``quiet`` leaves it out."""

    def __init__(self, *, quiet: bool = False, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.shown = not quiet and self.stream.isatty()
        self._drawn = False

    def __call__(self, done: int, total: int, label: str = "") -> None:
        """Show that ``done`` of ``total`` is done."""
        if not self.shown:
            return
        filled = BAR_WIDTH * done // max(total, 1)
        bar = "#" * filled + "." * (BAR_WIDTH - filled)
        self.stream.write(f"\r\x1b[K[{bar}] {done}/{total} {label}"[:LONGEST_BAR])
        self.stream.flush()
        self._drawn = True

    def clear(self) -> None:
        """Take the bar away, so that a line can be written."""
        if self._drawn:
            self._drawn = False
            self.stream.write("\r\x1b[K")
            self.stream.flush()
