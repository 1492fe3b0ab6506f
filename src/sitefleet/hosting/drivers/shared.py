"""The shared server: gunicorn or granian, for all sites that have no process of their own."""

from __future__ import annotations

import asyncio
import shlex
from typing import TYPE_CHECKING

from sitefleet.hosting.processes.process import wait_for_all
from sitefleet.hosting.servers import granian
from sitefleet.hosting.servers.gunicorn_files import shared_file
from sitefleet.hosting.servers.masters import Master
from sitefleet.hosting.servers.workers import check_version

if TYPE_CHECKING:
    from sitefleet.hosting.context import Context, Status
    from sitefleet.hosting.planning.fleet import Serving
    from sitefleet.hosting.planning.options import Options
    from sitefleet.hosting.planning.plan import Instance, Plan

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
        """Run the shared instances of a plan.

        Raises SiteError where the server is missing, OSError where its files cannot be written.
        """
        self._instances = {instance.key: instance for instance in plan.shared}
        wanted = {
            key: _wanted(instance, plan.fleet.serving) for key, instance in self._instances.items()
        }
        changed = [key for key, run in wanted.items() if self._runs.get(key) != run]
        for key in changed:
            _check(wanted[key])  # all of them first: what is in `_runs` counts as done
        self._runs = wanted
        gone = [self._masters.pop(key) for key in set(self._masters) - set(self._instances)]
        runs = map(self._run_or_forget, changed)
        await wait_for_all(*runs, *(master.stop() for master in gone))

    async def reload(self, key: str = "") -> None:
        keys = [name for name in self._runs if key in {"", name}]
        await asyncio.gather(*map(self._run, keys))

    async def status(self) -> list[Status]:
        return [master.status() for master in self._masters.values()]

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

    async def _run_or_forget(self, key: str) -> None:
        try:
            await self._run(key)
        except OSError:  # not done: it is to be run when this is tried again
            del self._runs[key]
            raise

    async def _run(self, key: str) -> None:
        options, server, raw = self._runs[key]
        if key not in self._masters:
            self._masters[key] = Master(self._context, key)
        master = self._masters[key]
        try:
            descriptor = self._context.sockets.get(key).fileno()
            if server == "granian":
                arguments = granian.arguments(options, descriptor)
                command = [*granian.COMMAND, *arguments, *shlex.split(raw)]
            else:
                text = shared_file(self._instances[key], f"fd://{descriptor}", raw)
                path = master.configure(f"{key}.gunicorn.py", text)
                command = ["gunicorn", "--config", str(path)]
        except (OSError, ValueError) as error:  # ValueError: quotes in lines of their own
            self._context.say(f"{key}: the server was not started: {error}")
            if isinstance(error, OSError):
                raise
            return
        await master.run(
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
        granian.check_version()
    else:
        check_version(options.interface)
