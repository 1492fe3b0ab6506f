"""The project, loaded and warmed in a process that is going to be forked for each site."""

from __future__ import annotations

import decimal
import sys
import traceback
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.cache import caches
from django.db import connections
from django.utils import timezone, translation

from sitefleet.current import current_state
from sitefleet.hosting.planning.plan import make_plan
from sitefleet.hosting.servers import workers
from sitefleet.resolver import resolver
from sitefleet.serving.application import load_asgi, load_wsgi
from sitefleet.serving.fleet import load_fleet
from sitefleet.serving.pinning import become_site
from sitefleet.serving.warm import warm_for_fork, warm_project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sitefleet.hosting.zygote.program import Served


class DjangoProgram:
    """The project: see `sitefleet.hosting.zygote.program.Program`."""

    def __init__(self, group: str = "") -> None:
        """Import all of it, warm it for the sites of a code group, close connections.

        Raises what the project raises.
        """
        self._applications: dict[str, Callable[..., Any]] = {}
        wsgi = self._application("wsgi")
        workers.preload("wsgi")
        # The processes look for changes themselves; one connection each for that is too much.
        resolver.after_look = lambda: None
        try:
            fleet = load_fleet()
        except Exception as error:  # noqa: BLE001 - the database may be back when a site is asked for
            sys.stderr.write(f"Sites were not warmed up: {type(error).__name__}: {error}\n")
            warm_project()
        else:
            # Whatever the settings say: it is the driver here.
            own = replace(fleet, serving=replace(fleet.serving, driver="zygote"))
            instances = make_plan(own).groups().get(group, ())
            warm_for_fork(wsgi, fleet, {one.site for one in instances if one.site is not None})
            if any(instance.options.interface == "asgi" for instance in instances):
                self._preload_asgi()
        _let_go()

    def _preload_asgi(self) -> None:
        try:
            self._application("asgi")
            workers.preload("asgi")
        except Exception:  # noqa: BLE001 - sites that want ASGI fail by themselves, others go on
            traceback.print_exc()

    def become(self, served: Served) -> Callable[..., Any]:
        """Be for one site alone, in a forked process; return its application."""
        become_site(served.site)
        return self._application(served.options.interface)

    @staticmethod
    def find_left_active() -> list[str]:
        """Return a sentence for all that is active in this thread, and so in each child."""
        return [
            f"{what} was left active when the project was loaded: it is so in the processes of all"
            " sites; activate it where a request begins."
            for what in _left_active()
        ]

    def _application(self, interface: str) -> Callable[..., Any]:
        if interface not in self._applications:
            load = load_asgi if interface == "asgi" else load_wsgi
            self._applications[interface] = load()
        return self._applications[interface]


def _let_go() -> None:
    """Close connections to databases and caches: two processes must not share any."""
    for connection in connections.all(initialized_only=True):
        connection.close()
        # Of psycopg: with threads, which would be missing in each child.
        getattr(connection, "close_pool", lambda: None)()
    caches.close_all()
    for alias in caches:
        with suppress(AttributeError):  # nobody has used that one
            del caches[alias]


def _left_active() -> Iterator[str]:
    if translation.get_language() != settings.LANGUAGE_CODE:
        yield f"The language {translation.get_language()!r}"
    if timezone.get_current_timezone() != timezone.get_default_timezone():
        yield f"The time zone {timezone.get_current_timezone_name()!r}"
    if current_state.get() is not None:
        yield "A site"
    found, default = decimal.getcontext(), decimal.DefaultContext
    if (found.prec, found.rounding, found.traps) != (default.prec, default.rounding, default.traps):
        yield f"The decimal context {found}"
