"""What the router in front tells of the client: its address, whether it came by TLS, what it asked.

Servers do not all take it over, and none has an address from a unix socket. It is believed in
processes of a fleet alone (`sitefleet up` has started them): nobody but the router reaches their
sockets, and it replaces what an untrusted client sent.

Name and port of the server are what was asked for (RFC 3875 4.1.14, 4.1.15), by ``Host`` and
scheme: what servers know of their own end, a path or a port inside, differs from router to router.
``X-Forwarded-Port`` is that port too, where no trusted proxy has told another; Traefik, which
always sets it, does so by the same rule.
"""

from __future__ import annotations

import ipaddress
import os
import re
from typing import TYPE_CHECKING, Any

from sitefleet.conf import get_conf
from sitefleet.hosting.processes.leftovers import BELONGS_TO

if TYPE_CHECKING:
    from collections.abc import Callable

    Application = Callable[..., Any]

#: By scheme, as proxies and servers name it: of WebSockets some say ``ws``.
PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
#: For a request of HTTP/1.0 that names no host: that of no site.
NO_NAME = "unknown"
_HOST = re.compile("(.+?)(?::([0-9]{0,5}))?")


def believe_wsgi(application: Application) -> Application:
    """Return a WSGI application that knows its clients; the same one where there is no router."""
    if BELONGS_TO not in os.environ:
        return application
    find = _finder()

    def answer(environ: dict[str, Any], start_response: Any) -> Any:
        if client := find(environ.get("HTTP_X_FORWARDED_FOR", "")):
            environ["REMOTE_ADDR"] = client
            environ.pop("REMOTE_PORT", None)  # the router's
        if scheme := _scheme(environ.get("HTTP_X_FORWARDED_PROTO", "")):
            environ["wsgi.url_scheme"] = scheme
        name, port = _asked_for(environ.get("HTTP_HOST", ""), environ["wsgi.url_scheme"])
        environ |= {"SERVER_NAME": name, "SERVER_PORT": str(port)}
        environ.setdefault("HTTP_X_FORWARDED_PORT", str(port))
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
            name, port = _asked_for(_joined(scope, b"host"), scope.get("scheme", "http"))
            scope["server"] = (name, port)
            if not _joined(scope, b"x-forwarded-port"):
                told = (b"x-forwarded-port", b"%d" % port)
                scope["headers"] = [*scope["headers"], told]
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
    return first.replace("ws", "http") if first in PORTS else ""


def _asked_for(host: str, scheme: str) -> tuple[str, int]:
    """Return the name, as it came, and the port of the server that a client has asked."""
    found = _HOST.fullmatch(host)
    name, port = found.groups() if found else (NO_NAME, None)
    # uWSGI takes for a scheme whatever a trusted proxy says.
    return name, int(port) if port else PORTS.get(scheme, PORTS["http"])
