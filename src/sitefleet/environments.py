"""The environment: a rule from a site to the host it has here, and back.

The live environment has no rule: each site answers on its own domain. Any other has a format such
as ``{slug}.localhost:8000``. There the rule alone decides, so a copy of the live database works at
once and never answers for the live names: a host that does not fit the format is not even looked
up.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from django.conf import settings

from sitefleet import hosts
from sitefleet.conf import get_conf
from sitefleet.conf_rules import SLUG_FIELD


@dataclass(frozen=True, slots=True)
class Environment:
    """Where this process runs: ``before`` and ``after`` stand around the slug of a site."""

    scheme: str
    before: str = ""
    after: str = ""

    @property
    def is_live(self) -> bool:
        """Tell whether sites answer on their own domains here."""
        return not self.after

    @property
    def format(self) -> str:
        """The format of this environment's hosts; empty in the live one."""
        return "" if self.is_live else f"{self.before}{SLUG_FIELD}{self.after}"

    def host_of(self, slug: str, domain: str) -> str:
        """Return the host of a site here; empty for a site that has no domain, in live."""
        return domain if self.is_live else f"{self.before}{slug}{self.after}"

    def slug_in(self, host: str) -> str | None:
        """Return the slug that a host in normal form names by the rule; the port is free."""
        name = hosts.split(host)[0]
        after = hosts.split(self.after)[0]
        if self.is_live or not (name.startswith(self.before) and name.endswith(after)):
            return None
        slug = name[len(self.before) : len(name) - len(after)]
        return slug if slug and "." not in slug else None

    def fits(self, host: str) -> bool:
        """Tell whether a host in normal form may be looked up here at all.

        In live every host is. Elsewhere those that match the format, at any depth, and the
        format's own parent: with ``{slug}.localhost`` that is ``localhost`` and all below it.
        """
        if self.is_live:
            return True
        name = hosts.split(host)[0]
        after = hosts.split(self.after)[0]
        if not self.before and after.startswith(".") and name == after[1:]:
            return True
        longer = len(name) > len(self.before) + len(after)
        return longer and name.startswith(self.before) and name.endswith(after)


def get_environment() -> Environment:
    """Return the environment of this process. Raises InvalidSetting."""
    conf = get_conf()
    return _environment(conf.DOMAIN_FORMAT, conf.SCHEME or ("http" if settings.DEBUG else "https"))


@lru_cache(maxsize=8)
def _environment(domain_format: str, scheme: str) -> Environment:
    if not domain_format:
        return Environment(scheme)
    before, _, after = domain_format.strip().lower().partition(SLUG_FIELD)
    # `x` keeps the rest a host, so that its port and its letters come out in normal form.
    return Environment(scheme, before, hosts.normalize(f"x{after}").removeprefix("x"))
