"""What a plan may cost at most: memory, database connections, file descriptors.

The figures of memory are measured ones of a heavy project (a CMS, a REST framework, the admin): a
plan says with them whether a machine is large enough by half or by ten times, no more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sitefleet.exceptions import SiteError

if TYPE_CHECKING:
    from sitefleet.hosting.planning.plan import Instance, Plan

#: Megabytes of a worker that shares nothing, and of one that was forked from a warm parent.
WHOLE, FORKED = 100, 20
#: Descriptors of a process that have nothing to do with sites: libraries, logs, the database.
OWN_DESCRIPTORS = 100
#: Of an instance: its socket here, and a pipe for each that watches its processes.
PER_INSTANCE = 3
#: Connections of clients that a router has open at once, with one to a server each.
CONNECTIONS = 1000


@dataclass(frozen=True, slots=True)
class Cost:
    """What one instance may cost at most."""

    workers: int
    threads: int
    megabytes: int
    connections: int


@dataclass(frozen=True, slots=True)
class Budget:
    """What all of them may cost at most."""

    megabytes: int
    connections: int
    most_connections: int | None
    """What the database lets in; None where it has no such limit."""
    descriptors: int
    """What the plan cannot do without."""
    wanted_descriptors: int
    """What it takes to serve `CONNECTIONS` clients at once as well."""

    def warnings(self) -> list[str]:
        """Return a sentence for each sum that is over what there is."""
        found = []
        if self.most_connections is not None and self.connections > self.most_connections:
            found.append(
                f"All processes at work would open {self.connections} connections to the database,"
                f" which lets in {self.most_connections}: give sites fewer threads or workers, or"
                " put a pooler before it."
            )
        return found


def cost_of(instance: Instance, driver: str) -> Cost:
    """Return what an instance may cost at most."""
    options = instance.options
    forked = instance.site is not None and driver == "zygote"
    each = options.memory_limit or (FORKED if forked else WHOLE)
    workers = options.workers
    return Cost(workers, options.threads, each * workers, workers * options.threads)


def make_budget(plan: Plan) -> Budget:
    """Return what a plan may cost at most."""
    driver = plan.fleet.serving.driver
    costs = [cost_of(instance, driver) for instance in plan.instances]
    parents = WHOLE * len(plan.groups()) if driver == "zygote" else 0
    least = OWN_DESCRIPTORS + PER_INSTANCE * len(plan.instances)
    return Budget(
        megabytes=sum(cost.megabytes for cost in costs) + parents + WHOLE,
        connections=sum(cost.connections for cost in costs) + 1,  # the reader's
        most_connections=plan.fleet.database.get("max_connections"),
        descriptors=least,
        wanted_descriptors=least + 2 * CONNECTIONS,
    )


def check_descriptors(budget: Budget, limit: int) -> str:
    """Return a warning where ``limit`` is less than a plan wants. Raises SiteError: than needs."""
    way_out = "raise the limit (ulimit -Hn, LimitNOFILE of systemd, /etc/security/limits.conf)."
    if limit < budget.descriptors:
        message = (
            f"The sites need {budget.descriptors} open files, and this process may open {limit}:"
            f" {way_out}"
        )
        raise SiteError(message)
    if limit < budget.wanted_descriptors:
        clients = (limit - budget.descriptors) // 2
        return (
            f"This process may open {limit} files: enough for the sites and {clients} clients at"
            f" once, and not for {CONNECTIONS}: {way_out}"
        )
    return ""
