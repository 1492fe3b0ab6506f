"""`sitefleet logs`."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from sitefleet.hosting.cli.common import project_of, running_dir
from sitefleet.hosting.cli.terminal import printable
from sitefleet.hosting.control import DONE, REFUSED, Refused, ask
from sitefleet.hosting.logs import OWN, Logs, lines_of
from sitefleet.hosting.naming import find_key
from sitefleet.hosting.plan import make_plan
from sitefleet.hosting.reader import read_once

if TYPE_CHECKING:
    from argparse import Namespace
    from pathlib import Path

    from sitefleet.hosting.cli.terminal import Terminal
    from sitefleet.hosting.run_dir import RunDir

EVERY = 0.2


def logs(options: Namespace, terminal: Terminal) -> int:
    """Show the last lines of a log, or of all."""
    run_dir = running_dir(options)
    name = _find(options, run_dir)
    known = {path: path.stat().st_size for path in _paths(run_dir, name) if path.exists()}
    for path in known:
        for line in Logs(run_dir).last(path.stem, options.lines):
            _say(terminal, line, "" if name else path.stem)
    with suppress(KeyboardInterrupt):
        while options.follow:
            time.sleep(EVERY)
            for path in _paths(run_dir, name):
                for line in news(path, known):
                    _say(terminal, line, "" if name else path.stem)
    return DONE


def _paths(run_dir: RunDir, name: str) -> list[Path]:
    return [run_dir.logs / f"{name}.log"] if name else sorted(run_dir.logs.glob("*.log"))


def _find(options: Namespace, run_dir: RunDir) -> str:
    """Return the name of the log that is asked for; empty for all."""
    there = [path.stem for path in _paths(run_dir, "")]
    if not there and not options.site:
        raise Refused(f"There are no logs in {run_dir.logs}.")
    if not options.site or options.site in there:
        return str(options.site)
    name = _key(options, run_dir, there)
    if name not in there and not options.follow:
        raise Refused(f"{options.site} has said nothing yet.")
    return name


def _key(options: Namespace, run_dir: RunDir, names: list[str]) -> str:
    """Return the key of a site: as the fleet that runs has it, or else the project."""
    try:
        return str(ask(run_dir, "find", site=options.site, others=[*names, OWN])["key"])
    except Refused as error:
        if error.status != REFUSED:
            raise
    fleet = asyncio.run(read_once(project_of(options)))
    return find_key(make_plan(fleet), options.site, tuple(names))


def news(path: Path, known: dict[Path, int]) -> list[str]:
    """Return the whole lines behind those that are known already, and know them from now on."""
    start = known.get(path, 0)
    try:
        with path.open("rb") as file:
            if file.seek(0, 2) < start:  # it is a new file
                start = 0
            file.seek(start)
            whole, end, _ = file.read().rpartition(b"\n")
    except OSError:
        return []
    known[path] = start + len(whole) + len(end)
    return lines_of(whole) if end else []


def _say(terminal: Terminal, line: str, name: str) -> None:
    if name:
        terminal.named(name, line)
    else:
        terminal.line(printable(line))
