"""Which uWSGI there is, and what it can: from Debian's packages, or built by pip."""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sitefleet.exceptions import SiteError
from sitefleet.hosting.processes.once import last_line, run_once

if TYPE_CHECKING:
    from sitefleet.hosting.context import Context

#: Names the program, where it is neither beside the project's Python nor on PATH.
VARIABLE = "SITEFLEET_UWSGI"
PATIENCE = 30.0
HINT = (
    " Debian: apt install uwsgi uwsgi-plugin-python3 uwsgi-plugin-emperor-pg. By pip: see"
    " docs/serving/uwsgi.md for the profile that it is built with."
)
_LISTED = re.compile(r"^(?:\d+: )?([a-z_0-9]+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Program:
    """A uWSGI that runs the project's Python."""

    path: str
    version: str
    built_in: frozenset[str]
    """Plugins that need not be loaded."""
    loadable: frozenset[str]
    """Plugins that can be loaded beside those."""
    python: str = ""
    """Name of the plugin for Python, where it is not built in."""
    python_version: str = ""
    """Of the Python in it, such as ``3.11.2``."""

    def has(self, plugin: str) -> bool:
        """Whether it has a plugin."""
        return plugin in self.built_in or plugin in self.loadable

    def plugins(self, *wanted: str) -> list[str]:
        """Return those of the plugins that have to be loaded."""
        names = (self.python if name == "python" else name for name in wanted)
        return [name for name in names if name and name not in self.built_in]


def find_path(python: str) -> str:
    """Return the path of the program. Raises SiteError where there is none."""
    beside = Path(python).parent / "uwsgi"
    path = os.environ.get(VARIABLE) or (
        str(beside) if beside.is_file() else shutil.which("uwsgi") or ""
    )
    if not path:
        message = f"The driver uwsgi needs the program uwsgi, which is not on PATH.{HINT}"
        raise SiteError(message)
    return path


async def find_program(python: str, version: str) -> Program:
    """Return the uWSGI for a Python, given by path and by version, such as ``3.12.1``.

    The Python in uWSGI may be another build of the same minor version, whose packages fit both.
    Raises SiteError where there is none, or none for this Python.
    """
    minor = version.rpartition(".")[0]
    path = find_path(python)
    said = await _ask(path, "--plugins-list")
    check_binary(path, said)
    name, built_in, _ = read_plugins(said)
    own = "" if "python" in built_in else f"python{minor.replace('.', '')}"
    wanted = ["emperor_pg", "fastrouter", "cache", own, "python3" if own else ""]
    loading = (f"--plugin={plugin}" for plugin in wanted if plugin and plugin not in built_in)
    _, known, missing = read_plugins(await _ask(path, *loading, "--plugins-list"))
    if own in missing:
        own = "python3"
    if "python" not in known:
        message = f"{path} has no plugin for Python.{HINT}"
        raise SiteError(message)
    given = (f"--plugin={own}",) if own else ()
    theirs = (await _ask(path, *given, "--python-version")).strip().rsplit("\n", 1)[-1]
    if theirs.rpartition(".")[0] != minor:
        message = f"{path} runs Python {theirs}, and the project Python {version}.{HINT}"
        raise SiteError(message)
    return Program(path, name, built_in, known - built_in, own, theirs)


def check_binary(path: str, said: str) -> None:
    """Raise SiteError for a uWSGI that is a module of Python, by what it says at its start.

    It starts vassals by the program that it runs in, which is Python and knows no ``--ini``.
    """
    found = re.search(r"^detected binary path: (.*)$", said, re.MULTILINE)
    if found and Path(found[1]).name.startswith(("python", "pypy")):
        message = f"{path} is pyuwsgi, whose Emperor cannot start vassals: take uWSGI itself.{HINT}"
        raise SiteError(message)


def read_plugins(text: str) -> tuple[str, frozenset[str], frozenset[str]]:
    """Return the version, the plugins and those that could not be loaded, from what it says."""
    version = re.search(r"Starting uWSGI (\S+)", text)
    listed, _, _ = text.partition("--- end of plugins list ---")
    missing = re.findall(r"UNABLE to load uWSGI plugin: \S*?([a-z_0-9]+)_plugin\.so", text)
    names = frozenset(_LISTED.findall(listed))
    return version[1] if version else "", names, frozenset(missing)


async def describe_project(context: Context) -> dict[str, Any]:
    """Return what ``sitefleet.serving.emperor`` says. Raises SiteError with its complaint."""
    status, said = await run_once(
        context.python("sitefleet.serving.emperor"),
        environment=context.project.variables(),
        cwd=context.project.root,
    )
    start = said.find('{"view"')
    if status or start < 0:
        message = f"The project cannot be read for uWSGI: {last_line(said)}"
        raise SiteError(message)
    found: dict[str, Any]
    # Whatever else the project has to say stands around it.
    found, _ = json.JSONDecoder().raw_decode(said, start)
    return found


async def _ask(*command: str) -> str:
    """Return what a program says, whatever its exit status is."""
    try:
        return (await run_once(command, patience=PATIENCE))[1]
    except OSError as error:
        message = f"{command[0]} cannot be started: {error.strerror}.{HINT}"
        raise SiteError(message) from error
