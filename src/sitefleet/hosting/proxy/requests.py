"""The head of a request: read by llhttp, and refused where servers could read it in two ways.

Sources: RFC 9110 and 9112; the rules against request smuggling are those of RFC 9112 3.2, 5, 6.3.
"""

from __future__ import annotations

import re
from functools import lru_cache

import httptools

from sitefleet import hosts
from sitefleet.exceptions import InvalidHost

LARGEST_HEAD = 64 * 1024
#: Methods that may be sent again when no answer came (RFC 9110 9.2.2).
REPEATABLE = frozenset({b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"TRACE"})
_ABSOLUTE = re.compile(rb"https?://([^/?#]*)([^#]*)", re.IGNORECASE)
_LENGTH = re.compile(rb"[0-9]{1,18}")
#: Empty lines before a request; RFC 9112 2.2 asks to pass over one at least.
MOST_EMPTY_LINES = 4
_LINE_END = b"\r\n"
_END = b"\r\n\r\n"
_LINE_ENDS = (b" HTTP/1.1", b" HTTP/1.0")


class BadRequest(ValueError):
    """A request is refused, with a status and the reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason


class Request:
    """The head of one request."""

    __slots__ = (
        "chunked",
        "expects",
        "headers",
        "host",
        "is_old",
        "keep_alive",
        "length",
        "method",
        "name",
        "named",
        "target",
        "websocket",
    )

    def __init__(self, method: bytes, target: bytes, headers: list[tuple[bytes, bytes]]) -> None:
        self.method = method
        self.target = target
        """As the server gets it: in origin form, or ``*``."""
        self.headers = headers
        """All but Host, as they came."""
        self.host = b""
        """As it came."""
        self.name = ""
        """The host in normal form, without its port."""
        self.is_old = False
        """Whether it speaks HTTP/1.0."""
        self.keep_alive = True
        self.length = 0
        """Bytes of its body; 0 when it is chunked."""
        self.chunked = False
        self.expects = False
        """Whether its body waits for ``100 Continue``."""
        self.websocket = False
        self.named: frozenset[bytes] = frozenset()
        """Headers that its Connection header names, in lower case."""

    @property
    def has_body(self) -> bool:
        """Whether a body follows."""
        return self.chunked or self.length > 0


class _Head:
    """What llhttp calls."""

    def __init__(self) -> None:
        self.target = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.is_complete = False

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        self.is_complete = True


def split_head(data: bytes) -> tuple[bytes, bytes]:
    """Return the head of a request with its empty line (empty when it is not complete), and more.

    A few empty lines before it are dropped (RFC 9112 2.2), once it is complete. Raises BadRequest
    for what can become none.
    """
    start = 0
    while data.startswith(_LINE_END, start):
        start += len(_LINE_END)
        if start > MOST_EMPTY_LINES * len(_LINE_END):
            raise BadRequest(400, "There are too many empty lines before the request.")
    found = data.find(_END, start)
    end = found + len(_END)
    if found >= 0 and end - start <= LARGEST_HEAD:
        return data[start:end], data[end:]
    rest = data[start:] if start else data
    if rest not in (b"", b"\r"):
        _check_start(rest)
    return b"", data


def _check_start(data: bytes) -> None:
    if len(data) > LARGEST_HEAD:
        raise BadRequest(431, f"The head of the request is larger than {LARGEST_HEAD} bytes.")
    if data[:1] == b"\x16":
        raise BadRequest(400, "This port speaks http://, not https://.")
    if not data[:1].isalpha() or data.count(b"\n") != data.count(_LINE_END):
        raise BadRequest(400, "This is no HTTP request.")


def parse_request(data: bytes) -> Request:
    """Return the request whose head ``data`` is, with its empty line. Raises BadRequest."""
    _check_start(data)
    line = data[: data.find(b"\r\n")]
    if not line.endswith(_LINE_ENDS):
        raise BadRequest(505 if b" HTTP/" in line else 400, "This server speaks HTTP/1.1.")
    head = _Head()
    parser = httptools.HttpRequestParser(head)
    try:
        parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserInvalidMethodError:
        raise BadRequest(501, "There is no such method.") from None
    except httptools.HttpParserError as error:
        raise BadRequest(400, f"This is no HTTP request: {error}.") from None
    if not head.is_complete:
        raise BadRequest(400, "This is no HTTP request.")
    request = Request(parser.get_method(), head.target, [])
    request.is_old = line.endswith(_LINE_ENDS[1])
    _read_headers(request, head.headers)
    _read_target(request)
    if request.host:
        request.name = _name(request.host)
    return request


def _read_headers(request: Request, headers: list[tuple[bytes, bytes]]) -> None:
    found: dict[bytes, list[bytes]] = {}
    for header in headers:
        lower = header[0].lower()
        if lower in _READ:
            found.setdefault(lower, []).append(header[1])
        if lower != b"host":
            request.headers.append(header)
    _read_host(request, found.get(b"host", []))
    _read_framing(request, found)
    named = frozenset(
        word.strip(b" \t").lower()
        for value in found.get(b"connection", ())
        for word in value.split(b",")
    )
    request.named = named
    request.keep_alive = b"close" not in named and (not request.is_old or b"keep-alive" in named)
    if b"expect" in found and not request.is_old:
        request.expects = found[b"expect"][0].lower() == b"100-continue"
    if b"upgrade" in named and not request.is_old and request.method == b"GET":
        wanted = [value.lower() for value in found.get(b"upgrade", ())]
        request.websocket = wanted == [b"websocket"] and not request.has_body


_READ = frozenset(
    {b"connection", b"content-length", b"expect", b"host", b"transfer-encoding", b"upgrade"}
)


def _read_host(request: Request, values: list[bytes]) -> None:
    if len(values) > 1:
        raise BadRequest(400, "The request has two Host headers.")
    if values:
        request.host = values[0]
    if not request.host and not (request.is_old and not values):
        raise BadRequest(400, "The request has no Host header.")


def _read_framing(request: Request, found: dict[bytes, list[bytes]]) -> None:
    # llhttp refuses most of this; it is checked here too, as all depends on it.
    lengths = found.get(b"content-length", [])
    codings = found.get(b"transfer-encoding", [])
    if codings:
        if lengths or request.is_old or [value.lower() for value in codings] != [b"chunked"]:
            raise BadRequest(400, "Transfer-Encoding can only be chunked, without Content-Length.")
        request.chunked = True
    elif lengths:
        if len(lengths) > 1 or not _LENGTH.fullmatch(lengths[0]):
            raise BadRequest(400, "Content-Length is one number.")
        request.length = int(lengths[0])


def _read_target(request: Request) -> None:
    target = request.target
    if request.method == b"CONNECT":
        raise BadRequest(405, "This server is no forward proxy.")
    if b"#" in target:
        raise BadRequest(400, "The address of a request has no fragment (#).")
    if target.startswith(b"/") or (target == b"*" and request.method == b"OPTIONS"):
        return
    found = _ABSOLUTE.fullmatch(target)
    if found is None or b"@" in found[1] or not found[1]:
        raise BadRequest(400, "The address of the request cannot be used.")
    # RFC 9112 3.2.2: the host of the target counts, what Host says does not.
    request.host = found[1]
    rest = found[2]
    if not rest and request.method == b"OPTIONS":
        rest = b"*"
    request.target = rest if rest.startswith((b"/", b"*")) else b"/" + rest


def _name(host: bytes) -> str:
    try:
        return _normal_name(host)
    except InvalidHost as error:
        raise BadRequest(400, f"{error}.") from None


@lru_cache(maxsize=4096)
def _normal_name(host: bytes) -> str:
    return hosts.split(hosts.normalize_header(host.decode("latin-1")))[0]
