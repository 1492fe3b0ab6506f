"""A process per dedicated site, forked from a parent that has loaded the project: the default.

One parent for each code group. This is their side in the supervisor: it starts them, hands them
the listening sockets of their sites, and does so again when one had to be started again.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sitefleet.hosting.context import Status
from sitefleet.hosting.processes.memory import private_bytes
from sitefleet.hosting.zygote.handle import Handle
from sitefleet.hosting.zygote.program import Served

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sitefleet.hosting.context import Context
    from sitefleet.hosting.planning.fleet import Serving
    from sitefleet.hosting.planning.plan import Instance, Plan

#: Seconds in which a parent has loaded the project, after which nobody waits for it any more.
LOADING = 120.0
#: Seconds beyond the longest timeout of its sites that a parent may take to end.
GRACE = 10.0


class ZygoteDriver:
    """Dedicated sites by fork: see `sitefleet.hosting.context.Driver`."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._parents: dict[str, Handle] = {}
        self._instances: dict[str, Instance] = {}
        self._arguments: list[str] = []
        self._lock = asyncio.Lock()
        self._leaving: dict[Handle, asyncio.Task[None]] = {}

    async def apply(self, plan: Plan) -> None:
        """Have a parent for each code group, and each site with the right one.

        Waits for the first parents, so that the fleet is warm when it is said to answer. Sites that
        come later wait at their sockets. Raises OSError where a parent cannot be started.
        """
        async with self._lock:
            first = not self._parents
            before, self._arguments = self._arguments, _arguments(plan.fleet.serving)
            stale = set(self._parents) if before != self._arguments else set()
            self._instances = {instance.key: instance for instance in plan.dedicated}
            groups = plan.groups()
            failed = [group for group in groups.items() if not await self._serve(*group)]
            for group in set(self._parents) - set(groups):
                self._leave(self._parents.pop(group))
            await asyncio.gather(*map(self._replace, stale & set(groups)))
            if first:
                await asyncio.gather(*(p.settled(LOADING) for p in self._parents.values()))
        if failed:
            message = f"{len(failed)} of {len(groups)} parents cannot be started"
            raise OSError(message)

    async def reload(self, key: str = "") -> None:
        """Bring new code: a new parent takes over, the old one answers what it has begun.

        Where the new one cannot load the project, the old one goes on. With a key only that site
        gets fresh processes, of the code that its parent has.
        """
        async with self._lock:
            if key:
                instance = self._instances.get(key)
                if instance is not None and instance.group in self._parents:
                    self._parents[instance.group].reload(key)
                return
            await asyncio.gather(*map(self._replace, list(self._parents)))

    async def status(self) -> list[Status]:
        """Return what runs."""
        handles = [*self._parents.values(), *self._leaving]
        answers = await asyncio.gather(*(handle.status() for handle in handles))
        found = [
            Status(**row)
            for handle, rows in zip(handles, answers, strict=True)
            for row in rows
            if "pid" in row or handle not in self._leaving
        ]
        seen = {status.instance for status in found}
        for handle in self._parents.values():
            note = handle.why or ("" if handle.is_ready else "the project is being loaded")
            state = "failing" if handle.why else "starting"
            found += [Status(key, state, note=note) for key in handle.keys - seen]
        for row in found:
            if row.pid is not None:
                row.memory = private_bytes(row.pid)
                await asyncio.sleep(0)  # some have hundreds; and no thread, the supervisor forks
        return sorted(found, key=lambda status: (status.instance, status.pid or 0))

    async def stop(self) -> None:
        """Stop all; requests that are being answered are, within their time."""
        async with self._lock:
            for parent in self._parents.values():
                self._leave(parent)
            self._parents.clear()
            self._instances.clear()
        await asyncio.gather(*self._leaving.values())

    async def _serve(self, group: str, instances: Iterable[Instance]) -> bool:
        """Have a parent serve its sites and no others; return whether there is one."""
        if group not in self._parents:
            parent = self._make(group, instances)
            if not await parent.start():
                return False
            self._parents[group] = parent
        self._parents[group].serve(self._served(instances))
        return True

    async def _replace(self, group: str) -> None:
        old = self._parents[group]
        instances = [i for i in self._instances.values() if i.group == group]
        new = self._make(group, instances)
        if not await new.start():
            return
        if await new.settled(LOADING) and not new.why:
            new.serve(self._served(instances))
            await new.has_all()
            self._parents[group] = new
            self._leave(old)
        else:
            why = new.why or f"the project was not loaded in {LOADING:g} s"
            self.context.say(f"The code was not replaced, the old one goes on: {why}.")
            await new.stop(0.0)

    def _make(self, group: str, instances: Iterable[Instance]) -> Handle:
        environment = next((i.options.environment for i in instances), {})
        return Handle(self.context, group, environment, self._arguments)

    def _served(self, instances: Iterable[Instance]) -> dict[str, Served]:
        return {i.key: Served(i.key, i.site, i.options) for i in instances if i.site is not None}

    def _leave(self, handle: Handle) -> None:
        """Let a parent end when its children have answered what they have begun."""
        patience = GRACE + handle.longest_timeout
        task = asyncio.create_task(handle.stop(patience), name="a parent ends")
        self._leaving[handle] = task
        task.add_done_callback(lambda _: self._leaving.pop(handle, None))


def _arguments(serving: Serving) -> list[str]:
    """Return how a parent is started, for these settings."""
    arguments = ["--cgroup", serving.cgroup] if serving.cgroup else []
    return arguments if serving.immortal else [*arguments, "--mortal"]
