"""SiteMiddleware: the door through which a request gets its site.

It finds the site, answers itself where there is none to serve, and else runs everything behind it
under that site, streaming bodies too. When it is done nothing is left over. It goes first: what
stands before it has no site and, by the gate in ``ALLOWED_HOSTS``, no host.
"""

from __future__ import annotations

import logging
from contextlib import nullcontext
from dataclasses import replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, cast

from asgiref.sync import (
    async_to_sync,
    iscoroutinefunction,
    markcoroutinefunction,
    sync_to_async,
)
from django.db import DatabaseError
from django.http.request import split_domain_port

from sitefleet import answers
from sitefleet.conf import get_conf
from sitefleet.current import (
    carry_async_iterable,
    carry_iterable,
    current_state,
    override_site,
)
from sitefleet.exceptions import InvalidHost
from sitefleet.generators import adrive, drive
from sitefleet.lookup import forced_match, listed_match
from sitefleet.pipeline import UNKNOWN, Match
from sitefleet.prefixes import MountSteps, mark_cookies, mounted
from sitefleet.resolver import resolver

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from contextlib import AbstractContextManager

    from django.http import HttpRequest, StreamingHttpResponse
    from django.http.response import HttpResponseBase

logger = logging.getLogger("sitefleet")


class SiteMiddleware:
    """Serve each request under the site that its host, and path, lead to."""

    sync_capable = True
    async_capable = True

    def __init__(
        self, get_response: Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]
    ) -> None:
        self.get_response: Any = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)
        self.forced = get_conf().SITE
        if self.forced:
            _tell_forced(self.forced)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Answer a request."""
        if self.is_async:
            return self._call_async(request)
        match = self._usual(request)
        if match is not None:
            return self._serve(request, match)
        found = self._examine(request)
        if not isinstance(found, Match):
            return found
        with _mount(request, found):
            return self._serve(request, found)

    def _serve(self, request: HttpRequest, match: Match) -> HttpResponseBase:
        request.site = match.site
        outer = current_state.get()
        current_state.set(match.frame)
        try:
            response: HttpResponseBase = self.get_response(request)
            if match.path_prefix or response.streaming:
                _finish(request, response, match)
            return response
        finally:
            current_state.set(outer)

    async def _call_async(self, request: HttpRequest) -> HttpResponseBase:
        match = self._usual(request)
        if match is not None:
            return await self._serve_async(request, match)
        found = await sync_to_async(self._examine)(request)
        if not isinstance(found, Match):
            return found
        with _mount(request, found):
            return await self._serve_async(request, found)

    async def _serve_async(self, request: HttpRequest, match: Match) -> HttpResponseBase:
        request.site = match.site
        outer = current_state.get()
        current_state.set(match.frame)
        try:
            response: HttpResponseBase = await self.get_response(request)
            if match.path_prefix or response.streaming:
                _finish(request, response, match)
            return response
        finally:
            current_state.set(outer)

    def _usual(self, request: HttpRequest) -> Match | None:
        """Return the match for a known host whose site is simply to be served; no query."""
        if self.forced:
            return None
        # The host as Django reads it, but without its look into the settings, which takes longer
        # than all of this.
        meta = request.META
        forwarded = "HTTP_X_FORWARDED_HOST" in meta
        return resolver.usual(answers.raw_host(request) if forwarded else meta.get("HTTP_HOST", ""))

    def _examine(self, request: HttpRequest) -> Match | HttpResponseBase:
        """Return the match for any host, or what to answer instead; may query."""
        raw = answers.raw_host(request)
        try:
            match = self._find(raw, request.path_info)
        except InvalidHost as error:
            return answers.malformed_host(request, error)
        except DatabaseError as error:
            return answers.unmigrated(request, error)
        response = answers.instead_of_site(request, match)
        if response is not None or match is None:
            return cast("HttpResponseBase", response)
        # The gate lets through what Django reads out of the header, in Django's spelling.
        asked = split_domain_port(raw)[0]
        if asked == match.host:
            return match
        return replace(match, frame=(match.frame[0], asked, None, match.site))

    def _find(self, host: str, path: str) -> Match | None:
        if self.forced:
            return forced_match(host)
        entry = resolver.find(host)
        return listed_match(host) if entry is UNKNOWN else entry.at(path)


@lru_cache(maxsize=1)
def _tell_forced(key: str) -> None:
    # Once: test clients make many middlewares.
    logger.warning("SITEFLEET_SITE is set: every host is answered with the site %r.", key)


def _mount(request: HttpRequest, match: Match) -> AbstractContextManager[None]:
    return mounted(request, match) if match.path_prefix else nullcontext()


def _finish(request: HttpRequest, response: HttpResponseBase, match: Match) -> None:
    if match.path_prefix:
        mark_cookies(response, match, request.META["SCRIPT_NAME"])
    if response.streaming:
        _carry_body(cast("StreamingHttpResponse", response), match)


def _carry_body(response: StreamingHttpResponse, match: Match) -> None:
    """Let the body be produced, and closed, under the site: that happens after this is over."""
    if getattr(response, "file_to_stream", None) is not None:
        return  # Bytes of an open file ask for no site, and servers send them faster as they are.
    under_site = override_site(match.site)
    closers = cast("Any", response)._resource_closers
    closers[:] = [under_site(closer) for closer in closers]
    # `streaming_content` refers back to the response: a body that is dropped unread would wait for
    # the garbage collector, which closes what is in such a circle in any order.
    body = response._iterator  # type: ignore[attr-defined]
    if response.is_async:
        items = carry_async_iterable(body)
        items = adrive(items, MountSteps()) if match.path_prefix else items
        response.streaming_content = items
        # Django only drops an async body, when a client has left.
        closers.append(partial(async_to_sync(_close), items))
    else:
        parts = carry_iterable(body)
        response.streaming_content = drive(parts, MountSteps()) if match.path_prefix else parts


async def _close(body: AsyncGenerator[Any, Any]) -> None:
    await body.aclose()
