"""From a host to a site: the steps in their order, the one query, and who wins.

The steps, first hit wins:

1. environment rule  outside of live: the host fits the format, its slug is a site's
2. host with port    a domain or an alias that has this very port
3. host              a domain or an alias
4. www twin          in live: the same with ``www.`` in front, or without; redirects
5. wildcard          aliases, the longest first
6. path prefix       where several sites share the host that won: the longest prefix of the path

The rule goes first, since what it names is a site's own host: no alias may take that away.
This module decides and remembers nothing; `sitefleet.resolver` remembers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from django.contrib.sites.models import Site

from sitefleet import hosts
from sitefleet.conf import get_conf
from sitefleet.environments import get_environment
from sitefleet.exceptions import InvalidHost
from sitefleet.models import Alias, SiteConfig
from sitefleet.presented import NO_OPTIONS, Options, Stored, present
from sitefleet.states import State

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from django.db.backends.base.base import BaseDatabaseWrapper

    from sitefleet.current import State as CurrentState
    from sitefleet.environments import Environment


@dataclass(frozen=True, slots=True)
class Match:
    """A host (and path) led to a site."""

    site: Site
    slug: str
    state: str
    how: str
    """The step that won."""
    name: str
    """What matched: a domain, an alias, a wildcard, or a slug."""
    host: str
    """The host that was asked for, in normal form, without port."""
    path_prefix: str
    """The path below which the site is served under this host; empty at the root."""
    redirect: str
    """Host, port and path prefix to redirect to; empty when the site is served here."""
    plain: bool
    """Whether nothing is left to do but to serve the site: the usual case, told in one look."""
    frame: CurrentState
    """The state of `sitefleet.current` while the site is served."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of a host: the site at its root, and the sites below path prefixes."""

    root: Match | None = None
    below: tuple[Match, ...] = ()

    def at(self, path: str) -> Match | None:
        """Return the match for a path: that of the longest path prefix, else the root's."""
        for match in self.below:
            if path.startswith(match.path_prefix):
                rest = path[len(match.path_prefix) :]
                if not rest or rest.startswith("/"):
                    return match
        return self.root

    def only(self, pk: int) -> Entry:
        """Return what of this leads to one site; `UNKNOWN` where nothing does."""
        root = self.root if self.root is not None and self.root.site.pk == pk else None
        below = tuple(match for match in self.below if match.site.pk == pk)
        return Entry(root, below) if root is not None or below else UNKNOWN


class Step(NamedTuple):
    """One way in which a host can lead to a site: under a name, or by a slug."""

    how: str
    name: str = ""
    slug: str = ""
    redirect: bool = False


class Row(NamedTuple):
    """One row of the look-up: a site, and the name under which it was found."""

    found: str
    kind: int
    pk: int
    domain: str
    label: str
    slug: str | None
    config_domain: str | None
    path_prefix: str | None
    state: str | None
    theme: str | None = None
    urlconf: str | None = None
    cache_generation: int | None = None
    settings: Any = None

    def options(self, known: MutableMapping[int, Stored]) -> Options:
        """Return what follows the site, with what is ``known`` to be stored of it."""
        theme, urlconf = self.theme or "", self.urlconf or ""
        values = theme, urlconf, self.cache_generation or 0, self._stored(known)
        return Options(*values) if any(values) else NO_OPTIONS

    def _stored(self, known: MutableMapping[int, Stored]) -> Stored:
        if not self.settings:
            return NO_OPTIONS.stored
        stored = known.get(self.pk)
        if stored is None or stored.raw != self.settings:
            known[self.pk] = stored = Stored.read(self.settings)
        return stored

    def answers(self, step: Step) -> bool:
        """Tell whether this row is what the step was looking for."""
        if step.slug:
            return self.kind == RULE
        return self.kind != RULE and self.found == step.name


DOMAIN, ALIAS_SERVED, ALIAS_REDIRECTED, RULE = range(4)
UNKNOWN = Entry()


def steps_for(host: str, environment: Environment, *, www: bool) -> list[Step]:
    """Return the steps for a host in normal form; none where it does not fit the environment."""
    if not environment.fits(host):
        return []
    name, port = hosts.split(host)
    slug = environment.slug_in(host)
    steps = [] if slug is None else [Step("environment rule", slug=slug)]
    if port:
        steps.append(Step("host with port", host))
    steps.append(Step("host", name))
    if www and environment.is_live and not hosts.is_ip(host):
        steps.append(Step("www twin", hosts.www_twin(name), redirect=True))
    steps += [Step("wildcard", wildcard) for wildcard in hosts.wildcards(host)]
    return steps


def look_up(
    steps: list[Step], environment: Environment, connection: BaseDatabaseWrapper
) -> list[Row]:
    """Return the rows that the steps lead to, by one query on indexed columns."""
    names = [step.name for step in steps if step.name]
    slugs = [step.slug for step in steps if step.slug]
    parts: list[tuple[str, list[Any]]] = [(_ALIASES, names)]
    if environment.is_live:
        parts += [(_DOMAINS, names), (_KEPT_DOMAINS, names)]
    elif slugs:
        bare = [pk for pk in map(bare_id, slugs) if pk is not None]
        parts += [(_SLUGS, slugs), *([(_BARE, bare)] if bare else [])]
    sql = " UNION ALL ".join(
        part.format(**_TABLES, marks=", ".join(["%s"] * len(values))) for part, values in parts
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [value for _, values in parts for value in values])
        return [Row(*values) for values in cursor.fetchall()]


