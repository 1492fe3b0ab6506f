"""What drivers and routers are handed: where to put things, and how to start processes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol
from weakref import WeakSet

from sitefleet.hosting.processes.leftovers import belonging_to
from sitefleet.hosting.processes.logs import OWN
from sitefleet.hosting.processes.process import Process

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sitefleet.hosting.planning.plan import Plan
    from sitefleet.hosting.processes.logs import Logs
    from sitefleet.hosting.processes.project import Project
    from sitefleet.hosting.processes.run_dir import RunDir
    from sitefleet.hosting.processes.sockets import Sockets


@dataclass
class Context:
    """One running fleet, as drivers and routers see it."""

    project: Project
    run_dir: RunDir
    sockets: Sockets
    logs: Logs
    processes: WeakSet[Process] = field(default_factory=WeakSet)
    """All that were made: `status` shows them, and the second Ctrl-C kills them."""

    def process(
        self,
        name: str,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        descriptors: tuple[int, ...] = (),
    ) -> Process:
        """Return a process of the project, not started yet."""
        own = belonging_to(self.run_dir.root)
        variables = {**self.project.variables(), **(environment or {}), **own}
        made = Process(name, argv, variables, self.logs, descriptors, str(self.project.root))
        self.processes.add(made)
        return made

    def python(self, module: str, *arguments: str) -> list[str]:
        """Return the command that runs a module of ours with the project's Python."""
        return [self.project.python, "-m", module, *arguments]

    def say(self, text: str) -> None:
        """Say something about the fleet as a whole."""
        self.logs.write(OWN, text)


@dataclass
class Status:
    """What one process of an instance does now."""

    instance: str
    state: str
    """``idle`` (nothing runs, the socket is held), ``running``, ``starting``, ``stopping`` or
    ``failing``."""
    pid: int | None = None
    memory: int | None = None
    """Bytes that it really owns (private, from ``smaps_rollup``); None where that is not told."""
    requests: int | None = None
    last_request: float | None = None
    """Seconds since 1970."""
    restarts: int = 0
    note: str = ""


class Driver(Protocol):
    """Runs instances: one for the shared server, one for dedicated sites.

    No call raises because of one site: what is wrong with it is said, and shown by `status`.
    """

    async def apply(self, plan: Plan) -> None:
        """Start, change and stop what has to be, so that the instances of the plan answer.

        Called first with all of them, and at each change. An instance whose options have not
        changed is not disturbed. Returns when new instances can be led to.
        """

    async def reload(self, key: str = "") -> None:
        """Let an instance, or all, run the code as it is now; no request is lost."""

    async def status(self) -> list[Status]:
        """Return what runs, and a row for each instance of which nothing runs."""

    async def stop(self) -> None:
        """Stop all; requests that are being answered are, within their time."""


class Router(Protocol):
    """Leads each host to the address of an instance; all others to the shared server."""

    async def start(self, plan: Plan) -> None:
        """Start, listening on ``plan.fleet.serving.bind``. Raises SiteError when it cannot."""

    async def apply(self, plan: Plan) -> None:
        """Lead hosts as the plan has it; no request is lost."""

    async def status(self) -> list[Status]:
        """Return what runs."""

    async def stop(self) -> None:
        """Stop; requests under way are answered."""
