"""Plans and states as plain values, for JSON and for tables."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sitefleet.hosting.context import Status
from sitefleet.hosting.planning.budget import cost_of, make_budget
from sitefleet.hosting.planning.fleet import ROUTERS
from sitefleet.hosting.planning.plan import instance_key, site_of
from sitefleet.hosting.processes.logs import OWN
from sitefleet.hosting.processes.memory import private_bytes
from sitefleet.hosting.supervising.naming import ROUTER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sitefleet.hosting.context import Context
    from sitefleet.hosting.planning.plan import Instance, Plan


def tell_plan(plan: Plan) -> dict[str, Any]:
    """Return what is to run, why, and what it may cost at most."""
    fleet, budget = plan.fleet, make_budget(plan)
    serving = fleet.serving
    instances = {instance.key: instance for instance in plan.instances}
    used = fleet.database.get("used_connections")
    return {
        "driver": serving.driver,
        "router": serving.router,
        "server": serving.server,
        "bind": serving.bind,
        "format": fleet.format,
        "generation": fleet.generation,
        "shared_sites": fleet.total - len(plan.dedicated),
        "unlisted": fleet.total - len(plan.decisions),
        "servers": [_instance(instance, serving.driver) for instance in plan.shared],
        "sites": [
            {
                "id": decision.site.id,
                "slug": decision.site.slug,
                "name": decision.site.name,
                "state": decision.site.state,
                "url": decision.site.url,
                "mode": decision.mode,
                "why": decision.why,
                **_instance(instances[decision.instance], serving.driver),
            }
            for decision in plan.decisions
        ],
        "totals": {
            "memory_mb": budget.megabytes,
            "connections": budget.connections,
            "max_connections": budget.most_connections,
            "used_connections": used,
            "descriptors": budget.descriptors,
            "database": fleet.database.get("vendor", ""),
        },
        "warnings": budget.warnings(),
    }


def _instance(instance: Instance, driver: str) -> dict[str, Any]:
    cost = cost_of(instance, driver)
    return {
        "instance": instance.key,
        "driver": "shared" if instance.site is None else driver,
        "interface": instance.options.interface,
        "workers": cost.workers,
        "threads": cost.threads,
        "memory_mb": cost.megabytes,
        "connections": cost.connections,
    }


#: In this order; other processes follow, and sites as their driver tells them.
FIRST = (OWN, ROUTER, *ROUTERS, "shared", "shared-asgi", "reader", "zygote")


def _rank(name: str) -> int:
    if name in FIRST:
        return FIRST.index(name)
    return len(FIRST) + (site_of(name) is not None)


def tell_status(
    plan: Plan, rows: Iterable[Status], uptime: float, context: Context, note: str = ""
) -> dict[str, Any]:
    """Return what runs, that of the fleet as a whole first; ``note`` is said of the fleet."""
    names = {instance_key(one.site.id): one.site.slug for one in plan.decisions}
    own = Status(OWN, "running", os.getpid(), private_bytes(os.getpid()), note=note)
    processes = [
        {**asdict(row), "site": site_of(row.instance), "slug": names.get(row.instance)}
        for row in sorted((own, *rows), key=lambda row: _rank(row.instance))
    ]
    serving = plan.fleet.serving
    return {
        "pid": os.getpid(),
        "run_dir": str(context.run_dir.root),
        "bind": serving.bind,
        "driver": serving.driver,
        "router": serving.router,
        "server": serving.server,
        "generation": plan.fleet.generation,
        "uptime": round(uptime, 1),
        "dedicated_sites": len(plan.dedicated),
        "shared_sites": plan.fleet.total - len(plan.dedicated),
        "lost_lines": context.logs.lost,
        "processes": processes,
    }
