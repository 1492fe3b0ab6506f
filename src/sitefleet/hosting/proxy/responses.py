"""The head of a response: read just far enough to know where it ends, and to pass it on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sitefleet.hosting.proxy.bodies import Body, Chunks, Sized, UntilEnd

if TYPE_CHECKING:
    from sitefleet.hosting.proxy.requests import Request

LARGEST_HEAD = 64 * 1024
SWITCHING = 101
NO_CONTENT, NOT_MODIFIED = 204, 304
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: ([\t\x20-\x7e\x80-\xff]*))?")
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_LENGTH = re.compile(rb"[0-9]{1,18}")
_DROPPED = frozenset(
    {
        b"connection",
        b"content-length",
        b"keep-alive",
        b"proxy-connection",
        b"te",  # codespell:ignore te
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)


class BadResponse(ValueError):
    """What an instance has sent is no HTTP response."""


class Response:
    """The head of one response."""

    __slots__ = ("chunked", "length", "lines", "named", "reason", "status", "upgrade")

    def __init__(self, status: int, reason: bytes) -> None:
        self.status = status
        self.reason = reason
        self.lines: list[bytes] = []
        """Headers to pass on, as they came."""
        self.chunked = False
        self.length: int | None = None
        """Bytes of its body; None: it says none."""
        self.upgrade = b""
        self.named: frozenset[bytes] = frozenset()

    @property
    def is_interim(self) -> bool:
        """Whether another response follows."""
        return self.status < 200 and self.status != SWITCHING  # noqa: PLR2004 - 1xx

    def body(self, request: Request) -> Body:
        """Return the body that follows, RFC 9112 6.3."""
        if request.method == b"HEAD" or self.status in (NO_CONTENT, NOT_MODIFIED):
            return Sized(0)
        if self.chunked:
            return Chunks()
        return UntilEnd() if self.length is None else Sized(self.length)


def parse_response(head: bytes) -> Response:
    """Return the response whose head this is, without its empty line. Raises BadResponse."""
    first, *lines = head.split(b"\r\n")
    found = _STATUS.fullmatch(first)
    # What ends no line is taken for an end by some, or cuts the value off.
    stray = head.count(b"\r") != len(lines) or head.count(b"\n") != len(lines) or b"\0" in head
    if found is None or stray:
        raise BadResponse("this is no HTTP response")
    response = Response(int(found[2]), found[3] or b"")
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or _NAME.fullmatch(name) is None:
            raise BadResponse("a header cannot be read")
        lower = name.lower()
        if lower in _DROPPED:
            _read(response, lower, value.strip(b" \t"))
        else:
            response.lines.append(line)
    if response.named:
        response.lines = [
            line for line in response.lines if line.partition(b":")[0].lower() not in response.named
        ]
    return response


def _read(response: Response, lower: bytes, value: bytes) -> None:
    if lower == b"content-length":
        if not _LENGTH.fullmatch(value) or response.length not in (None, int(value)):
            raise BadResponse("Content-Length is no number")
        response.length = int(value)
    elif lower == b"transfer-encoding":
        if value.lower() != b"chunked" or response.chunked:
            raise BadResponse("Transfer-Encoding is not chunked")
        response.chunked = True
    elif lower == b"upgrade":
        response.upgrade = value
    elif lower == b"connection":
        words = (word.strip(b" \t").lower() for word in value.split(b","))
        response.named |= {word for word in words if word not in (b"close", b"keep-alive", b"")}


def render(response: Response, request: Request, *, keep_alive: bool) -> bytes:
    """Return the head as the client gets it."""
    lines = [b"HTTP/1.1 %d %b" % (response.status, response.reason), *response.lines]
    if response.status == SWITCHING:
        lines.append(b"Connection: Upgrade\r\nUpgrade: " + response.upgrade)
    elif not response.is_interim:
        lines += _framing(response, request)
        if not keep_alive:
            lines.append(b"Connection: close")
        elif request.is_old:
            lines.append(b"Connection: keep-alive")
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _framing(response: Response, request: Request) -> list[bytes]:
    if response.chunked:
        # To HTTP/1.0 it is sent unchunked, up to the end of the connection.
        is_sent = not request.is_old and response.status != NO_CONTENT
        return [b"Transfer-Encoding: chunked"] if is_sent else []
    if response.length is not None and response.status != NO_CONTENT:
        return [b"Content-Length: %d" % response.length]
    return []
