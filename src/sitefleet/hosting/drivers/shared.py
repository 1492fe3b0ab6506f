"""The shared server: gunicorn or granian, for all sites that have no process of their own."""

from __future__ import annotations

import asyncio
import shlex
from typing import TYPE_CHECKING

from sitefleet.hosting import granian_server
from sitefleet.hosting.context import Status
from sitefleet.hosting.gunicorn_files import shared_file, write_file
from sitefleet.hosting.masters import Master
from sitefleet.hosting.workers import check_version

if TYPE_CHECKING:
    from sitefleet.hosting.context import Context
    from sitefleet.hosting.fleet import Serving
    from sitefleet.hosting.options import Options
    from sitefleet.hosting.plan import Instance, Plan

#: What is handed to the server, by interface; both are warm when they are handed out.
APPLICATIONS = {
    "wsgi": "sitefleet.serving.wsgi:application",
    "asgi": "sitefleet.serving.asgi:application",
}


class SharedDriver:
    """Runs the shared server, and the one for shared sites that want ASGI."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._masters: dict[str, Master] = {}
        self._runs: dict[str, tuple[Options, str, str]] = {}
        """What was asked for last, by key: options, server, lines of its own."""
        self._instances: dict[str, Instance] = {}

    async def apply(self, plan: Plan) -> None:
        """Run the shared instances of a plan. Raises SiteError where the server is missing."""
        self._instances = {instance.key: instance for instance in plan.shared}
        gone = [self._masters.pop(key) for key in set(self._masters) - set(self._instances)]
        for key in set(self._runs) - set(self._instances):
            del self._runs[key]
        wanted = {
            key: _wanted(instance, plan.fleet.serving) for key, instance in self._instances.items()
        }
        changed = [key for key, run in wanted.items() if self._runs.get(key) != run]
        for key in changed:
            _check(wanted[key])
            self._runs[key] = wanted[key]
        await asyncio.gather(*map(self._run, changed), *(master.stop() for master in gone))

    async def reload(self, key: str = "") -> None:
        keys = [name for name in self._runs if key in {"", name}]
        await asyncio.gather(*map(self._run, keys))

    async def status(self) -> list[Status]:
        return [
            Status(
                instance=key,
                state=master.state,
                pid=next(iter(master.pids()), None),
                memory=master.memory(),
                restarts=master.restarts,
                note=master.why,
            )
            for key, master in self._masters.items()
        ]

    async def stop(self) -> None:
        masters, self._masters, self._runs = self._masters, {}, {}
        await asyncio.gather(*(master.stop() for master in masters.values()))

    def render(self, plan: Plan) -> dict[str, str]:
        """Return the configurations for gunicorn by name, each with sockets of its own to make."""
        serving = plan.fleet.serving
        if serving.server != "gunicorn":
            return {}
        raw = serving.raw.get("gunicorn", "")
        folder = self._context.run_dir
        return {
            f"{instance.key}.gunicorn.py": shared_file(
                instance, f"unix:{folder.socket(instance.key)}", raw
            )
            for instance in plan.shared
        }

    async def _run(self, key: str) -> None:
        options, server, raw = self._runs[key]
        if key not in self._masters:
            self._masters[key] = Master(self._context, key)
        try:
            descriptor = self._context.sockets.get(key).fileno()
            if server == "granian":
                arguments = granian_server.arguments(options, descriptor)
                command = [*granian_server.COMMAND, *arguments, *shlex.split(raw)]
            else:
                path = self._context.run_dir.files / f"{key}.gunicorn.py"
                write_file(path, shared_file(self._instances[key], f"fd://{descriptor}", raw))
                command = ["gunicorn", "--config", str(path)]
        except (OSError, ValueError) as error:  # ValueError: quotes in lines of their own
            self._context.say(f"{key}: the server was not started: {error}")
            return
        await self._masters[key].run(
            self._context.python(*command, APPLICATIONS[options.interface]),
            # Options for any gunicorn or granian that is started are not meant for this one.
            {**options.environment, "GUNICORN_CMD_ARGS": ""},
            [descriptor],
            patience=options.timeout,
            tellers=options.workers if server == "granian" else 1,
        )


def _wanted(instance: Instance, serving: Serving) -> tuple[Options, str, str]:
    return instance.options, serving.server, serving.raw.get(serving.server, "")


def _check(run: tuple[Options, str, str]) -> None:
    options, server, _ = run
    if server == "granian":
        granian_server.check_version()
    else:
        check_version(options.interface)
