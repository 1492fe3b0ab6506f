"""Dedicated sites as vassals of uWSGI's Emperor, which starts each on its first connection.

On PostgreSQL the Emperor reads the database itself: a row that is added, changed or gone counts,
whether or not the supervisor runs. Elsewhere it reads a directory that is written here. It binds
the sockets of sites too, so those are not the supervisor's.
"""

from __future__ import annotations

import asyncio
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sitefleet.exceptions import SiteError
from sitefleet.hosting.context import Status
from sitefleet.hosting.processes.memory import private_bytes
from sitefleet.hosting.servers.variables import COUNTS
from sitefleet.hosting.uwsgi import ini, talk
from sitefleet.hosting.uwsgi.addresses import hold_port, wait_in_line, wake
from sitefleet.hosting.uwsgi.fastrouter import Fastrouter
from sitefleet.hosting.uwsgi.files import remove_vassals, vassals_in, write, write_vassals
from sitefleet.hosting.uwsgi.program import describe_project, find_program
from sitefleet.hosting.uwsgi.quiet import Quiet
from sitefleet.hosting.uwsgi.texts import Texts, protocol

if TYPE_CHECKING:
    import socket
    from collections.abc import Collection
    from pathlib import Path

    from sitefleet.hosting.context import Context
    from sitefleet.hosting.planning.plan import Instance, Plan
    from sitefleet.hosting.processes.process import Process

#: Seconds for the Emperor to see a new site; it looks each second, and when it is asked.
PATIENCE = 10.0
PAUSE = 0.1
#: Seconds in which what a router led to a site before it was told otherwise gets there.
ON_THE_WAY = 0.3
#: uWSGI copies no more of the address of a unix socket (``core/emperor.c``, on_demand_bind).
LONGEST_SOCKET = 102


