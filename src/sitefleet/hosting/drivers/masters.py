"""What drivers have in common whose servers have a master process: see `servers.masters`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sitefleet.exceptions import SiteError
from sitefleet.hosting.processes.process import wait_for_all
from sitefleet.hosting.servers.masters import Master
from sitefleet.hosting.servers.trial import try_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

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
        self._tried: tuple[str, str] | None = None
        """The server and the lines for it that were found good last."""

    async def reload(self, key: str = "") -> None:
        """Let the server of an instance, and so of all its instances, run the code as it is now.

        Raises SiteError where the new one does not come up, and the one before goes on.
        """
        names = [
            name
            for name, run in self._runs.items()
            if not key or key in {instance.key for instance in run.instances}
        ]
        await wait_for_all(*map(self._renew, names))
        if why := [
            f"{name}: {self._masters[name].why}" for name in names if self._masters[name].why
        ]:
            raise SiteError(" ".join(why))

    async def status(self) -> list[Status]:
        """Return what runs."""
        rows: list[Status] = []
        for name, run in self._runs.items():
            for instance in run.instances:
                row = self._masters[name].status(instance)
                if (sites := len(run.instances)) > 1:
                    row.note = row.note or f"one of {sites} sites in {name}"
                rows.append(row)
        return rows

    async def stop(self) -> None:
        """Stop all; requests that are being answered are, within their time."""
        await self._have({})

    async def _have(self, wanted: dict[str, Run]) -> None:
        """Have servers that run what is wanted, and no others.

        Raises SiteError where the lines from the settings cannot be used: then all goes on as it
        is. Raises OSError where one could not be started, when that was tried with all of them.
        """
        for run in wanted.values():
            await self._try_raw(run)
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

    async def _try_raw(self, run: Run) -> None:
        if run.raw and (run.server, run.raw) != self._tried:
            await try_lines(self._context.project, run.server, self._trial(run))
            self._tried = run.server, run.raw

    async def _renew(self, name: str) -> None:
        self._undone.add(name)
        try:
            await self._run(name)
        except OSError as error:
            self._context.say(f"{name}: the server was not started: {error}")
            raise
        self._undone.discard(name)

    def _trial(self, run: Run) -> Sequence[str]:
        """Return what `try_lines` is to try."""
        raise NotImplementedError

    async def _run(self, name: str) -> None:
        """Run a server as it is wanted. Raises OSError."""
        raise NotImplementedError
