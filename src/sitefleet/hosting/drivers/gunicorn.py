"""The driver ``gunicorn``: dedicated sites by stock gunicorn, with no code of ours at run time.

One server per group of sites with the same options (the number of workers apart): it loads the
project once, and each worker that it forks becomes one of a site. The list of sites is in its
configuration, so that a change of it is a new server on the same sockets.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from sitefleet.hosting.processes.process import wait_for_all
from sitefleet.hosting.servers.gunicorn_files import sites_file
from sitefleet.hosting.servers.masters import Master
from sitefleet.hosting.servers.workers import check_version

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sitefleet.hosting.context import Context, Status
    from sitefleet.hosting.planning.options import Options
    from sitefleet.hosting.planning.plan import Instance, Plan

#: What gunicorn loads ahead of the fork. Under ASGI no pages are asked for: event loops and their
#: threads do not survive it.
APPLICATIONS = {
    "wsgi": "sitefleet.serving.wsgi:application",
    "asgi": "sitefleet.serving.application:load_asgi()",
}


class GunicornDriver:
    """Runs a gunicorn for each group of dedicated sites."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._raw = ""
        self._masters: dict[str, Master] = {}
        self._runs: dict[str, tuple[Instance, ...]] = {}
        """The instances that were asked for last, by the name of their server."""

    async def apply(self, plan: Plan) -> None:
        """Run the dedicated instances of a plan.

        Raises SiteError where gunicorn is missing, OSError where its files cannot be written.
        """
        before, self._raw = self._raw, plan.fleet.serving.raw.get("gunicorn", "")
        wanted = dict(groups(plan.dedicated))
        for instances in wanted.values():
            check_version(instances[0].options.interface)
        changed = [
            name
            for name, members in wanted.items()
            if _seen(members) != self._seen(name) or self._raw != before
        ]
        self._runs = wanted
        # A site that moves to another server has that one before it leaves this one.
        await wait_for_all(*map(self._run_or_forget, changed))
        gone = [self._masters.pop(name) for name in set(self._masters) - set(wanted)]
        await asyncio.gather(*(master.stop() for master in gone))

    async def reload(self, key: str = "") -> None:
        """Let the server of an instance, and so of its whole group, run the code as it is now."""
        names = [
            name
            for name, members in self._runs.items()
            if not key or key in {member.key for member in members}
        ]
        await asyncio.gather(*map(self._run, names))

    async def status(self) -> list[Status]:
        rows: list[Status] = []
        for name, members in self._runs.items():
            row = self._masters[name].status()
            if len(members) > 1:  # what each of them owns is not told
                row = replace(
                    row, memory=None, note=row.note or f"one of {len(members)} sites in {name}"
                )
            rows += [replace(row, instance=member.key) for member in members]
        return rows

    async def stop(self) -> None:
        masters, self._masters, self._runs = self._masters, {}, {}
        await asyncio.gather(*(master.stop() for master in masters.values()))

    def render(self, plan: Plan) -> dict[str, str]:
        """Return the configurations by name, each with sockets of its own to make."""
        raw = plan.fleet.serving.raw.get("gunicorn", "")
        socket = self._context.run_dir.socket
        return {
            f"{name}.py": sites_file(
                name, members, [f"unix:{socket(member.key)}" for member in members], raw
            )
            for name, members in groups(plan.dedicated)
        }

    def _seen(self, name: str) -> list[tuple[str, Options]] | None:
        return _seen(self._runs[name]) if name in self._runs else None

    async def _run_or_forget(self, name: str) -> None:
        try:
            await self._run(name)
        except OSError:  # not done: it is to be run when this is tried again
            del self._runs[name]
            raise

    async def _run(self, name: str) -> None:
        members = self._runs[name]
        options = members[0].options
        if name not in self._masters:
            self._masters[name] = Master(self._context, name)
        master = self._masters[name]
        try:
            descriptors = [self._context.sockets.get(member.key).fileno() for member in members]
            binds = [f"fd://{number}" for number in descriptors]
            text = sites_file(name, members, binds, self._raw)
            path = master.configure(f"{name}.py", text)
        except OSError as error:
            self._context.say(f"{name}: the server was not started: {error}")
            raise
        application = APPLICATIONS[options.interface]
        await master.run(
            self._context.python("gunicorn", "--config", str(path), application),
            {**options.environment, "GUNICORN_CMD_ARGS": ""},
            descriptors,
            patience=options.timeout,
        )


def groups(instances: Iterable[Instance]) -> list[tuple[str, tuple[Instance, ...]]]:
    """Return the sites that one gunicorn can run, by the name of that, such as ``gunicorn-1f``."""
    found: dict[str, list[Instance]] = {}
    for instance in instances:
        found.setdefault(_group_name(instance), []).append(instance)
    return [(name, tuple(sorted(members, key=_id))) for name, members in found.items()]


def _group_name(instance: Instance) -> str:
    common = replace(instance.options, workers=1, idle=0, warm_up=(), environment={})
    text = f"{instance.group} {common}"
    return f"gunicorn-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _seen(members: tuple[Instance, ...]) -> list[tuple[str, Options]]:
    return [(member.key, member.options) for member in members]


def _id(instance: Instance) -> int:
    return instance.site or 0