class UwsgiDriver:
    """Runs an Emperor, and behind nginx a fastrouter."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.root = context.run_dir.files / "uwsgi"
        self.plan: Plan | None = None
        self.texts: Texts | None = None
        self.emperor: Process | None = None
        self._counted = {COUNTS: str(context.run_dir.counts / "uwsgi")}
        """For the Emperor and its vassals: where requests are counted."""
        self.fastrouter = Fastrouter(context, self.root)
        self._logs = Quiet(context.logs)
        self._taken: set[str] = set()
        """Sites that the Emperor has taken up, as far as it was waited for."""
        self._speakers: set[str] = set()
        """All that have been there: one that has left speaks until it has ended."""
        self._dismissals: set[asyncio.Task[None]] = set()
        self._ports: dict[str, socket.socket] = {}
        """Hold the ports of sites, as long as those may have a vassal."""
        context.sockets.elsewhere = self.address

    def address(self, key: str) -> str:
        """Return where a dedicated site listens; empty for the shared server."""
        if not key.startswith("site-"):
            return ""
        if not self.context.sockets.tcp:
            return f"unix:{self.context.run_dir.socket(key)}"
        if key not in self._ports:
            self._ports[key] = hold_port()
        return f"127.0.0.1:{self._ports[key].getsockname()[1]}"

    def render(self, plan: Plan) -> dict[str, str]:
        """Return the configurations, by name of their files. Raises SiteError as `apply` does."""
        with ThreadPoolExecutor(1) as thread:  # whoever calls may have a loop that runs
            texts = thread.submit(asyncio.run, self._find()).result()
        made = texts.render(plan)
        if protocol(plan) == "uwsgi":
            made["uwsgi/fastrouter.ini"] = self.fastrouter.text(texts.program)
        return made

    async def _find(self) -> Texts:
        project = await describe_project(self.context)
        program = await find_program(self.context.project.python, project["version"])
        return Texts(self.context, program, project, self.address)

    async def apply(self, plan: Plan) -> None:
        """See Driver. Raises SiteError where uWSGI is missing or the settings do not fit it."""
        if self.texts is None:
            self.texts = await self._find()
            self._check_paths(plan)
        self.texts.say_threads(plan)
        self.plan = plan
        await self._configure(plan)
        vassals = await self._wait(plan)
        self._release(self._taken | vassals.keys())
        await self._lead(plan)
        await self._wake(plan, vassals)

    async def reload(self, key: str = "") -> None:
        """See Driver. A vassal that does not run has the code as it is when it starts."""
        for vassal in (await self._vassals()).values():
            if vassal["pid"] > 0 and key in ("", _key(vassal)):
                with suppress(ProcessLookupError):
                    os.kill(vassal["pid"], signal.SIGHUP)

    async def status(self) -> list[Status]:
        """See Driver."""
        if self.plan is None:
            return []
        rows = []
        for name, process in (("emperor", self.emperor), ("fastrouter", self.fastrouter.process)):
            if process is not None:
                state = "running" if process.is_running else "failing"
                memory = private_bytes(process.pid)
                rows.append(Status(name, state, process.pid, memory, restarts=process.restarts))
        vassals = await self._vassals()
        tasks = (self._status(one, vassals.get(one.key)) for one in self.plan.dedicated)
        return [*rows, *await asyncio.gather(*tasks)]

    async def stop(self) -> None:
        """See Driver."""
        options = [one.options.timeout for one in (self.plan.dedicated if self.plan else ())]
        patience = min(max(options, default=0), ini.LONGEST_STOP) + 5
        for task in self._dismissals:
            task.cancel()
        await self.fastrouter.stop()
        if self.emperor is not None:
            await self.emperor.stop(patience)
            self.emperor = None
        self._stats.unlink(missing_ok=True)
        self._release(())

    # What is written, and who reads it.

    async def _configure(self, plan: Plan) -> None:
        texts = self.texts
        assert texts is not None  # noqa: S101 - apply has made it
        self.root.mkdir(exist_ok=True, mode=0o700)
        if write(texts.common_file, texts.common(plan)) and self.emperor is not None:
            await self.reload()
        monitor, plugins = texts.monitor(plan)
        if monitor.startswith("dir:"):
            write_vassals(texts.folder, texts.vassals(plan))
            self._dismiss(vassals_in(texts.folder) - {one.key for one in plan.dedicated})
        elif password := texts.password():
            write(texts.password_file, password)
        path = self.root / "emperor.ini"
        if write(path, texts.emperor(monitor, plugins)) or self.emperor is None:
            if self.emperor is not None:
                await self.emperor.stop()
            argv = [texts.program.path, "--ini", str(path)]
            self.emperor = self.context.process("emperor", argv, environment=self._counted)
            self.emperor.logs, self._taken = self._logs, set()
            await self.emperor.start()
        self._speakers |= {instance.key for instance in plan.dedicated}
        self.emperor.speaks_for = self._speakers
        if protocol(plan) == "uwsgi":
            await self.fastrouter.start(texts.program)

    # What runs.

    async def _vassals(self) -> dict[str, dict[str, Any]]:
        """Return what the Emperor says of each vassal, by key; it looks for changes, too."""
        stats = await talk.read_stats(self._stats)
        return {_key(vassal): vassal for vassal in stats.get("vassals", ())}

    async def _wait(self, plan: Plan) -> dict[str, dict[str, Any]]:
        """Return the vassals, when the Emperor has taken up the new ones, or after some seconds.

        The new ones alone: one that is about to leave may have no row any more.
        """
        wanted = {instance.key for instance in plan.dedicated}
        new, self._taken = wanted - self._taken, wanted
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE
        while True:
            stats = await talk.read_stats(self._stats)
            vassals = {_key(vassal): vassal for vassal in stats.get("vassals", ())}
            failing = {_key(entry) for entry in stats.get("blacklist", ())}
            # One that ends takes connections until it is gone, and answers none of them.
            staying = {key for key, vassal in vassals.items() if not vassal["cursed"]}
            left = new - staying - failing
            if stats and not left:
                return vassals
            if loop.time() > deadline:
                self.context.say(f"The Emperor has not taken up {', '.join(sorted(left))} yet.")
                return vassals
            await asyncio.sleep(PAUSE)

    def _dismiss(self, keys: set[str]) -> None:
        """Take the files of vassals away, nothing being led to them any more."""
        assert self.texts is not None  # noqa: S101 - apply has made it
        if self.emperor is None:  # an earlier fleet has left them
            remove_vassals(self.texts.folder, keys)
        elif keys:  # one that hangs is not to hold up what other sites wait for
            task = asyncio.create_task(self._empty(keys, self.texts.folder))
            self._dismissals.add(task)
            task.add_done_callback(self._dismissals.discard)

    async def _empty(self, keys: set[str], folder: Path) -> None:
        """Let vassals accept what waits, then take their files away, unless they are back."""
        await asyncio.sleep(ON_THE_WAY)
        running = {key for key, vassal in (await self._vassals()).items() if vassal["pid"] > 0}
        await asyncio.gather(*(wait_in_line(self.address(key)) for key in keys & running))
        plan = self.plan
        remove_vassals(folder, keys - {one.key for one in (plan.dedicated if plan else ())})

    def _release(self, kept: Collection[str]) -> None:
        """Remove the sockets of vassals that are gone."""
        for key in self._ports.keys() - kept:
            self._ports.pop(key).close()
        for path in self.context.run_dir.sockets.glob("site-*"):
            if path.stem not in kept:
                path.unlink(missing_ok=True)

    async def _lead(self, plan: Plan) -> None:
        """Let the fastrouter know what is led where."""
        dedicated = {instance.key for instance in plan.dedicated}
        await self.fastrouter.lead(
            {
                host: self.address(key).removeprefix("unix:")
                for host, key in plan.routes().items()
                if key in dedicated
            }
        )

    async def _wake(self, plan: Plan, vassals: dict[str, dict[str, Any]]) -> None:
        """Start the sites that never idle: a connection is what starts a vassal."""
        sleeping = {key for key, vassal in vassals.items() if vassal["pid"] <= 0}
        await asyncio.gather(
            *(
                wake(self.address(one.key))
                for one in plan.dedicated
                if one.options.idle == 0 and one.key in sleeping
            )
        )

    async def _status(self, instance: Instance, vassal: dict[str, Any] | None) -> Status:
        left_out = [
            name for name, text in instance.options.environment.items() if not ini.is_safe(text)
        ]
        note = f"uWSGI cannot be given {', '.join(left_out)}" if left_out else ""
        if vassal is None:
            return Status(instance.key, "failing", note=note or "the Emperor does not keep it")
        pid, died = vassal["pid"], self._logs.died[instance.key]
        if pid <= 0:
            return Status(instance.key, "idle", restarts=died, note=note)
        stats = await talk.read_stats(self.context.run_dir.sockets / f"{instance.key}.st")
        workers = stats.get("workers", ())
        pids = [pid, *(worker["pid"] for worker in workers if worker["pid"])]
        return Status(
            instance.key,
            "running" if vassal["accepting"] else "starting",
            pid,
            sum(private_bytes(one) or 0 for one in pids),
            restarts=died,
            note=note,
        )

    def _check_paths(self, plan: Plan) -> None:
        longest = max((len(one.key) for one in plan.dedicated), default=0)
        path = f"{self.context.run_dir.socket('x' * longest)}"
        if len(os.fsencode(path)) > LONGEST_SOCKET:
            message = f"{path} is too long a path for uWSGI, which takes {LONGEST_SOCKET} bytes."
            raise SiteError(message)

    @property
    def _stats(self) -> Path:
        return self.context.run_dir.sockets / "emperor.st"


def _key(vassal: dict[str, Any]) -> str:
    return str(vassal["id"]).partition(".")[0]
