"""What browsers call Django's cookies; code reads and sets them by the names in the settings.

``sessionid_2``       below a path prefix: sites that share a host share its cookie jar
``__Host-sessionid``  under HTTPS with ``HOST_COOKIES``: no other host can set such a cookie

Sources: RFC 6265 5.3 (who may set which cookie), RFC 6265bis 4.1.3.2 (``__Host-``).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.http import parse_cookie

from sitefleet.conf import get_conf

if TYPE_CHECKING:
    from collections.abc import Collection
    from http.cookies import Morsel

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

HOST_PREFIX = "__Host-"


def django_cookies() -> tuple[str, ...]:
    """Return the names of the cookies that Django itself sets: all that is renamed."""
    return (
        settings.SESSION_COOKIE_NAME,
        settings.CSRF_COOKIE_NAME,
        settings.LANGUAGE_COOKIE_NAME,
        "messages",
    )


def sent_names(below: int | None, *, secure: bool) -> dict[str, str]:
    """Return what browsers call Django's cookies, by the names in the settings.

    ``below`` is the primary key of a site below a path prefix, None at the root of a host;
    ``secure`` tells whether the request came by HTTPS.
    """
    return names_with(HOST_PREFIX if secure and get_conf().HOST_COOKIES else "", below)


def names_with(prefix: str, below: int | None) -> dict[str, str]:
    """Return what `sent_names` does, with this prefix."""
    return _names_with(django_cookies(), prefix, "" if below is None else f"_{below}")


@lru_cache(maxsize=256)
def _names_with(names: tuple[str, ...], prefix: str, mark: str) -> dict[str, str]:
    return {name: f"{'' if is_host_only(name) else prefix}{name}{mark}" for name in names}


def is_host_only(name: str) -> bool:
    """Tell whether browsers take a cookie of this name for one host and the path "/" only."""
    return name.lower().startswith("__host-")


def received(request: HttpRequest, names: Collection[str]) -> dict[str, str]:
    """Return the values of those cookies that browsers call ``names``.

    ``__Host-`` cookies are looked for in the header itself. Django strips all that Unicode calls a
    space off a name, browsers do not: what a sibling has set as U+2000 and ``__Host-sessionid`` is
    no ``__Host-`` cookie. Where there are two, something is wrong, and neither is taken.
    """
    cookies = request.COOKIES
    found: dict[str, set[str]] = {}
    for pair in request.META.get("HTTP_COOKIE", "").split(";"):
        spelled, equals, value = pair.partition("=")
        name = spelled.strip(" \t")
        if equals and name in names and is_host_only(name):
            found.setdefault(name, set()).add(value)
    values = {name: cookies[name] for name in names if name in cookies and not is_host_only(name)}
    for name, spellings in found.items():
        if len(spellings) == 1:
            values[name] = _unquoted(spellings.pop())
    return values


def _unquoted(value: str) -> str:
    # What Django makes of it; most are not quoted, and are as they stand.
    return parse_cookie(f"x={value}")["x"] if '"' in value else value.strip()


def rename(response: HttpResponseBase, name: str, sent: str) -> Morsel[Any]:
    """Send the cookie ``name`` of a response under another name, and return it."""
    cookie = response.cookies.pop(name)
    cookie.set(sent, cookie.value, cookie.coded_value)
    response.cookies[sent] = cookie
    return cookie
