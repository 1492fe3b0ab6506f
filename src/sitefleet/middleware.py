"""SiteMiddleware: the door through which a request gets its site.

It finds the site, answers itself where there is none to serve, and else runs everything behind it
under that site, streaming bodies too. When it is done nothing is left over. It goes first: what
stands before it has no site and, by the gate in ``ALLOWED_HOSTS``, no host.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, cast

from asgiref.sync import async_to_sync, sync_to_async
from django.conf import settings
from django.db import Error
from django.http.request import split_domain_port
from django.urls import set_urlconf

from sitefleet import answers
from sitefleet.conf import get_conf
from sitefleet.current import SERVED, SiteSteps, active_site_id, current_state, override_site
from sitefleet.exceptions import InvalidHost
from sitefleet.generators import drive_body, is_produced
from sitefleet.hybrid import HybridMiddleware
from sitefleet.lookup import find_match
from sitefleet.pipeline import Match
from sitefleet.prefixes import MountSteps, mark_cookies, mounted, mounted_prefix
from sitefleet.resolver import resolver

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from django.http import HttpRequest, StreamingHttpResponse
    from django.http.response import HttpResponseBase

    from sitefleet.current import State

logger = logging.getLogger("sitefleet")


class SiteMiddleware(HybridMiddleware):
    """Serve each request under the site that its host, and path, lead to."""

    def __init__(
        self, get_response: Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]
    ) -> None:
        super().__init__(get_response)
        #: Whether sites have URLconfs of their own: then the one that Django's handler has pinned,
        #: for when there is no site, is not the right one (see `sitefleet.persite.urls`).
        self.urlconfs = bool(get_conf().URLCONFS)
        self.forced = get_conf().SITE
        if self.forced:
            _tell_forced(self.forced)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Answer a request."""
        if self.is_async:
            return self._call_async(request)
        frame = self._usual(request)
        if frame is None:
            found = self._examine(request)
            if not isinstance(found, Match):
                return found
            if found.path_prefix:
                with mounted(request, found):
                    return mark_cookies(self._serve(request, found.frame), request, found)
            frame = found.frame
        return self._serve(request, frame)

    async def _call_async(self, request: HttpRequest) -> HttpResponseBase:
        frame = self._usual(request)
        if frame is None:
            found = await sync_to_async(self._examine)(request)
            if not isinstance(found, Match):
                return found
            if found.path_prefix:
                with mounted(request, found):
                    response = await self._serve_async(request, found.frame)
                    return mark_cookies(response, request, found)
            frame = found.frame
        return await self._serve_async(request, frame)

    def _serve(self, request: Any, frame: State) -> HttpResponseBase:
        request.site = frame[3]
        getattr(request, "scope", request.META)[SERVED] = frame[0]
        outer = current_state.get()
        current_state.set((*frame,))  # another each time: what was never left goes by it
        try:
            if self.urlconfs:
                set_urlconf(settings.ROOT_URLCONF)
            response: HttpResponseBase = self.get_response(request)
            if response.streaming:
                _carry_body(cast("StreamingHttpResponse", response))
            return response
        finally:
            current_state.set(outer)
            if self.urlconfs:
                set_urlconf(settings.ROOT_URLCONF)

    async def _serve_async(self, request: Any, frame: State) -> HttpResponseBase:
        request.site = frame[3]
        getattr(request, "scope", request.META)[SERVED] = frame[0]
        outer = current_state.get()
        current_state.set((*frame,))  # another each time: what was never left goes by it
        try:
            if self.urlconfs:
                set_urlconf(settings.ROOT_URLCONF)
            response: HttpResponseBase = await self.get_response(request)
            if response.streaming:
                _carry_body(cast("StreamingHttpResponse", response))
            return response
        finally:
            current_state.set(outer)
            if self.urlconfs:
                set_urlconf(settings.ROOT_URLCONF)

    def _usual(self, request: HttpRequest) -> State | None:
        """Return the frame of a known host whose site is simply to be served; no query."""
        # The host as Django reads it, but without its look into the settings, which takes longer
        # than all of this.
        meta = request.META
        if "HTTP_X_FORWARDED_HOST" in meta or self.forced:
            return None if self.forced else resolver.usual(answers.raw_host(request))
        return resolver.usual(meta.get("HTTP_HOST", ""))

    def _examine(self, request: HttpRequest) -> Match | HttpResponseBase:
        """Return the match for any host, or what to answer instead; may query."""
        raw = answers.raw_host(request)
        try:
            match = find_match(raw, request.path_info)
            response = answers.instead_of_site(request, match)
        except InvalidHost as error:
            return answers.malformed_host(request, error)
        except Error as error:
            return answers.without_database(request, error)
        if response is not None or match is None:
            return cast("HttpResponseBase", response)
        # The gate lets through what Django reads out of the header, in Django's spelling.
        asked = split_domain_port(raw)[0]
        if asked == match.host:
            return match
        return replace(match, frame=(match.frame[0], asked, None, match.site))


@lru_cache(maxsize=1)
def _tell_forced(key: str) -> None:
    # Once: test clients make many middlewares.
    logger.warning("SITEFLEET_SITE is set: every host is answered with the site %r.", key)


def _carry_body(response: StreamingHttpResponse) -> None:
    """Let the body be produced, and closed, under the site: that happens after this is over."""
    if not is_produced(response):
        return
    under_site = override_site(active_site_id())
    closers = cast("Any", response)._resource_closers
    closers[:] = [under_site(closer) for closer in closers]
    mount = [MountSteps()] if mounted_prefix() else []
    body = drive_body(response, SiteSteps.here(), *mount)
    if response.is_async:
        # Django only drops an async body, when a client has left.
        closers.append(partial(async_to_sync(_close), body))


async def _close(body: AsyncGenerator[Any, Any]) -> None:
    await body.aclose()
