"""The driver ``gunicorn``: dedicated sites by stock gunicorn, with no code of ours at run time.

One server per group of sites with the same options (the number of workers apart): it loads the
project once, and each worker that it forks becomes one of a site. The list of sites is in its
configuration, so that a change of it is a new server on the same sockets.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from sitefleet.hosting.drivers.masters import MastersDriver, Run
from sitefleet.hosting.servers.gunicorn_files import sites_file
from sitefleet.hosting.servers.workers import check_version

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sitefleet.hosting.planning.plan import Instance, Plan


class GunicornDriver(MastersDriver):
    """Runs a gunicorn for each group of dedicated sites."""

    async def apply(self, plan: Plan) -> None:
        """Run the dedicated instances of a plan.

        Raises SiteError where gunicorn is missing or does not take the lines of the settings,
        OSError where it cannot be started.
        """
        raw = plan.fleet.serving.raw.get("gunicorn", "")
        wanted = {name: Run(members, raw) for name, members in groups(plan.dedicated)}
        for run in wanted.values():
            check_version(run.options.interface)
        await self._have(wanted)

    def render(self, plan: Plan) -> dict[str, str]:
        """Return the configurations by name, each with sockets of its own to make."""
        raw = plan.fleet.serving.raw.get("gunicorn", "")
        socket = self._context.run_dir.socket
        return {
            f"{name}.py": sites_file(
                name,
                members,
                [f"unix:{socket(member.key)}" for member in members],
                raw,
                self._context.project,
            )
            for name, members in groups(plan.dedicated)
        }

    def _trial(self, run: Run) -> Sequence[str]:
        return sites_file("gunicorn", run.instances[:1], ["fd://0"]), run.raw

    async def _run(self, name: str) -> None:
        run, master = self._runs[name], self._masters[name]
        options = run.options
        sockets = self._context.sockets
        descriptors = [sockets.get(instance.key).fileno() for instance in run.instances]
        binds = [f"fd://{number}" for number in descriptors]
        text = sites_file(name, run.instances, binds, run.raw, self._context.project)
        path = master.configure(f"{name}.py", text)
        await master.run(
            self._context.python("gunicorn", "--config", str(path)),
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


def _id(instance: Instance) -> int:
    return instance.site or 0
