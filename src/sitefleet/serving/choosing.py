"""Which paths a process warms up with: those that the sites list which it is for."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from django.contrib.sites.models import Site as SiteRow
from django.db.models import TextField, Value
from django.db.models.functions import Coalesce

from sitefleet.conf import process_site_id
from sitefleet.databases import site_connection
from sitefleet.hosting.planning.fleet import SHARED
from sitefleet.hosting.planning.plan import make_plan
from sitefleet.hosting.servers.variables import FORKS
from sitefleet.serving.fleet import shared_sites
from sitefleet.terminal import few

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sitefleet.hosting.planning.fleet import Fleet, Site

    Wanted = tuple[Site, tuple[str, ...]]

logger = logging.getLogger("sitefleet")

#: Sites whose paths are asked for in one process, at most.
MOST_SITES = 200
#: Sites with the paths of the project, beyond which only one of each kind is asked.
MANY = 20
#: How many are named of what was left out.
NAMED = 10
#: Rows whose kind is asked for at a time: databases have limits for that.
AT_ONCE = 500
#: Nothing of a site in these states is to be seen.
ASLEEP = ("suspended", "archived", "maintenance")


def choose(fleet: Fleet, forks: Collection[int] | None = None) -> list[Wanted]:
    """Return sites and their paths for this process.

    ``forks`` are the sites that it is going to be forked for; by default those of FORKS in the
    environment, if a server has set that. With ``SITE_ID`` it is for that site, else for all that
    the shared server answers for. Raises DatabaseError.
    """
    forks = _told_to_fork() if forks is None else forks
    own = process_site_id()
    if own is not None:
        forks = None
        sites = [site for site in fleet.sites if site.id == own]
    elif forks is not None:
        sites = [site for site in fleet.sites if site.id in forks]
    else:
        sites = _shared(fleet)
    awake = [site for site in sites if site.url and site.state not in ASLEEP]
    listed = [site for site in awake if site.options.warm_up]
    if forks is not None and awake and not listed:
        # What one page loads, each process would load by itself: on a large project that is a
        # third of the time to its first answer, and megabytes.
        return [(awake[0], ("/",))]
    return [(site, site.options.warm_up) for site in _some_of_many(listed, fleet)]


def _told_to_fork() -> set[int] | None:
    told = os.environ.pop(FORKS, None)  # it is for nobody who is started from here
    return None if told is None else {int(word) for word in told.split(",")}


def _shared(fleet: Fleet) -> list[Site]:
    sites = [one.site for one in make_plan(fleet).decisions if one.mode == SHARED]
    if fleet.serving.options.get("warm_up"):  # then sites of no other word have paths, too
        known = {site.id for site in fleet.sites}
        more = shared_sites(fleet.serving, MOST_SITES)
        sites += [site for site in more if site.id not in known]
    return sites


def _some_of_many(sites: list[Site], fleet: Fleet) -> list[Site]:
    """Return sites, those with paths of their own first; of many others one of each kind."""
    default = tuple(fleet.serving.options.get("warm_up", ()))
    own = [site for site in sites if site.options.warm_up != default]
    others = [site for site in sites if site.options.warm_up == default]
    if len(others) > MANY:
        kinds = _kinds([site.id for site in others])
        firsts = {kinds.get(site.id): site for site in reversed(others)}
        logger.info("Warmed up are %s of %s sites with the same paths.", len(firsts), len(others))
        others = [site for site in others if firsts[kinds.get(site.id)] is site]
    chosen = [*own, *others]
    if left_out := chosen[MOST_SITES:]:
        names = few([site.slug for site in left_out], NAMED)
        logger.warning("Warm-up is for %s sites at most. Left out are %s.", MOST_SITES, names)
    return chosen[:MOST_SITES]


def _kinds(ids: Sequence[int]) -> dict[int, tuple[str, str]]:
    """Return URLconf and theme of sites, by id: with the same ones the same code runs."""
    columns = [
        Coalesce(f"siteconfig__{name}", Value(""), output_field=TextField())
        for name in ("urlconf", "theme")
    ]
    rows = SiteRow.objects.using(site_connection().alias)
    found: dict[int, tuple[str, str]] = {}
    for start in range(0, len(ids), AT_ONCE):
        some = rows.filter(pk__in=ids[start : start + AT_ONCE])
        found |= {pk: (urlconf, theme) for pk, urlconf, theme in some.values_list("pk", *columns)}
    return found
