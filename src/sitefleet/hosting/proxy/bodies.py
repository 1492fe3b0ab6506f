"""Bodies of messages, read piece by piece: where each ends (RFC 9112 6 and 7.1).

A router and the server behind it must never differ on where a message ends; so whatever is unusual
in a chunked body (white space, a bare line feed, a number that is too large) is refused, and what
goes on is written anew.
"""

from __future__ import annotations

import re

LONGEST_LINE = 4096
LONGEST_TRAILERS = 16 * 1024
END = b"0\r\n\r\n"
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;[\t\x20-\x7e\x80-\xff]*)?")
_TRAILER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*")


class BadChunk(ValueError):
    """What was sent is not chunked as RFC 9112 has it."""


class Sized:
    """A body of so many bytes."""

    __slots__ = ("_left", "done", "rest")

    def __init__(self, length: int) -> None:
        self._left = length
        self.done = not length
        self.rest = b""
        """What came after the end."""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the pieces that the data holds."""
        if len(data) > self._left:
            data, self.rest = data[: self._left], data[self._left :]
        self._left -= len(data)
        self.done = not self._left
        return [data]


class UntilEnd:
    """A body that ends with its connection."""

    __slots__ = ()
    done = False
    rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the pieces that the data holds."""
        return [data]


class Chunks:
    """A chunked body: gives what the chunks carry; extensions and trailers are dropped."""

    __slots__ = ("_held", "_left", "_state", "_trailers", "done", "rest")

    def __init__(self) -> None:
        self._held = b""
        self._left = 0
        self._state = "size"
        self._trailers = 0
        self.done = False
        self.rest = b""
        """What came after the end."""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the pieces that the data holds. Raises BadChunk."""
        if self._held:
            data, self._held = self._held + data, b""
        pieces: list[bytes] = []
        at = 0
        while not self.done:
            if self._state == "data":
                piece = data[at : at + self._left]
                if not piece:
                    return pieces
                pieces.append(piece)
                at += len(piece)
                self._left -= len(piece)
                if not self._left:
                    self._state = "end"
                continue
            end = data.find(b"\r\n", at)
            if end < 0:
                self._hold(data[at:])
                return pieces
            self._line(data[at:end])
            at = end + 2
        self.rest = data[at:]
        return pieces

    def _hold(self, start: bytes) -> None:
        limit = 1 if self._state == "end" else LONGEST_LINE
        if b"\n" in start or len(start) > limit or (limit == 1 and start not in (b"", b"\r")):
            raise BadChunk("a line of a chunk does not end")
        self._held = start

    def _line(self, line: bytes) -> None:
        if self._state == "end":
            if line:
                raise BadChunk("a chunk is longer than it says")
            self._state = "size"
        elif self._state == "size":
            found = _SIZE.fullmatch(line) if len(line) <= LONGEST_LINE else None
            if found is None:
                raise BadChunk("the size of a chunk is no number")
            self._left = int(found[1], 16)
            self._state = "data" if self._left else "trailers"
        elif not line:
            self.done = True
        else:
            self._trailers += len(line)
            if self._trailers > LONGEST_TRAILERS or _TRAILER.fullmatch(line) is None:
                raise BadChunk("what follows the last chunk is no header")


def chunk(pieces: list[bytes]) -> bytes:
    """Return pieces of data as one chunk; nothing for nothing, since an empty chunk is the end."""
    data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


Body = Sized | UntilEnd | Chunks
