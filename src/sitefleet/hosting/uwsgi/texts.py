"""The files that a plan comes to: for the Emperor, for its vassals, for the fastrouter."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sitefleet.hosting.planning.options import make_options
from sitefleet.hosting.uwsgi import ini, query
from sitefleet.hosting.uwsgi.addresses import backlog

if TYPE_CHECKING:
    from collections.abc import Callable

    from sitefleet.hosting.context import Context
    from sitefleet.hosting.planning.plan import Instance, Plan
    from sitefleet.hosting.uwsgi.program import Program


class Texts:
    """What is written, for one uWSGI and one project; it writes nothing itself.

    ``project`` is what `sitefleet.serving.emperor` says, ``address`` gives where a key listens.
    """

    def __init__(
        self,
        context: Context,
        program: Program,
        project: dict[str, Any],
        address: Callable[[str], str],
    ) -> None:
        self.context, self.program, self.project = context, program, project
        self._address = address
        self.root = context.run_dir.files / "uwsgi"
        self.common_file = self.root / "vassal.ini"
        self.folder = self.root / "vassals"
        self.password_file = self.root / "pgpass"
        self.stats = context.run_dir.sockets / "emperor.st"
        self._said: set[str] = set()

    def common(self, plan: Plan) -> str:
        """Return what all vassals include."""
        runtime = ini.Runtime(self.program.plugins("python"), str(self.context.project.root))
        if self.program.python_version == self.project["version"]:
            runtime = replace(runtime, home=self.project["home"])
        else:
            # The standard library of one build does not fit the other: packages do.
            runtime = replace(runtime, paths=self.project["paths"])
        serving = plan.fleet.serving
        options = make_options(serving.options)
        return ini.common(runtime, protocol(plan), options, serving.raw.get("uwsgi", ""))

    def monitor(self, plan: Plan) -> tuple[str, list[str]]:
        """Return what the Emperor reads, and the plugins that it needs for that."""
        view, folder = self.project["view"], f"dir://{self.folder}"
        if not view or self.context.sockets.tcp:
            return folder, []
        if not self.program.has("emperor_pg"):
            self._say_once(
                f"{self.program.path} has no emperor_pg, so the database is read by the supervisor:"
                " apt install uwsgi-plugin-emperor-pg, or build it with the profile of"
                " docs/serving/uwsgi.md."
            )
            return folder, []
        parameters = dict(self.project["parameters"])
        try:
            if self.password():
                parameters["passfile"] = str(self.password_file)
            words = query.conninfo(parameters)
        except ini.Unusable as error:
            self._say_once(f"{error} So the database is read by the supervisor.")
            return folder, []
        inherited = self.context.project.variables()
        role = query.assume(self.project["role"])
        asked = query.query(view, plan.fleet, inherited, self._places)
        return f"pg://{words};{role}{asked}", self.program.plugins("emperor_pg")

    def password(self) -> str:
        """Return the file for libpq, empty without a password. Raises Unusable."""
        word = self.project["password"]
        return query.password_file(word) if word else ""

    def emperor(self, monitor: str, plugins: list[str]) -> str:
        """Return the file of the Emperor."""
        return ini.emperor(plugins, monitor, str(self.stats), backlog())

    def vassals(self, plan: Plan) -> dict[str, tuple[str, str]]:
        """Return for each key the file of its vassal, and what that listens on."""
        return {one.key: self._vassal(plan, one) for one in plan.dedicated}

    def render(self, plan: Plan) -> dict[str, str]:
        """Return all of them by name, but the password."""
        monitor, plugins = self.monitor(plan)
        made = {"vassal.ini": self.common(plan), "emperor.ini": self.emperor(monitor, plugins)}
        if monitor.startswith("dir:"):
            for key, (text, address) in self.vassals(plan).items():
                made[f"vassals/{key}.ini"] = text
                made[f"vassals/{key}.ini{ini.SOCKET_EXTENSION}"] = f"{address}\n"
        return {f"uwsgi/{name}": text for name, text in made.items()}

    def say_threads(self, plan: Plan) -> None:
        """Say once that sites have fewer threads than they ask for."""
        if any(one.options.threads > 1 for one in plan.dedicated):
            self._say_once(
                "uWSGI cannot end processes with threads well, so each worker of a dedicated site"
                " has one: give sites more workers."
            )

    def _vassal(self, plan: Plan, instance: Instance) -> tuple[str, str]:
        allowed = plan.fleet.serving.environment
        own = self.context.project.variables()
        inherited = {name: own[name] for name in allowed if name in own}
        address = self._address(instance.key).removeprefix("unix:")
        assert instance.site is not None  # noqa: S101 - it is dedicated
        given = instance.options.environment
        safe = {name: value for name, value in given.items() if ini.is_safe(value)}
        variables = ini.variables({**inherited, **safe}, allowed)
        text = ini.vassal(instance.site, self._places, instance.options, variables)
        return text, address

    def _say_once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self.context.say(text)

    @property
    def _places(self) -> ini.Places:
        return ini.Places(str(self.common_file), str(self.context.run_dir.sockets))


def protocol(plan: Plan) -> str:
    """Return what the router speaks with vassals: ``http``, or ``uwsgi`` by the fastrouter."""
    return "uwsgi" if plan.fleet.serving.router == "nginx" else "http"
