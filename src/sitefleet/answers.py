"""What sitefleet itself answers: unknown and malformed hosts, inactive sites, redirects.

Each page is a template ``sitefleet/<name>.html`` that a project may override. They are rendered
without the request and without context processors: there may be no site and no session here.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.sites.models import Site
from django.http import (
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponsePermanentRedirect,
)
from django.template import Context, Engine, TemplateDoesNotExist, loader
from django.urls import get_script_prefix
from django.utils.cache import add_never_cache_headers

from sitefleet import hosts
from sitefleet.conf import get_conf, process_site_id
from sitefleet.current import override_site
from sitefleet.databases import site_connection
from sitefleet.environments import get_environment
from sitefleet.generation import Generation
from sitefleet.models import Alias, SiteConfig
from sitefleet.pipeline import is_listed, steps_for
from sitefleet.presented import shown
from sitefleet.preview import is_open, is_staff
from sitefleet.resolver import resolver
from sitefleet.states import State

if TYPE_CHECKING:
    from django.db import Error
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

    from sitefleet.exceptions import InvalidHost
    from sitefleet.pipeline import Match

logger = logging.getLogger("sitefleet")

SAFE_METHODS = ("GET", "HEAD")
#: Hosts of the machine that one sits at, beside ``*.localhost``.
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
RUNSERVER_PORT = "8000"
#: Sites that the page for an unknown host lists in DEBUG.
LISTED = 50
#: Seconds that are named where the database does not answer, as routers do for a process.
RETRY_SOON = 5


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
    return _without_urlconf(request, match)


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
    port, own = hosts.split(host)[1], process_site_id()
    context |= {
        "command_host": host,
        "path": request.path,
        # A router of ours says there what Host says too.
        "ignored_header": "" if settings.USE_X_FORWARDED_HOST or forwarded == raw else forwarded,
        "looked_up": bool(steps_for(host, environment, www=get_conf().WWW)),
        "slug": environment.slug_in(host),
        "local_format": _local_format(host) if environment.is_live else "",
        "local_port": "" if port == RUNSERVER_PORT else port,
        "process_site": "" if own is None else str(own),
        "known": _known_sites(own) if settings.DEBUG else [],
    }
    return _page(request, "unknown_host", 404, context)


def without_database(request: HttpRequest, error: Error) -> HttpResponse:
    """Answer 503 where the database of sites is away; any other ``error``: see `unmigrated`."""
    connection = site_connection()
    # No connection is made for this: who waits has waited for one already.
    if connection.connection is not None and connection.is_usable():
        return unmigrated(request, error)
    raw, reason = raw_host(request), " ".join(str(error).split())
    logger.error("503 for %r, the database does not answer: %s", raw, reason)
    page = _page(request, "no_database", 503, {"reason": reason, "debug": settings.DEBUG})
    page["Retry-After"] = str(RETRY_SOON)
    return page


def unmigrated(request: HttpRequest, error: Error) -> HttpResponse:
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
    kind = PermanentRedirectKeepingMethod
    response = HttpResponsePermanentRedirect(url) if request.method in SAFE_METHODS else kind(url)
    return _measured(response)


def _inactive(request: HttpRequest, match: Match) -> HttpResponseBase | None:
    conf = get_conf()
    if match.state == State.MAINTENANCE:
        if is_open(request, match) or is_staff(request, match):
            return None
        with override_site(match.site):  # in its theme
            page = _page(request, "maintenance", 503, {"name": match.site.name})
        page["Retry-After"] = str(conf.RETRY_AFTER)
        return page
    if match.state == State.ARCHIVED:
        if not conf.ARCHIVED_READ_ONLY:
            with override_site(match.site):
                return _page(request, "archived", 410, {"name": match.site.name})
        return None if request.method in SAFE_METHODS else HttpResponseNotAllowed(SAFE_METHODS)
    return _page(request, "suspended", 404, {})


def _without_urlconf(request: HttpRequest, match: Match) -> HttpResponse | None:
    """Answer 503 where the site has a URLconf that is not listed: never with other pages."""
    view = shown(match.site)
    urlconf = view.options.urlconf if view is not None else ""
    if is_listed(urlconf):
        return None
    logger.error(
        "The site %r has the URLconf %r, which SITEFLEET['URLCONFS'] does not list: 503.",
        match.slug,
        urlconf,
    )
    context = {"name": match.site.name, "urlconf": urlconf, "debug": settings.DEBUG}
    page = _page(request, "misconfigured", 503, context)
    page["Retry-After"] = str(get_conf().RETRY_AFTER)
    return page


def _local_format(host: str) -> str:
    """Return a format for sites on the machine that one sits at; empty for any other host."""
    name, port = hosts.split(host)
    if name in LOOPBACK or name.endswith(".localhost"):
        return f"{{slug}}.localhost{f':{port}' if port else ''}"
    return ""


def _known_sites(only: int | None) -> list[dict[str, str]]:
    environment = get_environment()
    configs = SiteConfig.objects.select_related("site").order_by("site__name")
    known = []
    for config in (configs if only is None else configs.filter(pk=only))[:LISTED]:
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
    return _measured(response)


def _measured(response: HttpResponse) -> HttpResponse:
    """Tell the length: CommonMiddleware, which does that, stands behind what answers here.

    Some servers send such an answer without any end but that of the connection.
    """
    response["Content-Length"] = str(len(response.content))
    return response
