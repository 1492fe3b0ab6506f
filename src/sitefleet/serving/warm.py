"""Warm before the first request: what a process else loads while somebody waits.

`warm_project` loads URLconfs, templates and translations. `warm_server` asks paths under the hosts
of sites, too, through the application itself, since what a page needs is known by the page alone.
Such requests are marked (`is_warm_up`), so that statistics can leave them out; what goes wrong in
them is told in the log and stops nothing; and all of it together ends in time.
"""

from __future__ import annotations

import decimal
import logging
from contextvars import copy_context
from importlib import import_module
from time import monotonic
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import connections
from django.forms.renderers import get_default_renderer
from django.template import engines
from django.template.backends.django import DjangoTemplates
from django.urls import get_resolver
from django.utils import translation

from sitefleet.conf import get_conf
from sitefleet.serving.asking import MARK, TimeIsUp, ask_asgi, ask_wsgi, limit
from sitefleet.serving.choosing import NAMED, choose
from sitefleet.serving.fleet import load_fleet
from sitefleet.serving.suspects import noted, spare, tell_suspects
from sitefleet.terminal import few

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from django.http import HttpRequest

    from sitefleet.hosting.planning.fleet import Fleet, Site
    from sitefleet.serving.choosing import Wanted

logger = logging.getLogger("sitefleet")

#: Seconds for all paths of all sites, and for one.
LONGEST, LONGEST_PATH = 20.0, 5.0
TOO_LATE = "Warm-up took longer than %.0f seconds, and was ended. Left out are %s."
#: Catalogs that are loaded; with the list of all that Django knows only that of LANGUAGE_CODE.
MOST_LANGUAGES = 10
FAILED, BROKEN = 400, 500


def is_warm_up(request: HttpRequest) -> bool:
    """Tell whether nobody waits for the answer of this request: a server warms up by it."""
    scope = getattr(request, "scope", None)
    return bool(request.META.get(MARK) or (isinstance(scope, dict) and scope.get(MARK)))


def warm_server(application: Callable[..., Any], *, asgi: bool = False) -> None:
    """Warm the application of this process, for the sites that it serves. Never raises."""
    try:
        warm_project()
        _ask_for(choose(load_fleet()), application, asgi=asgi)
    except Exception as error:  # noqa: BLE001 - the first request tells what is wrong, for one host
        logger.warning("Not warmed up: %s: %s", type(error).__name__, error)
    finally:
        connections.close_all()


def warm_for_fork(application: Callable[..., Any], fleet: Fleet, sites: Collection[int]) -> None:
    """Warm a WSGI application in a process that is going to be forked for sites. Never raises."""
    try:
        warm_project()
        _ask_for(choose(fleet, sites), application, asgi=False)
    except Exception as error:  # noqa: BLE001 - as above
        logger.warning("Not warmed up: %s: %s", type(error).__name__, error)


def warm_project() -> None:
    """Load URLconfs, templates and translations. What fails is told in the log."""
    for what, load in (
        ("URLconfs", _load_urlconfs),
        ("templates", _load_templates),
        ("translations", _load_translations),
    ):
        try:
            load()
        except Exception as error:  # noqa: BLE001 - runs any code of the project
            logger.warning("Warm-up of %s: %s: %s", what, type(error).__name__, error)


def _ask_for(wanted: Iterable[Wanted], application: Callable[..., Any], *, asgi: bool) -> None:
    """Ask for paths of sites, each under the site's own host. What fails is told in the log."""
    ask = ask_asgi if asgi else ask_wsgi
    due = monotonic() + LONGEST
    pairs = [(site, path) for site, paths in spare(wanted, tell_suspects()) for path in paths]
    theirs = logging.getLogger("django.request")
    theirs.addFilter(_is_news)
    try:
        for at, (site, path) in enumerate(pairs):
            if monotonic() >= due:
                left_out = few([f"{site.slug} {path}" for site, path in pairs[at:]], NAMED)
                logger.warning(TOO_LATE, LONGEST, left_out)
                return
            _ask(ask, application, site, path, min(LONGEST_PATH, due - monotonic()))
    finally:
        theirs.removeFilter(_is_news)
        connections.close_all()


def _is_news(record: logging.LogRecord) -> bool:
    """Leave out Django's "Not Found: /" of a warm-up: it is told here, if it is to be."""
    request = getattr(record, "request", None)
    return request is None or record.levelno >= logging.ERROR or not is_warm_up(request)


def _ask(ask: Any, application: Any, site: Site, path: str, seconds: float) -> None:
    try:
        with noted(site, path), limit(seconds):
            status = copy_context().run(_apart, ask, application, site.url, path)
    except TimeIsUp:
        logger.warning("Warm-up of %s, %s: no answer in %.0f seconds.", site.slug, path, seconds)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - runs any code of the project
        logger.warning("Warm-up of %s, %s: %s: %s", site.slug, path, type(error).__name__, error)
    else:
        # A page that nobody has named need not be there.
        if status >= (FAILED if path in site.options.warm_up else BROKEN):
            logger.warning("Warm-up of %s, %s: status %s.", site.slug, path, status)


def _apart(ask: Callable[..., int], *given: Any) -> int:
    """Ask within a copied context: what is left active there is so for no other page or process."""
    decimal.setcontext(decimal.getcontext().copy())  # can be changed in place
    return ask(*given)


def _load_urlconfs() -> None:
    for name in (None, *get_conf().URLCONFS):
        resolver = get_resolver(name)
        # Includes are imported, and reverse() finds its tables made.
        _ = resolver.reverse_dict, resolver.namespace_dict
        for status in (400, 403, 404, 500):
            resolver.resolve_error_handler(status)


def _load_templates() -> None:
    for engine in engines.all():
        if isinstance(engine, DjangoTemplates):
            _ = engine.engine.template_loaders, engine.engine.template_context_processors
    get_default_renderer()


def _load_translations() -> None:
    if not settings.USE_I18N:
        return
    codes = [code for code, _ in settings.LANGUAGES]
    for code in codes if len(codes) <= MOST_LANGUAGES else [settings.LANGUAGE_CODE]:
        with translation.override(code):
            translation.gettext(code)  # any text loads the catalogue
    import_module("django.utils.formats").get_format("DATE_FORMAT")
