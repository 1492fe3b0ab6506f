"""What a request becomes on its way to the instance: headers of one hop go, forwarding is told.

Sources: RFC 9110 7.6.1 (Connection); underscores: CGI's variables, and so
WSGI's, cannot tell ``X_Forwarded_For`` from ``X-Forwarded-For``.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sitefleet.hosting.proxy.requests import Request

#: Never passed on: they speak of this connection, or are written anew.
DROPPED = frozenset(
    {
        b"connection",
        b"content-length",
        b"expect",  # the router has answered it
        b"host",
        b"keep-alive",
        b"proxy",  # becomes HTTP_PROXY, which programs take for their proxy's address
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",  # codespell:ignore te
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
PREFIX = b"x-forwarded-"
_KEPT = (b"x-forwarded-proto", b"x-forwarded-host", b"x-real-ip")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Peer:
    """Who is at the other end of a connection, as far as instances are told."""

    __slots__ = ("_plain", "address", "default_host", "is_trusted")

    def __init__(self, address: str, own: tuple[str, int], *, is_trusted: bool = False) -> None:
        self.address = address.partition("%")[0].encode("ascii", "replace")
        host = f"[{own[0]}]" if ":" in own[0] else own[0]
        self.default_host = f"{host}:{own[1]}".encode()
        """Where it came to: the host of a request in HTTP/1.0 that names none."""
        self.is_trusted = is_trusted
        self._plain = b"X-Forwarded-For: %b\r\nX-Real-IP: %b\r\nX-Forwarded-Proto: http\r\n" % (
            self.address,
            self.address,
        )

    def headers(self, request: Request, sent: dict[bytes, list[bytes]]) -> bytes:
        """Return the headers that tell of it; ``sent`` are those that came, if it is trusted."""
        host = request.host or self.default_host
        if not sent:
            return b"%bX-Forwarded-Host: %b\r\n" % (self._plain, host)
        before = sent.get(b"x-forwarded-for", [])
        lines = [b"X-Forwarded-For: " + b", ".join([*before, self.address])]
        defaults = (b"http", host, self.address)
        for name, default in zip(_KEPT, defaults, strict=True):
            lines.append(b"%b: %b" % (name.title(), b", ".join(sent.get(name, [default]))))
        others = [name for name in sent if name not in _WRITTEN]
        lines += [b"%b: %b" % (name.title(), value) for name in others for value in sent[name]]
        return b"\r\n".join(lines) + b"\r\n"


_WRITTEN = frozenset({*_KEPT, b"x-forwarded-for"})


def rewrite(request: Request, peer: Peer) -> bytes:
    """Return the head of a request as the instance gets it."""
    dropped = DROPPED | request.named if request.named else DROPPED
    host = request.host or peer.default_host
    lines = [b"%b %b HTTP/1.1\r\nHost: %b" % (request.method, request.target, host)]
    sent: dict[bytes, list[bytes]] = {}
    for name, value in request.headers:
        lower = name.lower()
        if _tells_of_peers(lower):
            if peer.is_trusted and lower not in request.named:
                sent.setdefault(lower, []).append(value)
        elif not (lower in dropped or b"_" in name):
            lines.append(b"%b: %b" % (name, value))
    if request.chunked:
        lines.append(b"Transfer-Encoding: chunked")
    elif request.length or request.method in _WITH_LENGTH:
        lines.append(b"Content-Length: %d" % request.length)
    if request.websocket:
        lines.append(b"Connection: Upgrade\r\nUpgrade: websocket")
    else:
        lines.append(b"Connection: close")
    return b"\r\n".join(lines) + b"\r\n" + peer.headers(request, sent) + b"\r\n"


_WITH_LENGTH = frozenset({b"POST", b"PUT", b"PATCH"})


def _tells_of_peers(lower: bytes) -> bool:
    if b"_" in lower:
        return False
    return lower.startswith(PREFIX) or lower in (b"forwarded", b"x-real-ip")


def is_in(address: str, networks: Iterable[Network]) -> bool:
    """Tell whether an address is in one of the networks."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None) or found
    return any(mapped in network for network in networks)
