"""What drivers have in common whose servers have a master process: see `servers.masters`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sitefleet.hosting.processes.process import wait_for_all
from sitefleet.hosting.servers.masters import Master

if TYPE_CHECKING:
    from sitefleet.hosting.context import Context, Status
    from sitefleet.hosting.planning.options import Options
    from sitefleet.hosting.planning.plan import Instance


@dataclass(frozen=True, slots=True)
class Run:
    """What is asked of one server."""

    instances: tuple[Instance, ...]
    raw: str
    """Lines from the settings."""
    server: str = "gunicorn"

    @property
    def options(self) -> Options:
        """The options of its instances, which are the same but for the number of workers."""
        return self.instances[0].options

    @property
    def essence(self) -> tuple[object, ...]:
        """What it is replaced for, when that is another: names of sites are none of it."""
        members = [(instance.key, instance.options) for instance in self.instances]
        return members, self.raw, self.server


class MastersDriver:
    """Servers by name, each of which is replaced when something else is asked of it."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._masters: dict[str, Master] = {}
        self._runs: dict[str, Run] = {}
        """What was asked for last."""
        self._undone: set[str] = set()
        """Those to which that could not be brought: they are run when this is tried again."""

    async def reload(self, key: str = "") -> None:
        """Let the server of an instance, and so of all its instances, run the code as it is now."""
        names = [
            name
            for name, run in self._runs.items()
            if not key or key in {instance.key for instance in run.instances}
        ]
        await wait_for_all(*map(self._renew, names))

    async def status(self) -> list[Status]:
        """Return what runs."""
        rows: list[Status] = []
        for name, run in self._runs.items():
            row = self._masters[name].status()
            if (sites := len(run.instances)) > 1:  # what each of them owns is not told
                note = row.note or f"one of {sites} sites in {name}"
                row = replace(row, memory=None, note=note)
            rows += [replace(row, instance=instance.key) for instance in run.instances]
        return rows

    async def stop(self) -> None:
        """Stop all; requests that are being answered are, within their time."""
        await self._have({})

    async def _have(self, wanted: dict[str, Run]) -> None:
        """Have servers that run what is wanted, and no others.

        Raises OSError where one could not be started, when that was tried with all of them.
        """
        changed = [name for name, run in wanted.items() if not self._is_done(name, run)]
        self._runs = wanted
        self._undone &= set(wanted)
        for name in changed:
            if name not in self._masters:
                self._masters[name] = Master(self._context, name)
        # A site that moves to another server has that one before it leaves this one.
        await wait_for_all(*map(self._renew, changed))
        gone = [self._masters.pop(name) for name in set(self._masters) - set(wanted)]
        await wait_for_all(*(master.stop() for master in gone))

    def _is_done(self, name: str, run: Run) -> bool:
        before = self._runs.get(name)
        return before is not None and before.essence == run.essence and name not in self._undone

    async def _renew(self, name: str) -> None:
        self._undone.add(name)
        try:
            await self._run(name)
        except OSError as error:
            self._context.say(f"{name}: the server was not started: {error}")
            raise
        self._undone.discard(name)

    async def _run(self, name: str) -> None:
        """Run a server as it is wanted. Raises OSError."""
        raise NotImplementedError
