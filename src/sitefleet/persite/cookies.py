"""Whom Django's cookies are for: one host, as ever; one host for certain; or a parent domain.

``CookieMiddleware`` goes directly behind ``SiteMiddleware``. It does nothing but what these ask of
it: ``HOST_COOKIES``, by which no other host can set them, and ``COOKIE_DOMAIN``. It looks after the
cookies for sessions, CSRF, the language and messages. Those that other code sets are left alone:
what they are for, only that code knows.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core import checks

from sitefleet import hosts
from sitefleet.checking import SITE_MIDDLEWARE
from sitefleet.conf import find_problems, get_conf
from sitefleet.cookie_names import (
    HOST_PREFIX,
    django_cookies,
    is_host_only,
    names_with,
    received,
    rename,
)
from sitefleet.exceptions import InvalidHost
from sitefleet.hybrid import HybridMiddleware
from sitefleet.prefixes import mounted_prefix
from sitefleet.suffixes import is_public_suffix

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

    from sitefleet.conf import Conf

#: Middleware that reads or sets cookies, or keeps responses with them.
LATER_MIDDLEWARE = (
    "django.middleware.cache.UpdateCacheMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "sitefleet.persite.csrf.CsrfViewMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
)
COOKIES = ("SESSION_COOKIE", "CSRF_COOKIE", "LANGUAGE_COOKIE")


class CookieMiddleware(HybridMiddleware):
    """Give Django's cookies the names and the domain that the settings ask for."""

    def __init__(self, get_response: Any) -> None:
        super().__init__(get_response)
        self.conf = get_conf()

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Answer a request."""
        if self.is_async:
            return self._call_async(request)
        names = _take_in(request, self.conf)
        return _send_out(self.get_response(request), request, names, self.conf)

    async def _call_async(self, request: HttpRequest) -> HttpResponseBase:
        names = _take_in(request, self.conf)
        return _send_out(await self.get_response(request), request, names, self.conf)


def _take_in(request: Any, conf: Conf) -> dict[str, str]:
    """Let code find the ``__Host-`` cookies under their usual names, and nothing else there.

    Returns the names that these cookies have on the way, by the usual ones; empty where they have
    no others.
    """
    if not (conf.HOST_COOKIES and request.is_secure()):
        return {}
    names = names_with(HOST_PREFIX, request.site.pk if mounted_prefix() else None)
    values = received(request, names.values())
    for name, sent in names.items():
        request.COOKIES.pop(sent, None)
        request.COOKIES.pop(name, None)
        if sent in values:
            request.COOKIES[name] = values[sent]
    return names


def _send_out(
    response: HttpResponseBase, request: HttpRequest, names: dict[str, str], conf: Conf
) -> HttpResponseBase:
    """Name and mark the cookies that are set; those that are deleted as well, as they must be."""
    for name, sent in names.items():
        if name in response.cookies:
            cookie = rename(response, name, sent)
            # Browsers drop it without these.
            cookie["secure"], cookie["path"], cookie["domain"] = True, "/", ""
    if conf.COOKIE_DOMAIN and not conf.HOST_COOKIES:
        domain = _domain_for(request.get_host(), conf.COOKIE_DOMAIN, conf.OWN_SUFFIXES)
        set_here = response.cookies.keys() & set(django_cookies()) if domain else ()
        for cookie in map(response.cookies.__getitem__, set_here):
            if not cookie["domain"] and not is_host_only(cookie.key):
                cookie["domain"] = domain
    return response


@lru_cache(maxsize=1024)
def _domain_for(host: str, parent: str, own_suffixes: tuple[str, ...]) -> str:
    """Return the domain of the cookies that a host sets; empty where they are for it alone."""
    if why_not_shared(parent, own_suffixes):
        return ""
    parent, name = hosts.normalize_name(parent), hosts.split(hosts.normalize_header(host))[0]
    return parent if f".{name}".endswith(f".{parent}") else ""


def why_not_shared(parent: str, own_suffixes: tuple[str, ...]) -> str:
    """Return why no cookie can be for ``parent`` and all below it; empty where one can."""
    try:
        name = hosts.normalize_name(parent)
    except InvalidHost as error:
        return error.reason
    if hosts.is_ip(name) or hosts.split(name)[1] or "." not in name:
        return "it is no domain name with two labels or more, and without a port"
    # One of our own is one all the same: browsers refuse it, as others have sites below it.
    if is_public_suffix(name) or name in own_suffixes:
        return "it is a public suffix: strangers have names below it"
    return ""


def connect() -> None:
    """Register the system checks."""
    checks.register(check_cookies, checks.Tags.security)


def check_cookies(**_: Any) -> list[checks.CheckMessage]:
    """Look at whom cookies are for, in Django's settings and in ours."""
    if find_problems():
        return []  # `sitefleet.checks` says it.
    found = [*_check_domains(), *_check_host_cookies()]
    conf = get_conf()
    if conf.COOKIE_DOMAIN:
        reason = why_not_shared(conf.COOKIE_DOMAIN, conf.OWN_SUFFIXES)
        if reason:
            found.append(
                checks.Error(
                    f"No cookie can be for COOKIE_DOMAIN, {conf.COOKIE_DOMAIN!r}: {reason}.",
                    hint='Name a domain of yours: SITEFLEET = {"COOKIE_DOMAIN": "example.org"}.',
                    id="sitefleet.E363",
                )
            )
    return found + list(_check_place()) if conf.COOKIE_DOMAIN or conf.HOST_COOKIES else found


