"""The fleet as `sitefleet.hosting` wants it: read from the database, by the rules of the core.

A million shared sites are counted, not loaded. Which hosts lead to a site is asked of the pipeline
that requests go through, with the same rows: no host is sent to the processes of a site that would
be answered with another one.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from django.conf import settings
from django.contrib.sites.models import Site
from django.db.models import CharField, F, Q, TextField, Value
from django.db.models.functions import Cast, Coalesce

from sitefleet.conf import get_conf
from sitefleet.databases import site_connection
from sitefleet.environments import get_environment
from sitefleet.hosting import fleet as hosting
from sitefleet.hosting.fleet import DEDICATED, MODE_VARIABLE, MODES, SHARED, Fleet, Serving
from sitefleet.hosting.options import Options, make_options
from sitefleet.hosting.settings import read_serving
from sitefleet.pipeline import bare_slug
from sitefleet.presented import Stored
from sitefleet.serving.capacity import read_capacity
from sitefleet.serving.names import Wanted, find_names
from sitefleet.states import State
from sitefleet.triggers import read_generation

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from django.db.models import QuerySet

    from sitefleet.environments import Environment

#: Rows that are fetched at a time.
CHUNK = 2000
#: Shared sites that are named where a fleet starts.
EXAMPLES = 20
NO_OPTIONS = ("", "{}", "null")


class Row(NamedTuple):
    """What is read of a site."""

    pk: int
    name: str
    domain: str
    slug: str
    path_prefix: str
    state: str
    mode: str
    serving: str


def load_fleet() -> Fleet:
    """Return all sites, and how they are to be served. Raises InvalidSetting, DatabaseError."""
    connection = site_connection()
    conf = get_conf()
    serving = read_serving(conf.SERVING | _wishes())
    environment = get_environment()
    # First: what changes from here on is told by another generation.
    generation = read_generation(connection) or 0
    total = Site.objects.using(connection.alias).count()
    listed = [found for found in map(_reader(serving), _rows(serving.mode)) if found]
    sites = _sites(listed, environment)
    dedicated = sum(site.mode == DEDICATED for site in sites)
    return Fleet(
        generation=generation,
        sites=sites,
        shared_count=total - dedicated,
        serving=serving,
        debug=settings.DEBUG,
        format=environment.format,
        freshness=conf.FRESHNESS,
        database=read_capacity(connection),
        has_asgi=bool(getattr(settings, "ASGI_APPLICATION", None)),
        examples=tuple((site.slug, site.url) for site in shared_sites(serving, EXAMPLES)),
    )


def _wishes() -> dict[str, str]:
    """Return what the command line of `sitefleet` says about sites that do not say themselves."""
    mode = os.environ.get(MODE_VARIABLE, "")
    return {"mode": mode} if mode in MODES else {}


def mode_of(mode: str, default: str) -> str:
    """Return the mode that a column holds, or the default where it holds none of ours."""
    return mode if mode in MODES else default


def options_of(serving: Serving, mode: str, own: Mapping[str, Any]) -> Options:
    """Return the options of a site, with those of the project where it does not say itself.

    Whether the shared server speaks ASGI says ``SERVING["shared"]``: for shared sites that default
    counts, and not that of sites.
    """
    default = dict(serving.options)
    if mode == SHARED:
        default.pop("interface", None)
    usable = dict(own)
    if isinstance(usable.get("environment"), dict):
        variables = usable["environment"].items()
        usable["environment"] = {k: v for k, v in variables if k in serving.environment}
    return make_options(default, usable)


def count_dedicated(default_mode: str) -> int:
    """Return how many sites are to have processes of their own."""
    return Site.objects.using(site_connection().alias).filter(_is_dedicated(default_mode)).count()


def shared_sites(serving: Serving, most: int) -> tuple[hosting.Site, ...]:
    """Return some shared sites that answer here, the oldest first, with the default options."""
    rows = _select(_is_dedicated(serving.mode, negated=True))[:most]
    found = [(row, SHARED, options_of(serving, SHARED, {})) for row in map(Row._make, rows)]
    sites = _sites(found, get_environment())
    return tuple(site for site in sites if site.url and site.state == State.ACTIVE)


def _rows(default_mode: str) -> Iterator[Row]:
    """Find sites that are dedicated or have options of their own; no other is fetched."""
    own = Q(text__isnull=False) & ~Q(text__in=NO_OPTIONS)
    return map(Row._make, _select(_is_dedicated(default_mode) | own).iterator(CHUNK))


def _is_dedicated(default_mode: str, *, negated: bool = False) -> Q:
    # Whatever is no mode of ours counts as the default; so does a site without a SiteConfig.
    dedicated = Q(siteconfig__mode=DEDICATED)
    if default_mode == DEDICATED:
        dedicated = ~Q(siteconfig__mode=SHARED) | Q(siteconfig__isnull=True)
    return ~dedicated if negated else dedicated


def _select(condition: Q) -> QuerySet[Site, Any]:
    columns = (
        Coalesce("siteconfig__domain", "domain"),
        _text("siteconfig__slug"),
        _text("siteconfig__path_prefix"),
        Coalesce("siteconfig__state", Value(State.ACTIVE.value), output_field=CharField()),
        _text("siteconfig__mode"),
        _text("text"),
    )
    return (
        Site.objects.using(site_connection().alias)
        .annotate(text=Cast(F("siteconfig__serving"), TextField()))
        .filter(condition)
        .order_by("pk")
        .values_list("pk", "name", *columns)
    )


def _text(name: str) -> Coalesce:
    return Coalesce(name, Value(""), output_field=TextField())


def _reader(serving: Serving) -> Any:
    def read(row: Row) -> tuple[Row, str, Options] | None:
        mode = mode_of(row.mode, serving.mode)
        options = options_of(serving, mode, Stored.read(row.serving))
        own_word = options.interface == "asgi" or options.warm_up
        return (row, mode, options) if mode == DEDICATED or own_word else None

    return read


def _sites(
    listed: list[tuple[Row, str, Options]], environment: Environment
) -> tuple[hosting.Site, ...]:
    wanted = [
        Wanted(row.pk, environment.host_of(row.slug or bare_slug(row.pk), row.domain))
        for row, _, _ in listed
    ]
    names = find_names(wanted, environment)
    return tuple(
        hosting.Site(
            id=row.pk,
            slug=row.slug or bare_slug(row.pk),
            name=row.name,
            # What is no state of ours is answered as the suspended ones are.
            state=row.state if row.state in State.values else State.SUSPENDED.value,
            mode=mode,
            url=_url(wish.host, row.path_prefix, environment),
            names=names[row.pk].names,
            shared_because=names[row.pk].shared_because,
            options=options,
        )
        for (row, mode, options), wish in zip(listed, wanted, strict=True)
    )


def _url(host: str, path_prefix: str, environment: Environment) -> str:
    prefix = path_prefix if environment.is_live else ""
    return f"{environment.scheme}://{host}{prefix}/" if host else ""
