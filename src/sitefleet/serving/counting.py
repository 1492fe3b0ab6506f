"""Requests by site, for `sitefleet status`: counted around the project's own application."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from sitefleet.current import SERVED
from sitefleet.hosting.servers.counts import Writer
from sitefleet.hosting.servers.variables import COUNTS
from sitefleet.serving.asking import MARK

if TYPE_CHECKING:
    from collections.abc import Callable

    Application = Callable[..., Any]


def count_wsgi(application: Application) -> Application:
    """Return a WSGI application that counts; the same one where nobody has asked for it."""
    if COUNTS not in os.environ:
        return application
    writer = Writer(os.environ[COUNTS])

    def answer(environ: dict[str, Any], start_response: Any) -> Any:
        try:
            return application(environ, start_response)
        finally:
            if MARK not in environ:
                writer.count(environ.get(SERVED, 0))

    return answer


def count_asgi(application: Application) -> Application:
    """Return an ASGI application that counts, WebSockets too, when each has ended."""
    if COUNTS not in os.environ:
        return application
    writer = Writer(os.environ[COUNTS])

    async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
        try:
            await application(scope, receive, send)
        finally:
            if scope["type"] != "lifespan" and MARK not in scope:
                writer.count(scope.get(SERVED, 0))

    return answer
