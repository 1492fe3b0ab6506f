"""The short pages of the router's own, as whole responses."""

from __future__ import annotations

from http import HTTPStatus

RETRY_AFTER = 5
_RETRIED = (502, 503, 504)


def page(status: int, text: str, *, head: bool = False) -> bytes:
    """Return a response in plain text; ``head``: to a HEAD request, so without its body."""
    phrase = HTTPStatus(status).phrase
    body = f"{status} {phrase}\n\n{text}\n".encode("utf-8", "replace")
    lines = [
        f"HTTP/1.1 {status} {phrase}",
        "Content-Type: text/plain; charset=utf-8",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        "Connection: close",
    ]
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        lines.append("Allow:")  # none at all: it was CONNECT (RFC 9110 10.2.1, 15.5.6)
    if status in _RETRIED:
        lines.append(f"Retry-After: {RETRY_AFTER}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (b"" if head else body)
