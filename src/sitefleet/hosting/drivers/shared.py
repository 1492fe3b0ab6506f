"""The shared server: gunicorn or granian, for all sites that have no process of their own."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from sitefleet.exceptions import SiteError
from sitefleet.hosting.drivers.masters import MastersDriver, Run
from sitefleet.hosting.servers import granian
from sitefleet.hosting.servers.gunicorn_files import APPLICATIONS, shared_file
from sitefleet.hosting.servers.workers import check_version

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sitefleet.hosting.planning.plan import Plan


class SharedDriver(MastersDriver):
    """Runs the shared server, and the one for shared sites that want ASGI."""

    async def apply(self, plan: Plan) -> None:
        """Run the shared instances of a plan.

        Raises SiteError where the server is missing or does not take the lines of the settings,
        OSError where it cannot be started.
        """
        serving = plan.fleet.serving
        raw = serving.raw.get(serving.server, "")
        wanted = {instance.key: Run((instance,), raw, serving.server) for instance in plan.shared}
        for run in wanted.values():
            _check(run)
        await self._have(wanted)

    def render(self, plan: Plan) -> dict[str, str]:
        """Return the configurations for gunicorn by name, each with sockets of its own to make."""
        serving = plan.fleet.serving
        if serving.server != "gunicorn":
            return {}
        raw = serving.raw.get("gunicorn", "")
        folder = self._context.run_dir
        return {
            f"{instance.key}.gunicorn.py": shared_file(
                instance, f"unix:{folder.socket(instance.key)}", raw, self._context.project
            )
            for instance in plan.shared
        }

    def _trial(self, run: Run) -> Sequence[str]:
        if run.server == "granian":
            return _arguments(run, 0)
        return shared_file(run.instances[0], "fd://0"), run.raw

    async def _run(self, name: str) -> None:
        run, master = self._runs[name], self._masters[name]
        options = run.options
        descriptor = self._context.sockets.get(name).fileno()
        if run.server == "granian":
            arguments = _arguments(run, descriptor)
            command = [*granian.COMMAND, *arguments, APPLICATIONS[options.interface]]
        else:
            bind = f"fd://{descriptor}"
            text = shared_file(run.instances[0], bind, run.raw, self._context.project)
            path = master.configure(f"{name}.gunicorn.py", text)
            command = ["gunicorn", "--config", str(path)]
        await master.run(
            self._context.python(*command),
            # Options for any gunicorn or granian that is started are not meant for this one.
            {**options.environment, "GUNICORN_CMD_ARGS": ""},
            [descriptor],
            patience=options.timeout,
            tellers=options.workers if run.server == "granian" else 1,
        )


def _arguments(run: Run, descriptor: int) -> list[str]:
    return [*granian.arguments(run.options, descriptor), *shlex.split(run.raw)]


def _check(run: Run) -> None:
    if run.server == "gunicorn":
        check_version(run.options.interface)
        return
    granian.check_version()
    try:
        shlex.split(run.raw)
    except ValueError as error:
        message = f"SERVING['raw']['granian'] cannot be read: {error}."
        raise SiteError(message) from error
