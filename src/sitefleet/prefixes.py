"""Sites below a path prefix, ``example.org/de/``: what a request needs to believe in its prefix.

The prefix moves from the path to ``SCRIPT_NAME``, where Django's ``reverse()`` looks for it. The
cookies that Django itself sets get a name and a path of their own: sites that share a host share
its cookie jar, a browser sends those of ``/`` below ``/de`` too, and Django takes the wrong one of
two that have the same name. (Paths are no border for scripts: see ``docs/howto/path-prefixes``.)
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from django.conf import settings
from django.urls import get_script_prefix, set_script_prefix

from sitefleet.cookie_names import is_host_only, rename, sent_names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

    from sitefleet.pipeline import Match

_mounted: ContextVar[str] = ContextVar("sitefleet_mounted_prefix", default="")


def mounted_prefix() -> str:
    """Return the path prefix of the site that is served now; empty at the root of a host."""
    return _mounted.get()


@contextmanager
def mounted(request: HttpRequest, match: Match) -> Iterator[None]:
    """Serve ``request`` below the path prefix of ``match``."""
    prefix = match.path_prefix
    request.path_info = request.path_info[len(prefix) :] or "/"
    request.META["PATH_INFO"] = request.path_info
    request.META["SCRIPT_NAME"] = get_script_prefix().rstrip("/") + prefix
    _take_own_cookies(request, match)
    with mount(prefix):
        yield


@contextmanager
def mount(prefix: str) -> Iterator[None]:
    """Let ``reverse()`` put ``prefix`` before its paths, instead of the one of another site."""
    # Relative STATIC_URL and MEDIA_URL are completed with the script name at the first look and
    # kept: look now, so that they are those of the host, the same for all sites on it.
    _ = settings.STATIC_URL, settings.MEDIA_URL
    outside = get_script_prefix(), _mounted.get()
    root = outside[0].rstrip("/").removesuffix(outside[1])
    set_script_prefix(f"{root}{prefix}/")
    _mounted.set(prefix)
    try:
        yield
    finally:
        set_script_prefix(outside[0])
        _mounted.set(outside[1])


def mark_cookies(
    response: HttpResponseBase, request: HttpRequest, match: Match
) -> HttpResponseBase:
    """Give the cookies that Django set on ``response`` the name and the path of this site."""
    for name, own in _own_names(match).items():
        if name in response.cookies:
            cookie = rename(response, name, own)
            # Browsers drop these below any path but "/"; the name is the site's own already.
            if not is_host_only(cookie.key):
                cookie["path"] = request.META["SCRIPT_NAME"]
    return response


def _own_names(match: Match) -> dict[str, str]:
    # What HTTPS adds to the names is looked after by CookieMiddleware, which comes behind.
    return sent_names(match.site.pk, secure=False)


def _take_own_cookies(request: HttpRequest, match: Match) -> None:
    for name, own in _own_names(match).items():
        value = request.COOKIES.pop(own, None)
        request.COOKIES.pop(name, None)
        if value is not None:
            request.COOKIES[name] = value


class MountSteps:
    """The mount of now, for a body that is produced later: put in force for each of its steps."""

    def __init__(self) -> None:
        self.inside = get_script_prefix(), _mounted.get()
        self.outside = self.inside

    def __enter__(self) -> None:
        self.outside = get_script_prefix(), _mounted.get()
        self._put(self.inside)

    def __exit__(self, *exception: object) -> None:
        self._put(self.outside)

    @staticmethod
    def _put(mount: tuple[str, str]) -> None:
        set_script_prefix(mount[0])
        _mounted.set(mount[1])
