"""WebSockets: a socket gets its site from its handshake, and is closed when the site goes.

In ``asgi.py``, where Django is set up already::

    application = ProtocolTypeRouter(
        {
            "http": get_asgi_application(),
            "websocket": SiteWebSocketMiddleware(AuthMiddlewareStack(URLRouter(routes))),
        }
    )

A handshake is a request (RFC 6455 4.1), so it is answered like one: the same hosts, states and
redirects. What differs is that it lasts, so open sockets are looked after; and that a page of any
origin may open one, with the cookies of the site (RFC 6455 10.2), so its ``Origin`` is looked at.
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING

from asgiref.sync import sync_to_async
from django.http import HttpResponse
from django.http.request import split_domain_port
from django.urls import get_script_prefix, set_script_prefix

from sitefleet import answers
from sitefleet.current import SERVED, current_state, get_current_site_id, override_site
from sitefleet.hosting.servers.closing import SocketClosed
from sitefleet.persite.websockets import handshakes
from sitefleet.persite.websockets.watching import Socket, watch
from sitefleet.prefixes import mount

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.core.handlers.asgi import ASGIRequest

    from sitefleet.persite.websockets.messages import App, Receive, Scope, Send
    from sitefleet.pipeline import Match

__all__ = ["SiteWebSocketMiddleware", "group"]


def group(name: str) -> str:
    """Return the name of a group of Channels for the current site. Raises NoCurrentSite.

    Groups of a channel layer are for all who know their names: ``group("chat")`` is ``chat`` of
    this site alone. Channels takes names of less than 100 letters, digits, ``-``, ``_``, ``.``.
    """
    return f"site-{get_current_site_id()}.{name}"


class SiteWebSocketMiddleware:
    """ASGI middleware: run ``app`` under the site that the handshake of a WebSocket leads to.

    ``scope["site"]`` is the site. Below a path prefix ``root_path`` has the prefix, and Django's
    cookies have their usual names, as for requests. Other kinds of scopes are passed on as they
    are: for HTTP there is `sitefleet.middleware`. Needs no Channels.
    """

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a connection."""
        if scope["type"] != "websocket":
            await self.app(scope, receive, send)
            return
        handshake = handshakes.read(scope)
        with _script_prefix(handshake.script_name or "/"):
            found = await sync_to_async(handshakes.examine)(handshake)
            if isinstance(found, HttpResponse):
                await handshakes.refuse(found, scope, receive, send)
                return
            scope[SERVED] = found.site.pk
            socket = Socket(handshake, found, receive, send)
            with watch().over(socket), _served(handshake, found), suppress(SocketClosed):
                await self.app(
                    handshakes.scope_for(scope, handshake, found), socket.receive, socket.send
                )


@contextmanager
def _script_prefix(prefix: str) -> Iterator[None]:
    """Do what Django's handlers do for requests, so that ``reverse()`` is right."""
    outside = get_script_prefix()
    set_script_prefix(prefix)
    try:
        yield
    finally:
        set_script_prefix(outside)


@contextmanager
def _served(handshake: ASGIRequest, match: Match) -> Iterator[None]:
    host = split_domain_port(answers.raw_host(handshake))[0]
    outer = current_state.get()
    # Not the frame of the match: how the site is presented may change while the socket is open.
    current_state.set((match.site.pk, host, None, override_site(match.site)))
    try:
        with mount(match.path_prefix) if match.path_prefix else nullcontext():
            yield
    finally:
        current_state.set(outer)
