"""What should run, and why: from a fleet to instances and to where each host leads.

Pure: a plan is compared, shown and tested without a server. An *instance* is one group of server
processes: the shared server (site None), one for shared sites that want ASGI, one per dedicated
site.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from sitefleet.hosting.planning.fleet import DEDICATED, Fleet, Site
from sitefleet.hosting.planning.options import Options, make_options

#: Sites in these states are answered by the shared server: nothing of theirs is to run.
ASLEEP = ("suspended",)


@dataclass(frozen=True, slots=True)
class Instance:
    """One group of server processes, which listens on one address."""

    key: str
    """``shared``, ``shared-asgi``, or ``site-<id>``: names its socket, its log and its cgroup."""
    site: int | None
    """The site it is for; None for the shared server."""
    slug: str
    names: tuple[str, ...]
    """Hosts that lead to it; none for the shared server, which gets all others."""
    options: Options
    group: str = ""
    """Sites of one code group can be forked from one parent: same code, same environment."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What comes of one site, and why."""

    site: Site
    mode: str
    instance: str
    """The key of the instance that answers for it."""
    why: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What should run."""

    fleet: Fleet
    shared: tuple[Instance, ...]
    """The shared server first; then that for shared sites that want ASGI, if there are any."""
    dedicated: tuple[Instance, ...]
    decisions: tuple[Decision, ...]

    @property
    def instances(self) -> tuple[Instance, ...]:
        """All of them, the shared server first."""
        return *self.shared, *self.dedicated

    def routes(self) -> dict[str, str]:
        """Return the key of the instance for each host; all other hosts lead to ``shared``."""
        return {name: instance.key for instance in self.instances for name in instance.names}

    def groups(self) -> dict[str, tuple[Instance, ...]]:
        """Return the dedicated instances by code group."""
        found: dict[str, list[Instance]] = {}
        for instance in self.dedicated:
            found.setdefault(instance.group, []).append(instance)
        return {group: tuple(instances) for group, instances in found.items()}


def make_plan(fleet: Fleet) -> Plan:
    """Return what should run for a fleet."""
    decisions = tuple(_decide(site, fleet.serving.driver) for site in fleet.sites)
    dedicated = tuple(
        Instance(
            key=decision.instance,
            site=decision.site.id,
            slug=decision.site.slug,
            names=decision.site.names,
            options=decision.site.options,
            group=code_group(decision.site.options),
        )
        for decision in decisions
        if decision.mode == DEDICATED
    )
    shared = [Instance("shared", None, "", (), make_options({"idle": 0}, fleet.serving.shared))]
    asgi = tuple(d.site for d in decisions if d.instance == SHARED_ASGI)
    if asgi:
        names = tuple(name for site in asgi for name in site.names)
        options = make_options({"idle": 0}, fleet.serving.shared, {"interface": "asgi"})
        shared.append(Instance(SHARED_ASGI, None, "", names, options))
    return Plan(fleet, tuple(shared), dedicated, decisions)


SHARED_ASGI = "shared-asgi"


def instance_key(site: int) -> str:
    """Return the key of the instance of a dedicated site: by id, as paths of sockets are short."""
    return f"site-{site}"


def site_of(key: str) -> int | None:
    """Return the id of the site that an `instance_key` tells; None for another one."""
    name, _, number = key.partition("-")
    return int(number) if name == "site" and number.isdigit() else None


def code_group(options: Options) -> str:
    """Return the code group of a site: "" for the common one, else by its environment."""
    if not options.environment:
        return ""
    text = json.dumps(options.environment, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _decide(site: Site, driver: str) -> Decision:
    if site.mode != DEDICATED:
        if site.options.interface == "asgi" and site.names:
            return Decision(site, "shared", SHARED_ASGI, f"{site.mode_by}, and it wants ASGI")
        reason = _why_asleep(site) or site.mode_by
        return Decision(site, "shared", "shared", reason)
    if reason := _why_not_dedicated(site):
        return Decision(site, "shared", "shared", reason)
    if driver == "uwsgi" and site.options.interface == "asgi":
        return Decision(site, "shared", SHARED_ASGI, "it wants ASGI, which uWSGI does not speak")
    why = site.mode_by
    if site.options.environment:
        why += ", with an environment of its own"
    return Decision(site, DEDICATED, instance_key(site.id), why)


def _why_asleep(site: Site) -> str:
    return f"it is {site.state}: nothing of it runs" if site.state in ASLEEP else ""


def _why_not_dedicated(site: Site) -> str:
    return _why_asleep(site) or site.shared_because or ("" if site.names else "it has no host here")
