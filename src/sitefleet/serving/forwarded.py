"""What the router in front tells of the client: its address, and whether it came by TLS.

Servers do not all take it over, and none has an address from a unix socket. It is believed in
processes of a fleet alone (`sitefleet up` has started them): nobody but the router reaches their
sockets, and it replaces what an untrusted client sent.
"""

from __future__ import annotations

import ipaddress
import os
from typing import TYPE_CHECKING, Any

from sitefleet.conf import get_conf
from sitefleet.hosting.processes.leftovers import BELONGS_TO

if TYPE_CHECKING:
    from collections.abc import Callable

    Application = Callable[..., Any]

SCHEMES = ("http", "https")


def believe_wsgi(application: Application) -> Application:
    """Return a WSGI application that knows its clients; the same one where there is no router."""
    if BELONGS_TO not in os.environ:
        return application
    find = _finder()

    def answer(environ: dict[str, Any], start_response: Any) -> Any:
        if client := find(environ.get("HTTP_X_FORWARDED_FOR", "")):
            environ["REMOTE_ADDR"] = client
        if scheme := _scheme(environ.get("HTTP_X_FORWARDED_PROTO", "")):
            environ["wsgi.url_scheme"] = scheme
        return application(environ, start_response)

    return answer


def believe_asgi(application: Application) -> Application:
    """Return an ASGI application that knows its clients; the same one where there is no router."""
    if BELONGS_TO not in os.environ:
        return application
    find = _finder()

    async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] in {"http", "websocket"}:
            scope = dict(scope)
            if client := find(_joined(scope, b"x-forwarded-for")):
                scope["client"] = (client, 0)
            if scheme := _scheme(_joined(scope, b"x-forwarded-proto")):
                is_socket = scope["type"] == "websocket"
                scope["scheme"] = scheme.replace("http", "ws") if is_socket else scheme
        await application(scope, receive, send)

    return answer


def _joined(scope: dict[str, Any], wanted: bytes) -> str:
    """Return all values of a header in one (RFC 9110 5.3): HAProxy adds a line of its own."""
    found = [value for name, value in scope["headers"] if name == wanted]
    return b", ".join(found).decode("latin-1")


def _finder() -> Callable[[str], str]:
    trusted = [ipaddress.ip_network(text) for text in get_conf().SERVING.get("trusted_proxies", ())]

    def find(text: str) -> str:
        """Return the last address that is none of a trusted proxy; empty when there is none."""
        found = ""
        for part in reversed(text.split(",")):
            try:
                address = ipaddress.ip_address(part.strip())
            except ValueError:
                break
            found = str(address)
            if not any(address in network for network in trusted):
                break
        return found

    return find


def _scheme(text: str) -> str:
    """Return the scheme that the client itself used: the first, where proxies have told each."""
    first = text.partition(",")[0].strip().lower()
    return first if first in SCHEMES else ""
