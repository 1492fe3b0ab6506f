"""The handshake of a WebSocket: which site it leads to, and who may not have it."""

from __future__ import annotations

from contextlib import suppress
from http.cookies import SimpleCookie
from io import BytesIO
from typing import TYPE_CHECKING, cast

from django.conf import settings
from django.contrib.sites.models import Site
from django.core.handlers.asgi import ASGIRequest
from django.db import Error, close_old_connections
from django.http import HttpResponse, HttpResponseForbidden

from sitefleet import answers, hosts
from sitefleet.cookie_names import received, sent_names
from sitefleet.exceptions import InvalidHost
from sitefleet.lookup import find_match
from sitefleet.origins import is_own
from sitefleet.resolver import resolver

if TYPE_CHECKING:
    from sitefleet.persite.websockets.messages import Receive, Scope, Send
    from sitefleet.pipeline import Match


def read(scope: Scope) -> ASGIRequest:
    """Return the handshake as a request, so that Django reads its headers as ever."""
    as_http = {
        # None of the safe methods: who is let in may send.
        "method": "WEBSOCKET",
        "scheme": "https" if scope.get("scheme") == "wss" else "http",
        "query_string": scope.get("query_string", b"").decode("latin-1"),
    }
    return ASGIRequest({**scope, **as_http}, BytesIO())


def examine(handshake: ASGIRequest) -> Match | HttpResponse:
    """Return the match for a handshake, or what to answer instead."""
    close_old_connections()
    try:
        match = find_match(answers.raw_host(handshake), handshake.path_info)
        response = answers.instead_of_site(handshake, match)
        if response is not None or match is None:
            return cast("HttpResponse", response)
        if not _is_own_page(handshake, match):
            return HttpResponseForbidden("This page is not of the site.", "text/plain")
        with suppress(Site.DoesNotExist):
            resolver.site(match.site.pk)  # for async code, which could not ask for it
    except InvalidHost as error:
        return answers.malformed_host(handshake, error)
    except Error as error:
        return answers.without_database(handshake, error)
    else:
        return match
    finally:
        close_old_connections()


def _is_own_page(handshake: ASGIRequest, match: Match) -> bool:
    """Tell whether the page that opens the socket is one of the site; programs name no page."""
    origin = handshake.META.get("HTTP_ORIGIN")
    if origin is None:
        return True
    host = hosts.normalize_header(answers.raw_host(handshake))
    own = is_own(origin, match.site.pk, host, secure=handshake.is_secure())
    # No wildcards: a handshake has no token, and a name that no site has any more is anybody's.
    return origin in settings.CSRF_TRUSTED_ORIGINS if own is None else own


async def refuse(response: HttpResponse, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a handshake as a request, where the server can; else it says 403."""
    await receive()
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close"})
        return
    if response.has_header("Location"):
        # Clients of WebSockets that follow redirects know no other schemes.
        response["Location"] = response["Location"].replace("http", "ws", 1)
    headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in response.items()
    ]
    status = response.status_code
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": response.content})


def scope_for(scope: Scope, handshake: ASGIRequest, match: Match) -> Scope:
    """Return the scope for the application, which knows nothing of prefixes."""
    inner = {**scope, "site": match.site}
    below = match.site.pk if match.path_prefix else None
    if below:
        outside = scope["path"].removesuffix(handshake.path_info)
        inner["root_path"] = f"{outside}{match.path_prefix}"
    names = sent_names(below, secure=handshake.is_secure())
    if any(name != sent for name, sent in names.items()):
        rest = [header for header in scope["headers"] if header[0].lower() != b"cookie"]
        inner["headers"] = [*rest, (b"cookie", _own_cookies(handshake, names))]
    return inner


def _own_cookies(handshake: ASGIRequest, names: dict[str, str]) -> bytes:
    """Return the header with Django's cookies under their usual names; ``names`` has the others."""
    known = {*names, *names.values()}
    pairs = handshake.META.get("HTTP_COOKIE", "").split(";")
    kept = [pair.strip() for pair in pairs if pair.partition("=")[0].strip() not in known]
    values = received(handshake, names.values())
    for name, sent in names.items():
        if sent in values:
            kept.append(f"{name}={SimpleCookie().value_encode(values[sent])[1]}")
    return "; ".join(filter(None, kept)).encode("latin-1")
