"""Which hosts belong to one site alone: every request for them, on any port and path, leads there.

Routers lead by the name of a host. So a name is given to the processes of a site only where the
pipeline leads each port and each path of it to that site.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from django.contrib.sites.models import Site

from sitefleet import hosts
from sitefleet.databases import asking, site_connection
from sitefleet.exceptions import InvalidHost
from sitefleet.models import Alias, SiteConfig
from sitefleet.pipeline import RULE, Entry, Row, Step, bare_id, decide, look_up, steps_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sitefleet.environments import Environment

Item = TypeVar("Item")

#: Hosts that are looked up at a time: three columns are compared with two names each.
AT_ONCE = 100
#: Steps that only such a name can win; the others are for hosts that nobody has named.
EXACT = ("environment rule", "host with port", "host")


class Wanted(NamedTuple):
    """A site whose names are looked for, and its own host; empty where it has none here."""

    pk: int
    host: str


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one site."""

    names: tuple[str, ...] = ()
    shared_because: str = ""


def find_names(wanted: list[Wanted], environment: Environment) -> dict[int, Names]:
    """Return by primary key the names of sites, their own host first."""
    if not wanted:
        return {}
    aliases = _aliases([site.pk for site in wanted])
    own = {site.pk: _own_name(site.host, environment) for site in wanted}
    candidates = {
        name
        for site in wanted
        for name in (own[site.pk], *aliases[site.pk])
        if name and not hosts.split(name)[1]
    }
    ported = _with_ports(candidates)
    entries = _look_up(chain(candidates, *ported.values()), environment)

    def leads(name: str, pk: int) -> bool:
        found = [entries[host] for host in (name, *ported[name])] if name in candidates else []
        return bool(found) and all(_only(entry, pk) for entry in found)

    found = {}
    for site in wanted:
        host = own[site.pk]
        good = not host or leads(host, site.pk)
        reason = "" if good else _why_shared(host, ported[host], entries)
        mine = sorted(name for name in aliases[site.pk] if name != host and leads(name, site.pk))
        names = (*([host] if host else []), *mine)
        found[site.pk] = Names((), reason) if reason else Names(names)
    return found


def _own_name(host: str, environment: Environment) -> str:
    """Return the host of a site in normal form; by the rule of an environment any port will do."""
    try:
        normal = hosts.normalize(host) if host else ""
    except InvalidHost:
        return ""  # raw SQL: no request leads there
    return normal if environment.is_live else hosts.split(normal)[0]


def _why_shared(host: str, with_ports: list[str], entries: dict[str, Entry]) -> str:
    if hosts.split(host)[1]:
        return f"its host has a port, {host}, and other ports of it lead elsewhere"
    if entries[host].below:
        return f"it shares {host} with sites below path prefixes, or is below one itself"
    if with_ports:
        return f"other ports of {host} lead to other sites ({', '.join(with_ports[:3])})"
    return f"{host} leads to another site"


def _only(entry: Entry, pk: int) -> bool:
    """Tell whether all paths lead to one site."""
    return entry.root is not None and entry.root.site.pk == pk and not entry.below


def _aliases(sites: list[int]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = defaultdict(list)
    rows = Alias.objects.using(site_connection().alias).exclude(name__startswith="*")
    for some in _batches(sites):
        for pk, name in rows.filter(site__in=some).values_list("site_id", "name"):
            if isinstance(name, str):  # SQLite keeps anything
                found[pk].append(name)
    return found


def _with_ports(names: set[str]) -> dict[str, list[str]]:
    """Return by name the hosts with a port that anybody has given to a site."""
    found: dict[str, list[str]] = defaultdict(list)
    using = site_connection().alias
    columns = ((Site, "domain"), (SiteConfig, "domain"), (Alias, "name"))
    for model, column in columns if names else ():
        rows = model._default_manager.using(using).filter(**{f"{column}__contains": ":"})
        for host in rows.values_list(column, flat=True).iterator():
            name = hosts.split(host)[0] if isinstance(host, str) else ""
            if name in names:
                found[name].append(host)
    return found


def _look_up(names: Iterable[str], environment: Environment) -> dict[str, Entry]:
    """Return what the pipeline says of each host, as far as exact names go."""
    found = {}
    for some in _batches(sorted(set(names))):
        steps = {name: _exact_steps(name, environment) for name in some}
        with asking():
            found_rows = look_up([*chain(*steps.values())], environment, site_connection())
        # SQLite keeps anything: no host leads to a row that has bytes where texts belong.
        rows = [row for row in found_rows if not any(isinstance(one, bytes) for one in _texts(row))]
        for name, ways in steps.items():
            mine = [row for row in rows if row.kind != RULE or _is_of(row, ways)]
            found[name] = decide(name, ways, mine, environment, {})[0]
    return found


def _texts(row: Row) -> tuple[object, ...]:
    return row.domain, row.slug, row.config_domain, row.path_prefix


def _exact_steps(name: str, environment: Environment) -> list[Step]:
    return [step for step in steps_for(name, environment, www=False) if step.how in EXACT]


def _is_of(row: Row, steps: list[Step]) -> bool:
    slug = steps[0].slug if steps else ""
    # MySQL finds slugs whatever the case of their letters, which raw SQL may have put there.
    return row.slug.lower() == slug if row.slug is not None else row.pk == bare_id(slug)


def _batches(items: list[Item]) -> Iterator[list[Item]]:
    return (items[start : start + AT_ONCE] for start in range(0, len(items), AT_ONCE))