def _check_domains() -> Iterator[checks.CheckMessage]:
    for cookie in COOKIES:
        name = f"{cookie}_DOMAIN"
        domain = (getattr(settings, name) or "").lstrip(".").lower()
        if not domain:
            continue
        hint = f"Take {name} out of the settings: cookies are then for one host."
        if is_public_suffix(domain) or domain in get_conf().OWN_SUFFIXES:
            message = (
                f"{name} is a public suffix: browsers refuse such a cookie, or strangers get it."
            )
            yield checks.Error(message, hint=hint, id="sitefleet.E362")
        else:
            message = f"{name} is set: all sites below {domain} read and set each other's cookies."
            yield checks.Warning(message, hint=hint, id="sitefleet.W361")


def _check_host_cookies() -> Iterator[checks.CheckMessage]:
    conf = get_conf()
    if not conf.HOST_COOKIES:
        return
    against = ['SITEFLEET["COOKIE_DOMAIN"]'] if conf.COOKIE_DOMAIN else []
    against += [f"{cookie}_DOMAIN" for cookie in COOKIES if getattr(settings, f"{cookie}_DOMAIN")]
    against += [
        f"{cookie}_PATH" for cookie in COOKIES if getattr(settings, f"{cookie}_PATH") != "/"
    ]
    for name in against:
        yield checks.Error(
            f"{name} is set, and so is HOST_COOKIES: a __Host- cookie is for one host and all"
            " of its paths.",
            hint=f"Take {name} out of the settings, or HOST_COOKIES.",
            id="sitefleet.E366",
        )


def _check_place() -> Iterator[checks.CheckMessage]:
    own = f"{__name__}.{CookieMiddleware.__name__}"
    hint = f'MIDDLEWARE = ["{SITE_MIDDLEWARE}", "{own}", ...]'
    order = list(settings.MIDDLEWARE)
    if own not in order:
        yield checks.Error(
            "HOST_COOKIES and COOKIE_DOMAIN do nothing without CookieMiddleware.",
            hint=hint,
            id="sitefleet.E364",
        )
        return
    before = order[: order.index(own)]
    early = [path for path in before if path in LATER_MIDDLEWARE]
    if early or SITE_MIDDLEWARE not in before:
        yield checks.Error(
            "CookieMiddleware does not stand directly behind SiteMiddleware.",
            hint=hint,
            id="sitefleet.E365",
        )
