"""What sitefleet itself answers: unknown and malformed hosts, inactive sites, redirects.

Each page is a template ``sitefleet/<name>.html`` that a project may override. They are rendered
without the request and without context processors: there may be no site and no session here.
"""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.conf import settings
from django.conf.urls.i18n import is_language_prefix_patterns_used
from django.contrib import auth
from django.contrib.sites.models import Site
from django.http import (
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponsePermanentRedirect,
)
from django.shortcuts import resolve_url
from django.template import Context, Engine, TemplateDoesNotExist, loader
from django.urls import NoReverseMatch, get_script_prefix
from django.utils import translation
from django.utils.cache import add_never_cache_headers
from django.utils.crypto import constant_time_compare

from sitefleet import hosts
from sitefleet.conf import get_conf
from sitefleet.current import current_state
from sitefleet.databases import site_connection
from sitefleet.environments import get_environment
from sitefleet.models import Alias, Generation, SiteConfig, State
from sitefleet.pipeline import steps_for
from sitefleet.prefixes import own_cookie_name
from sitefleet.resolver import resolver

if TYPE_CHECKING:
    from django.contrib.sessions.backends.base import SessionBase
    from django.db import DatabaseError
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

    from sitefleet.exceptions import InvalidHost
    from sitefleet.pipeline import Match

SAFE_METHODS = ("GET", "HEAD")
#: Hosts of the machine that one sits at, beside ``*.localhost``.
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
RUNSERVER_PORT = "8000"
#: These keep sessions in the table of an app that may not be there.
ENGINES_WITH_TABLE = (
    "django.contrib.sessions.backends.db",
    "django.contrib.sessions.backends.cached_db",
)
#: Sites that the page for an unknown host lists in DEBUG.
LISTED = 50


class PermanentRedirectKeepingMethod(HttpResponsePermanentRedirect):
    """308: like 301, but the method and the body stay (RFC 9110 15.4.9)."""

    status_code = 308


def raw_host(request: Any) -> str:
    """Return the host that was asked for as Django's settings say, ahead of the gate."""
    host: str = request._get_raw_host()
    return host


def instead_of_site(request: HttpRequest, match: Match | None) -> HttpResponseBase | None:
    """Return what to answer instead of the site; None when the site is to be served."""
    if match is None:
        return unknown_host(request)
    if match.state != State.ACTIVE:
        response = _inactive(request, match)
        if response is not None:
            return response
    if match.redirect:
        return redirect(request, match)
    if match.path_prefix and request.path_info == match.path_prefix:
        # Relative links of the front page need the slash; the mount would hide that it is missing.
        return _redirect(request, request.get_full_path(force_append_slash=True))
    return None


def unknown_host(request: HttpRequest) -> HttpResponse:
    """Answer 404 for a host that leads to no site, with what to do about it."""
    raw = raw_host(request)
    environment = get_environment()
    forwarded = request.META.get("HTTP_X_FORWARDED_HOST")
    context = {"host": raw, "format": environment.format, "debug": settings.DEBUG}
    if resolver.is_empty():
        made_by_django = Site.objects.select_related("siteconfig").first()
        return _page(request, "first_site", 404, {**context, "made_by_django": made_by_django})
    host = hosts.normalize_header(raw)
    port = hosts.split(host)[1]
    context |= {
        "command_host": host,
        "path": request.path,
        "ignored_header": "" if settings.USE_X_FORWARDED_HOST else forwarded,
        "looked_up": bool(steps_for(host, environment, www=get_conf().WWW)),
        "slug": environment.slug_in(host),
        "local_format": _local_format(host) if environment.is_live else "",
        "local_port": "" if port == RUNSERVER_PORT else port,
        "known": _known_sites() if settings.DEBUG else [],
    }
    return _page(request, "unknown_host", 404, context)


def unmigrated(request: HttpRequest, error: DatabaseError) -> HttpResponse:
    """Answer 503 where there are no tables yet, with the command; raise any other ``error``.

    In DEBUG only: elsewhere whoever watches the errors is to hear of it.
    """
    tables = {model._meta.db_table for model in (Site, SiteConfig, Alias, Generation)}
    connection = site_connection()
    if not settings.DEBUG or tables <= set(connection.introspection.table_names()):
        raise error
    return _page(request, "unmigrated", 503, {"host": raw_host(request)})


def malformed_host(request: HttpRequest, error: InvalidHost) -> HttpResponse:
    """Answer 400 for a Host header that is no host."""
    return _page(request, "malformed_host", 400, {"host": error.value, "reason": error.reason})


def redirect(request: HttpRequest, match: Match) -> HttpResponseBase:
    """Redirect to the same path and query on the site's own host in this environment."""
    host, slash, prefix = match.redirect.partition("/")
    # What the server mounts the whole project at stays in front of the prefix of the site.
    script = get_script_prefix().rstrip("/")
    path = request.get_full_path().removeprefix(script)
    return _redirect(request, f"{get_environment().scheme}://{host}{script}{slash}{prefix}{path}")


def _redirect(request: HttpRequest, url: str) -> HttpResponseBase:
    if request.method in SAFE_METHODS:
        return HttpResponsePermanentRedirect(url)
    return PermanentRedirectKeepingMethod(url)