def decide(
    host: str,
    steps: list[Step],
    rows: list[Row],
    environment: Environment,
    known: MutableMapping[int, Stored],
) -> tuple[Entry, Step | None]:
    """Return what the rows say of a host, and the step that won.

    ``known`` has by primary key what is stored of sites: it is the same under each of their names.
    """
    for step in steps:
        found = [row for row in rows if row.answers(step)]
        if found:
            # A domain goes before an alias; names are unique, but raw SQL can do without.
            found.sort(key=lambda row: (row.kind, -len(row.path_prefix or "")))
            matches = [_match(host, step, row, environment, known) for row in found]
            below = tuple(match for match in matches if match.path_prefix)
            root = next((match for match in matches if not match.path_prefix), None)
            return Entry(root, below), step
    return UNKNOWN, None


def _match(
    host: str,
    step: Step,
    row: Row,
    environment: Environment,
    known: MutableMapping[int, Stored],
) -> Match:
    slug = row.slug or bare_slug(row.pk)
    domain = row.domain if row.config_domain is None else row.config_domain
    canonical = environment.host_of(slug, domain)
    prefix = (row.path_prefix or "") if environment.is_live else ""
    is_alias = row.kind in (ALIAS_SERVED, ALIAS_REDIRECTED)
    redirect = ""
    # Served at the root of another host, a site below a prefix would make links without it.
    wanted = step.redirect or row.kind == ALIAS_REDIRECTED or (is_alias and bool(prefix))
    if wanted and canonical and not _comes_back(canonical, host):
        redirect = canonical + (prefix if is_alias else "")
    state = row.state or State.ACTIVE.value
    name = hosts.split(host)[0]
    row_site = Site.from_db(None, _SITE_FIELDS, [row.pk, row.domain, row.label])
    options = row.options(known)
    site = present(row_site, canonical, prefix, slug, options)
    served_prefix = "" if is_alias else prefix
    return Match(
        site=site,
        slug=slug,
        state=state,
        how=step.how,
        name=row.found,
        host=name,
        path_prefix=served_prefix,
        redirect=redirect,
        plain=state == State.ACTIVE
        and not (redirect or served_prefix)
        and is_listed(options.urlconf),
        frame=(row.pk, name, None, site),
    )


def is_listed(urlconf: str) -> bool:
    """Tell whether a site may have this URLconf; one that is not listed is never imported."""
    return not urlconf or urlconf in get_conf().URLCONFS


def _comes_back(canonical: str, host: str) -> bool:
    """Tell whether a redirect would come back here: the row has another spelling, or no host."""
    try:
        return hosts.normalize(canonical) == host
    except InvalidHost:
        return True


def bare_slug(pk: int) -> str:
    """Return the slug of a site that has no SiteConfig yet, as after ``loaddata`` or raw SQL."""
    return f"site-{pk}"


def bare_id(slug: str) -> int | None:
    """Return the id in such a slug, or None."""
    found = _BARE_SLUG.fullmatch(slug)
    return int(found[1]) if found else None


def present_bare(site: Site) -> Site:
    """Return a site that has no SiteConfig yet as it is to be handed out."""
    slug = bare_slug(site.pk)
    return present(site, get_environment().host_of(slug, site.domain), "", slug)


_BARE_SLUG = re.compile(r"site-([0-9]{1,18})")
_SITE_FIELDS = ["id", "domain", "name"]
_TABLES = {
    "site": Site._meta.db_table,
    "config": SiteConfig._meta.db_table,
    "alias": Alias._meta.db_table,
}
_COLUMNS = (
    "s.id, s.domain, s.name, c.slug, c.domain, c.path_prefix, c.state,"
    " c.theme, c.urlconf, c.cache_generation, c.settings"
)
#: Domains that stand in Django's column: the rule in live, and all there is without a SiteConfig.
_DOMAINS = (
    f"SELECT s.domain, {DOMAIN}, {_COLUMNS} FROM {{site}} s"
    " LEFT JOIN {config} c ON c.site_id = s.id WHERE s.domain IN ({marks}) AND c.domain IS NULL"
)
_KEPT_DOMAINS = (
    f"SELECT c.domain, {DOMAIN}, {_COLUMNS} FROM {{config}} c"
    " JOIN {site} s ON s.id = c.site_id WHERE c.domain IN ({marks})"
)
_SLUGS = (
    f"SELECT c.slug, {RULE}, {_COLUMNS} FROM {{config}} c"
    " JOIN {site} s ON s.id = c.site_id WHERE c.slug IN ({marks})"
)
_BARE = (
    f"SELECT s.name, {RULE}, {_COLUMNS} FROM {{site}} s"
    " LEFT JOIN {config} c ON c.site_id = s.id WHERE s.id IN ({marks}) AND c.site_id IS NULL"
)
_ALIASES = (
    f"SELECT a.name, CASE WHEN a.redirect THEN {ALIAS_REDIRECTED} ELSE {ALIAS_SERVED} END,"
    f" {_COLUMNS} FROM {{alias}} a JOIN {{site}} s ON s.id = a.site_id"
    " LEFT JOIN {config} c ON c.site_id = s.id WHERE a.name IN ({marks})"
)
