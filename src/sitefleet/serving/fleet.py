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
from sitefleet.exceptions import InvalidSetting
from sitefleet.hosting.planning import fleet as hosting
from sitefleet.hosting.planning.fleet import DEDICATED, MODE_VARIABLE, MODES, SHARED, Fleet, Serving
from sitefleet.hosting.planning.options import Options, make_options
from sitefleet.hosting.planning.settings import read_serving
from sitefleet.pipeline import bare_slug
from sitefleet.presented import Stored
from sitefleet.serving.capacity import read_capacity
from sitefleet.serving.names import Wanted, find_names
from sitefleet.states import State, is_dedicated
from sitefleet.triggers import read_generation

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from django.db.models import QuerySet

    from sitefleet.environments import Environment

#: Rows that are fetched at a time.
CHUNK = 2000
#: Sites that are listed at most where plain shared ones are listed too.
MOST_LISTED = 10_000
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


def load_fleet(*, everything: bool = False) -> Fleet:
    """Return all sites, and how they are to be served; plain shared ones are counted.

    With ``everything`` they are listed too, unless there are more sites than `MOST_LISTED`. Raises
    InvalidSetting, DatabaseError.
    """
    connection = site_connection()
    conf = get_conf()
    serving = read_serving(conf.SERVING | _wishes())
    environment = get_environment()
    # First: what changes from here on is told by another generation.
    generation = read_generation(connection) or 0
    total = Site.objects.using(connection.alias).count()
    everything = everything and total <= MOST_LISTED
    rows = map(_row, _select(Q())) if everything else _rows(serving.mode)
    read = _reader(serving, everything=everything)
    sites = _sites([found for found in map(read, rows) if found], environment)
    return Fleet(
        generation=generation,
        sites=sites,
        total=total,
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
    if mode and mode not in MODES:
        message = f"{MODE_VARIABLE}={mode!r} in the environment: it is one of {', '.join(MODES)}."
        raise InvalidSetting(message)
    return {"mode": mode} if mode else {}


def _mode_by(row: Row) -> str:
    """Return what has decided the mode of a site."""
    if row.mode in MODES:
        return "its own mode"
    return "--mode" if _wishes() else "the project's mode"


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
    return Site.objects.using(site_connection().alias).filter(is_dedicated(default_mode)).count()


def shared_sites(serving: Serving, most: int) -> tuple[hosting.Site, ...]:
    """Return some shared sites that answer here, the oldest first, with the default options."""
    rows = _select(is_dedicated(serving.mode, negated=True))[:most]
    found = [(row, SHARED, options_of(serving, SHARED, {})) for row in map(_row, rows)]
    sites = _sites(found, get_environment())
    return tuple(site for site in sites if site.url and site.state == State.ACTIVE)


def _rows(default_mode: str) -> Iterator[Row]:
    """Find sites that are dedicated or have options of their own; no other is fetched."""
    own = Q(text__isnull=False) & ~Q(text__in=NO_OPTIONS)
    return map(_row, _select(is_dedicated(default_mode) | own).iterator(CHUNK))


def _row(values: tuple[Any, ...]) -> Row:
    """Return a row in which texts are texts: SQLite keeps any value in any column."""
    pk, *rest = values
    return Row(pk, *(value if isinstance(value, str) else _named(value) for value in rest))


def _named(value: object) -> str:
    # Nothing that could be taken for a host, a mode or a state.
    return "" if value is None else repr(value)


class _Text(Cast):
    """What a column of JSON holds, as text; in SQLite NULL where it holds something else."""

    def as_sqlite(self, compiler: Any, connection: Any, **_: Any) -> tuple[str, Any]:
        # A cast would make text of bytes that are none, which then cannot be fetched.
        column, parameters = compiler.compile(self.get_source_expressions()[0])
        return f"CASE typeof({column}) WHEN 'text' THEN {column} END", (*parameters, *parameters)


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
        .annotate(text=_Text(F("siteconfig__serving"), TextField()))
        .filter(condition)
        .order_by("pk")
        .values_list("pk", "name", *columns)
    )


def _text(name: str) -> Coalesce:
    return Coalesce(name, Value(""), output_field=TextField())


def _reader(serving: Serving, *, everything: bool) -> Any:
    def read(row: Row) -> tuple[Row, str, Options] | None:
        mode = mode_of(row.mode, serving.mode)
        options = options_of(serving, mode, Stored.read(row.serving))
        own_word = options.interface == "asgi" or options.warm_up
        return (row, mode, options) if everything or mode == DEDICATED or own_word else None

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
            mode_by=_mode_by(row),
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
