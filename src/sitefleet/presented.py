"""Django's ``Site`` as it is handed out: its ``domain`` is the host that it has here.

Other people's code builds links from ``site.domain``. In an environment with a format, and for a
site below a path prefix, the row holds something else: the production name, or host and prefix
together, since Django wants that column unique. So instances that sitefleet hands out show the
host, and remember what the row has; `sitefleet.site_rows` puts that back when one is saved.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from django.contrib.sites.models import Site


class Stored(dict[str, Any]):
    """Values of SITE_SETTINGS of one site, as JSON keeps them; never changed.

    What was made of them stands beside them and goes with them, so nobody has to take it away.
    """

    __slots__ = ("__weakref__", "parsed", "raw")

    def __init__(self, values: object = None, raw: object = None) -> None:
        super().__init__(values if isinstance(values, dict) else {})  # raw SQL lets anything in
        self.raw = raw
        """What the database handed out."""
        self.parsed: tuple[object, dict[str, Any]] | None = None
        """What `sitefleet.persite.settings` read in it, and under which declarations."""

    @classmethod
    def read(cls, raw: object) -> Stored:
        """Return the values in what a database handed out; none where it cannot be read."""
        try:
            values = json.loads(raw) if isinstance(raw, (str, bytes)) else raw
        except (RecursionError, ValueError):
            values = None
        return cls(values, raw)

    def __reduce__(self) -> tuple[Any, ...]:
        return Stored, (dict(self),)  # copies and pickles are of the values alone


class Options(NamedTuple):
    """What follows the site besides its address: columns of its SiteConfig, read with it."""

    theme: str = ""
    urlconf: str = ""
    cache_generation: int = 0
    stored: Stored = Stored()


#: Most sites have none: they share this one.
NO_OPTIONS = Options()


class Shown(NamedTuple):
    """Where a site is in this environment, and what its row has for a domain."""

    pk: int
    host: str
    """With its port; empty when the site has no host here."""
    path_prefix: str
    slug: str
    row_domain: str
    options: Options = NO_OPTIONS


def present(
    site: Site, host: str, path_prefix: str, slug: str, options: Options = NO_OPTIONS
) -> Site:
    """Return ``site`` as it is to be handed out."""
    view = Shown(site.pk, host, path_prefix, slug, row_domain(site), options)
    site._sitefleet = view  # type: ignore[attr-defined]
    if host:
        site.domain = host
    return site


def shown(site: Site) -> Shown | None:
    """Return how ``site`` is presented, or None for an instance that came from elsewhere."""
    return getattr(site, "_sitefleet", None)


def row_domain(site: Site) -> str:
    """Return what the row of ``site`` has for a domain, or what somebody has put there since."""
    view = shown(site)
    untouched = view is not None and site.domain in (view.host, view.row_domain)
    return view.row_domain if view is not None and untouched else site.domain
