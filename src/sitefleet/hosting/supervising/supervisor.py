"""Keeps a fleet running while it changes: what `sitefleet up` starts.

It holds the sockets and knows the plan; what serves requests are other processes. Nothing that
goes wrong with one of them, with a site or with the database ends it.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Any

from sitefleet.exceptions import SiteError
from sitefleet.hosting.context import Context, Status
from sitefleet.hosting.drivers import make_driver, make_shared
from sitefleet.hosting.planning.fleet import SHARED
from sitefleet.hosting.planning.plan import Plan, instance_key, make_plan
from sitefleet.hosting.processes.leftovers import end_leftovers, kill_leftovers
from sitefleet.hosting.processes.memory import private_bytes
from sitefleet.hosting.processes.process import wait_for_all
from sitefleet.hosting.processes.sockets import Sockets, listen
from sitefleet.hosting.routers import NEED_PORTS, make_router
from sitefleet.hosting.servers import counts
from sitefleet.hosting.supervising.journal import describe
from sitefleet.hosting.supervising.naming import ROUTER, name_of
from sitefleet.hosting.supervising.reader import Reader
from sitefleet.hosting.supervising.trial import Found, try_project
from sitefleet.terminal import few

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Collection, Iterable

    from sitefleet.hosting.planning.fleet import Fleet, Serving
    from sitefleet.hosting.processes.logs import Logs
    from sitefleet.hosting.processes.project import Project
    from sitefleet.hosting.processes.run_dir import RunDir

#: Seconds after which a change that could not be made is tried again.
AGAIN = (1.0, 2.0, 5.0, 10.0)
#: Seconds after which a change is told to take long: more than a driver waits for a project.
LATE = 180.0
#: Why a site is not reloaded, which could not be found by a new process.
AWAY = "the database does not answer"
#: How many sites are named of those that have changed.
NAMED = 5
#: What of the settings takes effect at the next `sitefleet up` only.
AT_START = ("driver", "router", "server", "bind", "run_dir")


class Supervisor:
    """One running fleet; `start`, then `follow` until it is cancelled, then `stop`."""

    overridden: Collection[str] = ()
    """What the command line says, whatever the settings do."""
    mistake = ""
    """Why the code as it is now cannot be loaded, as far as it was tried."""

    def __init__(self, project: Project, run_dir: RunDir, logs: Logs, plan: Plan) -> None:
        serving = plan.fleet.serving
        sockets = Sockets(run_dir, tcp=serving.router in NEED_PORTS)
        self.context = Context(project, run_dir, sockets, logs)
        self.plan = plan
        self.reader = Reader(self.context)
        self.shared = make_shared(self.context)
        self.driver = make_driver(serving.driver, self.context)
        self.router = make_router(serving.router, self.context)
        self.started = monotonic()
        self._changing = asyncio.Lock()
        self._told_later: set[str] = set()
        self._is_half_done = False
        """Whether a change has failed: servers have some of it, which `plan` does not tell."""

    async def start(self) -> None:
        """Start all of it, servers before who leads to them. Raises SiteError, OSError."""
        if ended := await end_leftovers(self.context.run_dir.root):
            self.context.say(f"Ended {ended} processes that an earlier fleet had left running.")
        counts.forget(self.context.run_dir.counts)
        async with self._changing:  # `reload` can be asked for already
            # For each router: where its address is taken, nothing is to be started before that.
            listen(self.plan.fleet.serving.bind).close()
            for instance in self.plan.instances:
                self.context.sockets.address(instance.key)
            await self.reader.start()
            await self._apply_servers(self.plan)
            await self.router.start(self.plan)

    async def follow(self) -> None:
        """Follow the changes of the fleet, for ever."""
        coming = asyncio.create_task(self.reader.next())
        failures = 0
        wanted = self.plan
        try:
            while True:
                pause = AGAIN[min(failures, len(AGAIN)) - 1] if failures else None
                await asyncio.wait((coming,), timeout=pause)
                if coming.done():
                    wanted = self._plan(coming.result())
                    coming = asyncio.create_task(self.reader.next())
                failures = 0 if await self._try(wanted) else failures + 1
        finally:
            coming.cancel()

    async def reload(self, key: str = "") -> str:
        """Let an instance, or all, run the code as it is now; return why not, if it cannot."""
        is_forked = key in {one.key for one in self.plan.dedicated} and self._forks
        if is_forked:  # it runs the code that its parent has loaded
            found = Found(trouble=AWAY if self.reader.is_away else "")
        else:
            found = await try_project(self.context.project)
            self.mistake = found.mistake
        if reason := found.mistake or found.trouble:
            self.context.say(f"Not reloaded, what runs goes on: {reason}")
            return reason
        async with self._changing:
            parts = self._reloads(key)
            for result in await asyncio.gather(*parts, return_exceptions=True):
                if isinstance(result, Exception):
                    self.context.say(f"Not reloaded: {describe(result)}")
                    return describe(result)
        self.context.say(f"Reloaded {name_of(self.plan, key) or 'all'}.")
        return ""

    def _reloads(self, key: str) -> list[Awaitable[None]]:
        """Return what is to be waited for; the key is that of an instance, or names a process."""
        if not key:
            self.reader.restart()
            return [self.shared.reload(), self.driver.reload()]
        if key in {one.key for one in self.plan.shared}:
            return [self.shared.reload(key)]
        if key in {one.key for one in self.plan.dedicated}:
            return [self.driver.reload(key)]
        if key == "reader":
            self.reader.restart()
            return []
        if key in {ROUTER, self.plan.fleet.serving.router}:
            reload = getattr(self.router, "reload", None)
            return [reload()] if reload else [_refuse(f"{key} takes its routes as they change.")]
        return [self.driver.reload()]  # a process of several sites

    @property
    def _forks(self) -> bool:
        return self.plan.fleet.serving.driver == "zygote"

    async def status(self) -> list[Status]:
        """Return what runs: instances, and the processes behind them that no driver speaks of."""
        rows: list[Status] = []
        for name in ("router", "shared", "driver"):
            try:
                rows += await getattr(self, name).status()
            except Exception as error:  # noqa: BLE001 - the others have something to say
                rows.append(Status(name, "failing", note=describe(error)))
        rows += _count(rows, self.plan, counts.Tally(self.context.run_dir.counts))
        told = {row.pid or row.instance for row in rows}
        for process in self.context.processes:
            if process.is_kept and (process.pid or process.name) not in told:
                state = "running" if process.is_running else "starting"
                memory = private_bytes(process.pid)
                rows.append(
                    Status(
                        process.name,
                        state,
                        process.pid,
                        memory,
                        restarts=process.restarts,
                        note=process.note,
                    )
                )
        return rows

    async def stop(self) -> None:
        """Stop: nothing new is accepted, what is being answered is, then all ends."""
        for parts in ((self.router, self.reader), (self.driver, self.shared)):
            results = await asyncio.gather(*(one.stop() for one in parts), return_exceptions=True)
            for result in results:
                if isinstance(result, Exception):
                    self.context.say(f"While stopping: {describe(result)}")
        # Who was stopped while it started something has not got to know of that.
        kept = [process for process in self.context.processes if process.is_kept]
        await asyncio.gather(*(process.stop() for process in kept))
        self.context.sockets.close()

    def kill(self) -> None:
        """End all processes at once."""
        for process in self.context.processes:
            process.kill()
        kill_leftovers(self.context.run_dir.root)  # what has a session of its own

    def _plan(self, fleet: Fleet) -> Plan:
        running = self.plan.fleet.serving
        wished = {name: getattr(running, name) for name in AT_START}
        wished |= _of_programs(running, fleet.serving)
        later = {
            name
            for name, value in wished.items()
            if name not in self.overridden and getattr(fleet.serving, name) != value
        }
        if later - self._told_later:
            self.context.say(f"Takes effect at the next sitefleet up: {', '.join(sorted(later))}.")
        self._told_later = later
        return make_plan(replace(fleet, serving=replace(fleet.serving, **wished)))

    async def _try(self, plan: Plan) -> bool:
        try:
            async with self._changing, self._said_when_late():
                await self._apply(plan)
        except Exception as error:  # noqa: BLE001 - the fleet goes on as it was
            self.context.say(f"A change could not be made, it is tried again: {describe(error)}")
            return False
        return True

    @asynccontextmanager
    async def _said_when_late(self) -> AsyncIterator[None]:
        """Say so when the block takes very long; to leave it half done would be worse."""
        text = f"A change has taken {LATE:g} seconds so far, and others wait: sitefleet status."
        late = asyncio.get_running_loop().call_later(LATE, self.context.say, text)
        try:
            yield
        finally:
            late.cancel()

    async def _apply(self, plan: Plan) -> None:
        """Make the plan that of the servers: listen, lead there, and only then take away."""
        if not self._is_half_done and _what_counts(plan) == _what_counts(self.plan):
            self.plan = plan
            return
        for instance in plan.instances:  # first: without room for one nothing is changed
            self.context.sockets.address(instance.key)
        self._is_half_done = True
        kept = {instance.key for instance in plan.instances}
        leaving = tuple(one for one in self.plan.dedicated if one.key not in kept)
        # The shared server stays as it is until nothing is led to what leaves it.
        gone = tuple(one for one in self.plan.shared if one.key not in kept)
        between = replace(plan, shared=(*plan.shared, *gone), dedicated=(*plan.dedicated, *leaving))
        await self._apply_servers(between)
        await self.router.apply(plan)
        if leaving or gone:
            await self._apply_servers(plan)
        self.context.sockets.keep_only(kept)
        self._tell(plan)
        self.plan, self._is_half_done = plan, False

    async def _apply_servers(self, plan: Plan) -> None:
        await wait_for_all(self.shared.apply(plan), self.driver.apply(plan))

    def _tell(self, plan: Plan) -> None:
        before = {one.key: one for one in self.plan.instances}
        after = {one.key: one for one in plan.instances}
        told = {
            "new": [key for key in after if key not in before],
            "changed": [key for key in after if key in before and before[key] != after[key]],
            "gone": [key for key in before if key not in after],
        }
        parts = [f"{what} {few(keys, NAMED)}" for what, keys in told.items() if keys]
        if parts:
            self.context.say(f"The fleet has changed: {'; '.join(parts)}.")


def _what_counts(plan: Plan) -> tuple[object, ...]:
    """Return what of a plan drivers and routers go by."""
    return plan.instances, plan.decisions, plan.fleet.serving


def _of_programs(running: Serving, wanted: Serving) -> dict[str, Any]:
    """Return settings of a router that is a program: it reads its configuration at its start."""
    router = running.router
    if router == "asyncio":
        return {}
    raw = {name: lines for name, lines in wanted.raw.items() if name != router}
    if router in running.raw:
        raw[router] = running.raw[router]
    return {"trusted_proxies": running.trusted_proxies, "raw": raw}


def _count(rows: Iterable[Status], plan: Plan, tally: counts.Tally) -> list[Status]:
    """Fill in what a driver cannot tell; return rows of the shared sites that were asked for."""
    sites = {instance.key: instance.site for instance in plan.instances}
    for row in rows:
        if row.instance in sites and row.requests is None:
            site = sites[row.instance]
            found = tally.by_site.get(site) if site else tally.by_process.get(row.instance)
            row.requests, row.last_request = found or (0, None)
    told = {0, *sites.values()}
    return [
        Status(instance_key(site), SHARED, requests=requests, last_request=last)
        for site, (requests, last) in sorted(tally.by_site.items())
        if site not in told
    ]


async def _refuse(why: str) -> None:
    raise SiteError(why)


def override(fleet: Fleet, wishes: dict[str, Any]) -> Fleet:
    """Return a fleet that is served as a command line wishes."""
    serving: Serving = replace(fleet.serving, **wishes)
    return replace(fleet, serving=serving)