def _inactive(request: HttpRequest, match: Match) -> HttpResponseBase | None:
    conf = get_conf()
    if match.state == State.MAINTENANCE:
        if _stays_open(request, match) or _is_staff(request, match):
            return None
        page = _page(request, "maintenance", 503, {"name": match.site.name})
        page["Retry-After"] = str(conf.RETRY_AFTER)
        return page
    if match.state == State.ARCHIVED:
        if not conf.ARCHIVED_READ_ONLY:
            return _page(request, "archived", 410, {"name": match.site.name})
        return None if request.method in SAFE_METHODS else HttpResponseNotAllowed(SAFE_METHODS)
    return _page(request, "suspended", 404, {})


def _stays_open(request: HttpRequest, match: Match) -> bool:
    """Tell whether the path is one that staff need to log in.

    The front page of the admin is one: it sends to its login page who is not logged in.
    """
    path = request.path_info.removeprefix(match.path_prefix) or "/"
    mount = get_script_prefix().rstrip("/")
    if any(_is_below(path, prefix.removeprefix(mount)) for prefix in get_conf().PREVIEW_PATHS):
        return True
    language = translation.get_language_from_path(path) or settings.LANGUAGE_CODE
    with translation.override(language):
        logins = [_reversed(name) for name in (settings.LOGIN_URL, "admin:login") if name]
        index = _reversed("admin:index")
    path = _without_language(path)
    return path == _without_language(index.removeprefix(mount)) or any(
        _is_below(path, _without_language(login.removeprefix(mount))) for login in logins
    )


def _reversed(name: Any) -> str:
    with suppress(NoReverseMatch):
        return resolve_url(name)
    return "-"  # no path


def _without_language(path: str) -> str:
    """Return a path without its language where ``i18n_patterns`` puts one: one page in each."""
    prefixed = is_language_prefix_patterns_used(settings.ROOT_URLCONF)[0]
    if prefixed and translation.get_language_from_path(path):
        return f"/{path[1:].partition('/')[2]}"
    return path


def _is_below(path: str, prefix: str) -> bool:
    # A front page that is the login page does not open everything.
    return path == prefix or (len(prefix) > 1 and path.startswith(f"{prefix.rstrip('/')}/"))


def _is_staff(request: HttpRequest, match: Match) -> bool:
    """Tell whether the session of the request is that of a member of staff.

    The answer is given at the door, ahead of the session middleware: behind it a page cache or a
    middleware that answers by itself would let others see the site.
    """
    needed = ["django.contrib.auth"]
    if settings.SESSION_ENGINE in ENGINES_WITH_TABLE:
        needed.append("django.contrib.sessions")
    # The session of *this* host: which engine there is, is known at run time only.
    key = request.COOKIES.get(own_cookie_name(settings.SESSION_COOKIE_NAME, match))
    if not key or not all(apps.is_installed(name) for name in needed):
        return False
    outer = current_state.get()
    current_state.set(match.frame)  # an authentication backend may ask for the site
    try:
        user = _user_of(import_module(settings.SESSION_ENGINE).SessionStore(key))
        return bool(getattr(user, "is_active", False) and getattr(user, "is_staff", False))
    finally:
        current_state.set(outer)


def _user_of(session: SessionBase) -> Any:
    """Return the user of a session as Django's ``get_user()`` does, but change nothing.

    That renews a session whose secret has been replaced; here nobody could send the new cookie.
    """
    path, key = session.get(auth.BACKEND_SESSION_KEY), session.get(auth.SESSION_KEY)
    if key is None or path is None or path not in settings.AUTHENTICATION_BACKENDS:
        return None
    pk = auth.get_user_model()._meta.pk.to_python(key)
    user: Any = auth.load_backend(path).get_user(pk)
    if not hasattr(user, "get_session_auth_hash"):
        return user
    told = session.get(auth.HASH_SESSION_KEY) or ""
    hashes = (user.get_session_auth_hash(), *user.get_session_auth_fallback_hash())
    return user if any(constant_time_compare(told, each) for each in hashes) else None


def _local_format(host: str) -> str:
    """Return a format for sites on the machine that one sits at; empty for any other host."""
    name, port = hosts.split(host)
    if name in LOOPBACK or name.endswith(".localhost"):
        return f"{{slug}}.localhost{f':{port}' if port else ''}"
    return ""


def _known_sites() -> list[dict[str, str]]:
    environment = get_environment()
    configs = SiteConfig.objects.select_related("site").order_by("site__name")[:LISTED]
    known = []
    for config in configs:
        host = config.host(environment)
        url = f"{environment.scheme}://{host}{config.path_prefix if environment.is_live else ''}/"
        known.append({"name": config.site.name, "slug": config.slug, "url": url if host else ""})
    return known


def _page(request: HttpRequest, name: str, status: int, context: dict[str, Any]) -> HttpResponse:
    path = f"sitefleet/{name}.html"
    try:
        text = loader.render_to_string(path, context)
    except TemplateDoesNotExist:
        # The project loads no templates of apps: ours still have to be seen.
        folder = str(Path(__file__).parent / "templates")
        engine = Engine(dirs=[folder], libraries={"i18n": "django.templatetags.i18n"})
        text = engine.get_template(path).render(Context(context))
    response = HttpResponse(text, status=status)
    if status >= 400:  # noqa: PLR2004 - every page here; HTTP has the number in its name
        add_never_cache_headers(response)
    return response
