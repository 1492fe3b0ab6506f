"""Dedicated sites as vassals of uWSGI's Emperor, which starts each on its first connection.

On PostgreSQL the Emperor reads the database itself: a row that is added, changed or gone counts,
whether or not the supervisor runs. Elsewhere it reads a directory that is written here. It binds
the sockets of sites too, so those are not the supervisor's.
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sitefleet.exceptions import SiteError
from sitefleet.hosting.context import Status
from sitefleet.hosting.memory import private_bytes
from sitefleet.hosting.options import make_options
from sitefleet.hosting.uwsgi import ini, query, talk
from sitefleet.hosting.uwsgi.addresses import backlog, connect, free_port
from sitefleet.hosting.uwsgi.fastrouter import Fastrouter
from sitefleet.hosting.uwsgi.files import write, write_vassals
from sitefleet.hosting.uwsgi.program import Program, describe_project, find_program

if TYPE_CHECKING:
    from pathlib import Path

    from sitefleet.hosting.context import Context
    from sitefleet.hosting.plan import Instance, Plan
    from sitefleet.hosting.processes import Process

#: Seconds for the Emperor to see a new site; it looks each second, and when it is asked.
PATIENCE = 10.0
PAUSE = 0.1
#: uWSGI copies no more of the address of a unix socket (``core/emperor.c``, on_demand_bind).
LONGEST_SOCKET = 102


class UwsgiDriver:
    """Runs an Emperor, and behind nginx a fastrouter."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.root = context.run_dir.files / "uwsgi"
        self.plan: Plan | None = None
        self.program: Program | None = None
        self.project: dict[str, Any] = {}
        self.emperor: Process | None = None
        self.fastrouter = Fastrouter(context, self.root)
        self.ports: dict[str, int] = {}
        self._said: set[str] = set()
        context.sockets.elsewhere = self.address

    def address(self, key: str) -> str:
        """Return where a dedicated site listens; empty for the shared server."""
        if not key.startswith("site-"):
            return ""
        if not self.context.sockets.tcp:
            return f"unix:{self.context.run_dir.socket(key)}"
        return f"127.0.0.1:{self.ports.setdefault(key, free_port())}"

    async def apply(self, plan: Plan) -> None:
        """See Driver. Raises SiteError where uWSGI is missing or the settings do not fit it."""
        if self.program is None:
            self.project = await describe_project(self.context)
            version = self.project["version"]
            self.program = await find_program(self.context.project.python, version)
            self._check_paths(plan)
        self.plan = plan
        await self._configure(plan)
        vassals = await self._wait(plan)
        self._clean(plan, vassals)
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
        await self.fastrouter.stop()
        if self.emperor is not None:
            await self.emperor.stop(patience)
            self.emperor = None
        for path in self.context.run_dir.sockets.glob("site-*"):
            path.unlink(missing_ok=True)

    # What is written, and who reads it.

    async def _configure(self, plan: Plan) -> None:
        program = self.program
        assert program is not None  # noqa: S101 - apply has found it
        self.root.mkdir(exist_ok=True, mode=0o700)
        protocol = "uwsgi" if plan.fleet.serving.router == "nginx" else "http"
        runtime = ini.Runtime(program.plugins("python"), str(self.context.project.root))
        if program.python_version == self.project["version"]:
            runtime = replace(runtime, home=self.project["home"])
        else:
            # The standard library of one build does not fit the other: packages do.
            runtime = replace(runtime, paths=self.project["paths"])
        options = make_options(plan.fleet.serving.options)
        text = ini.common(runtime, protocol, options, plan.fleet.serving.raw.get("uwsgi", ""))
        if write(self._common, text) and self.emperor is not None:
            await self.reload()
        monitor, plugins = self._monitor(plan, program)
        if monitor.startswith("dir:"):
            write_vassals(self._folder, {i.key: self._vassal(plan, i) for i in plan.dedicated})
        text = ini.emperor(plugins, monitor, str(self._stats), backlog())
        if write(self.root / "emperor.ini", text) or self.emperor is None:
            if self.emperor is not None:
                await self.emperor.stop()
            self.emperor = await self._start_emperor(program)
        if protocol == "uwsgi":
            await self.fastrouter.start(program)

    def _monitor(self, plan: Plan, program: Program) -> tuple[str, list[str]]:
        """Return what the Emperor reads, and the plugins that it needs for that."""
        view, folder = self.project["view"], f"dir://{self._folder}"
        if not view or self.context.sockets.tcp:
            return folder, []
        if not program.has("emperor_pg"):
            self._say_once(
                f"{program.path} has no emperor_pg, so the database is read by the supervisor:"
                " apt install uwsgi-plugin-emperor-pg, or build it with the profile of"
                " docs/serving/uwsgi.md."
            )
            return folder, []
        parameters = dict(self.project["parameters"])
        try:
            if self.project["password"]:
                passwords = self.root / "pgpass"
                write(passwords, query.password_file(self.project["password"]))
                parameters["passfile"] = str(passwords)
            words = query.conninfo(parameters)
        except ini.Unusable as error:
            self._say_once(f"{error} So the database is read by the supervisor.")
            return folder, []
        inherited = self.context.project.variables()
        asked = query.query(view, plan.fleet, inherited, self._places)
        return f"pg://{words};{asked}", program.plugins("emperor_pg")

    def _vassal(self, plan: Plan, instance: Instance) -> tuple[str, str]:
        allowed = plan.fleet.serving.environment
        own = self.context.project.variables()
        inherited = {name: own[name] for name in allowed if name in own}
        address = self.address(instance.key).removeprefix("unix:")
        assert instance.site is not None  # noqa: S101 - it is dedicated
        variables = ini.variables({**inherited, **instance.options.environment}, allowed)
        text = ini.vassal(instance.site, self._places, instance.options, variables)
        return text, address

    async def _start_emperor(self, program: Program) -> Process:
        process = self.context.process(
            "emperor", [program.path, "--ini", str(self.root / "emperor.ini")]
        )
        await process.start()
        return process

    # What runs.

    async def _vassals(self) -> dict[str, dict[str, Any]]:
        """Return what the Emperor says of each vassal, by key; it looks for changes, too."""
        stats = await talk.read_stats(self._stats)
        return {_key(vassal): vassal for vassal in stats.get("vassals", ())}

    async def _wait(self, plan: Plan) -> dict[str, dict[str, Any]]:
        """Return the vassals, when the Emperor knows all of the plan, or after some seconds."""
        wanted = {instance.key for instance in plan.dedicated}
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE
        while True:
            stats = await talk.read_stats(self._stats)
            vassals = {_key(vassal): vassal for vassal in stats.get("vassals", ())}
            failing = {_key(entry) for entry in stats.get("blacklist", ())}
            if wanted <= vassals.keys() | failing and stats:
                return vassals
            if loop.time() > deadline:
                left = ", ".join(sorted(wanted - vassals.keys()))
                self.context.say(f"The Emperor has not taken up {left} yet.")
                return vassals
            await asyncio.sleep(PAUSE)

    def _clean(self, plan: Plan, vassals: dict[str, dict[str, Any]]) -> None:
        """Remove the sockets of vassals that are gone."""
        kept = {instance.key for instance in plan.dedicated} | vassals.keys()
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
        for instance in plan.dedicated:
            vassal = vassals.get(instance.key)
            if instance.options.idle == 0 and vassal and vassal["pid"] <= 0:
                with suppress(OSError):
                    connect(self.address(instance.key))

    async def _status(self, instance: Instance, vassal: dict[str, Any] | None) -> Status:
        left_out = [
            name for name, text in instance.options.environment.items() if not ini.is_safe(text)
        ]
        note = f"uWSGI cannot be given {', '.join(left_out)}" if left_out else ""
        if vassal is None:
            return Status(instance.key, "failing", note=note or "the Emperor does not keep it")
        pid = vassal["pid"]
        if pid <= 0:
            return Status(instance.key, "idle", restarts=vassal["respawns"], note=note)
        stats = await talk.read_stats(self.context.run_dir.sockets / f"{instance.key}.st")
        workers = stats.get("workers", ())
        pids = [pid, *(worker["pid"] for worker in workers if worker["pid"])]
        return Status(
            instance.key,
            "running" if vassal["accepting"] else "starting",
            pid,
            sum(private_bytes(one) or 0 for one in pids),
            sum(worker["requests"] for worker in workers) if stats else None,
            restarts=vassal["respawns"],
            note=note,
        )

    def _say_once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self.context.say(text)

    def _check_paths(self, plan: Plan) -> None:
        longest = max((len(one.key) for one in plan.dedicated), default=0)
        path = f"{self.context.run_dir.socket('x' * longest)}"
        if len(os.fsencode(path)) > LONGEST_SOCKET:
            message = f"{path} is too long a path for uWSGI, which takes {LONGEST_SOCKET} bytes."
            raise SiteError(message)

    @property
    def _places(self) -> ini.Places:
        assert self.program is not None  # noqa: S101 - apply has found it
        sockets = str(self.context.run_dir.sockets)
        return ini.Places(str(self._common), sockets, ini.overriding(self.program.version))

    @property
    def _common(self) -> Path:
        return self.root / "vassal.ini"

    @property
    def _folder(self) -> Path:
        return self.root / "vassals"

    @property
    def _stats(self) -> Path:
        return self.context.run_dir.sockets / "emperor.st"


def _key(vassal: dict[str, Any]) -> str:
    return str(vassal["id"]).partition(".")[0]
