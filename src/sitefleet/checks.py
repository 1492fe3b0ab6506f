"""System checks: what is wrong with the configuration, by id, and what to do.

Ids: x0nn settings, x1nn sites and their names (with ``--database`` only), x2nn middleware and
hosts. E: it cannot work. W: it can hurt.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.sites.models import Site
from django.core import checks
from django.core.exceptions import ValidationError
from django.db import connections
from django.db.models import Exists, OuterRef

from sitefleet import triggers
from sitefleet.checking import LOOKED_AT, SITE_MIDDLEWARE, look_into
from sitefleet.conf import find_problems, get_conf
from sitefleet.current import AcceptedHost
from sitefleet.databases import site_connection
from sitefleet.environments import get_environment
from sitefleet.models import Alias, SiteConfig
from sitefleet.naming import clean_domain
from sitefleet.populate import find_problems as find_site_problems
from sitefleet.site_id import configured_site_id
from sitefleet.sync import find_changes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DJANGO_SITE_MIDDLEWARE = "django.contrib.sites.middleware.CurrentSiteMiddleware"
#: Middleware of Django that asks for the host or for a site's cookies.
LATER_MIDDLEWARE = (
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.cache.UpdateCacheMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "sitefleet.persite.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
)


def check_settings(**_: Any) -> list[checks.CheckMessage]:
    """Look at ``settings.SITEFLEET``."""
    found: list[checks.CheckMessage] = [
        checks.Error(problem.message, hint=problem.hint, id="sitefleet.E001")
        for problem in find_problems()
    ]
    if not found:
        hint = "See SITES in the settings reference."
        found += [
            checks.Error(message, hint=hint, id="sitefleet.E002")
            for message in find_site_problems(get_conf().SITES)
        ]
        found += _check_listen()
    return found


def _check_listen() -> Iterator[checks.CheckMessage]:
    if get_conf().LISTEN and not _can_listen():
        yield checks.Error(
            "SITEFLEET['LISTEN'] needs PostgreSQL with psycopg 3.",
            hint="Take it out: changes are then seen within SITEFLEET['FRESHNESS'] seconds.",
            id="sitefleet.E003",
        )


def _can_listen() -> bool:
    connection = site_connection()
    database: Any = getattr(connection, "Database", None)
    return connection.vendor == "postgresql" and database.__name__ == "psycopg"


def check_deployment(**_: Any) -> list[checks.CheckMessage]:
    """Look at what is fine in development only (``check --deploy``)."""
    if not os.environ.get("SITEFLEET_SITE"):
        return []
    return [
        checks.Warning(
            "SITEFLEET_SITE is set: this process answers every host with one site.",
            hint="Take it out of the environment of servers; it is for development and commands.",
            id="sitefleet.W004",
        )
    ]


def check_request_path(**_: Any) -> list[checks.CheckMessage]:
    """Look at the middleware and at the gate."""
    found: list[checks.CheckMessage] = []
    order = list(settings.MIDDLEWARE)
    if SITE_MIDDLEWARE not in order:
        found.append(
            checks.Error(
                "SiteMiddleware is not in MIDDLEWARE: no request gets a site.",
                hint=f"Put {SITE_MIDDLEWARE!r} first in MIDDLEWARE.",
                id="sitefleet.E201",
            )
        )
    else:
        early = [path for path in order[: order.index(SITE_MIDDLEWARE)] if path in LATER_MIDDLEWARE]
        found += [
            checks.Error(
                f"{path} stands before SiteMiddleware, where there is no site and no host.",
                hint=f"Put {SITE_MIDDLEWARE!r} first in MIDDLEWARE.",
                id="sitefleet.E202",
            )
            for path in early
        ]
    if DJANGO_SITE_MIDDLEWARE in order:
        found.append(
            checks.Warning(
                "CurrentSiteMiddleware is in MIDDLEWARE too: request.site is set already.",
                hint=f"Take {DJANGO_SITE_MIDDLEWARE!r} out of MIDDLEWARE.",
                id="sitefleet.W203",
            )
        )
    return found + list(_check_gate())


def _check_gate() -> Iterator[checks.CheckMessage]:
    patterns = settings.ALLOWED_HOSTS
    hint = "from sitefleet import ACCEPTED_HOST; ALLOWED_HOSTS = [ACCEPTED_HOST]"
    if "*" in patterns:
        yield checks.Warning(
            'ALLOWED_HOSTS has "*": code that runs ahead of SiteMiddleware trusts any host.',
            hint=hint,
            id="sitefleet.W204",
        )
    elif not any(isinstance(pattern, AcceptedHost) for pattern in patterns) and not (
        settings.DEBUG and not patterns
    ):
        yield checks.Error(
            "ALLOWED_HOSTS does not follow the sites: Django answers 400 for a site's host.",
            hint=hint,
            id="sitefleet.E205",
        )


def check_database(databases: Sequence[str] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """Look at the triggers and at names that came in past validation."""
    return look_into(databases, _check_rows)


def _check_rows(using: str) -> Iterator[checks.CheckMessage]:
    yield from _check_triggers(using)
    yield from _check_names(using)
    yield from _check_double_names(using)
    yield from _check_ids(using)
    yield from _check_hosts()


def _check_triggers(using: str) -> Iterator[checks.CheckMessage]:
    connection = connections[using]
    if connection.vendor not in triggers.DIALECTS:
        yield checks.Error(
            f"sitefleet has no triggers for {connection.vendor}: changes are not seen.",
            hint=f"Use one of: {', '.join(sorted(triggers.DIALECTS))}.",
            id="sitefleet.E101",
        )
    elif triggers.missing(connection):
        yield checks.Warning(
            "Database triggers are missing: other processes do not see changes of sites.",
            hint="Run `manage.py migrate`, which puts them back.",
            id="sitefleet.W102",
        )


def _check_names(using: str) -> Iterator[checks.CheckMessage]:
    rows = Site.objects.using(using).filter(siteconfig__domain__isnull=True)
    names = list(rows.values_list("domain", flat=True)[:LOOKED_AT])
    for name in names:
        try:
            normal = clean_domain(name)
        except ValidationError as error:
            reason = " ".join(error.messages)
        else:
            if normal == name:
                continue
            reason = f"It should read {normal!r}."
        yield checks.Warning(
            f"The domain {name!r} of a site is not in normal form, so no host leads there.",
            hint=f"{reason} Use `manage.py sites rename`.",
            id="sitefleet.W103",
        )


def _check_double_names(using: str) -> Iterator[checks.CheckMessage]:
    sites = Site.objects.filter(domain=OuterRef("name"), siteconfig__domain__isnull=True)
    kept = SiteConfig.objects.filter(domain=OuterRef("name"))
    double = Alias.objects.using(using).filter(Exists(sites) | Exists(kept))
    for alias in double.select_related("site")[:LOOKED_AT]:
        yield checks.Warning(
            f"{alias.name!r} is the domain of one site and an alias of {alias.site.name!r}.",
            hint="The domain wins. Remove the alias with `manage.py sites alias remove`.",
            id="sitefleet.W104",
        )


def _check_ids(using: str) -> Iterator[checks.CheckMessage]:
    sites = Site.objects.using(using)
    if sites.filter(siteconfig__isnull=True).exists():
        yield checks.Warning(
            "Some sites have no SiteConfig: they came in past the ORM.",
            hint="Run `manage.py migrate` or `manage.py sites list`, which give them one.",
            id="sitefleet.W105",
        )
    pk = configured_site_id()
    if pk is not None and not sites.filter(pk=pk).exists():
        yield checks.Warning(
            f"SITE_ID is {pk}, and no site has that id.",
            hint="`manage.py sites list` shows the ids. Without SITE_ID there is no default site.",
            id="sitefleet.W106",
        )


def _check_hosts() -> Iterator[checks.CheckMessage]:
    environment = get_environment()
    if not environment.is_live:
        foreign = len(find_changes(environment, environment, limit=LOOKED_AT))
        if foreign:
            yield checks.Warning(
                f"{foreign} rows of Site hold names of another environment: code that reads them"
                " links there.",
                hint="`manage.py sites sync` writes the hosts of this environment there.",
                id="sitefleet.W107",
            )


def register() -> None:
    """Register all of the above with Django."""
    checks.register(check_settings)
    checks.register(check_request_path, checks.Tags.security)
    checks.register(check_database, checks.Tags.database)
    checks.register(check_deployment, checks.Tags.security, deploy=True)
