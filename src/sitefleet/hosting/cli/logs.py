"""`sitefleet logs`."""

from __future__ import annotations

import time
from contextlib import suppress
from operator import itemgetter
from typing import TYPE_CHECKING

from sitefleet.hosting.cli.common import full_plan, running_dir
from sitefleet.hosting.processes.logs import OWN, Logs, lines_of, stamp
from sitefleet.hosting.supervising.control import DONE, USAGE, Refused, ask
from sitefleet.hosting.supervising.naming import PROCESSES, find_key, log_of
from sitefleet.terminal import printable

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable
    from pathlib import Path

    from sitefleet.hosting.cli.terminal import Terminal
    from sitefleet.hosting.processes.run_dir import RunDir

EVERY = 0.2


def logs(options: Namespace, terminal: Terminal) -> int:
    """Show the last lines of a log, or of all, by time."""
    run_dir = running_dir(options)
    name = _find(options, run_dir)
    wanted = None if name or options.all else _names(run_dir)
    paths = _paths(run_dir, name, wanted)
    known = {path: path.stat().st_size for path in paths if path.exists()}
    last = [(path, Logs(run_dir).last(path.stem, options.lines)) for path in known]
    _show(terminal, last, merged=not name)
    if name and not known:
        terminal.line(f"{printable(options.site)} has said nothing yet.")
    with suppress(KeyboardInterrupt):
        while options.follow:
            time.sleep(EVERY)
            paths = _paths(run_dir, name, wanted and (_names(run_dir) or wanted))
            _show(terminal, [(path, news(path, known)) for path in paths], merged=not name)
    return DONE


def _show(terminal: Terminal, found: Iterable[tuple[Path, list[str]]], *, merged: bool) -> None:
    """Show lines of several logs in the order in which they were written."""
    lines = [(_time(line), path.stem, line) for path, several in found for line in several]
    for _, name, line in sorted(lines, key=itemgetter(0)):
        if merged:
            terminal.named(name, line)
        else:
            terminal.line(printable(line))


def _time(line: str) -> str:
    return line[: len(stamp())]


def _paths(run_dir: RunDir, name: str, wanted: set[str] | None = None) -> list[Path]:
    """Return the logs of a name, or all; those of ``wanted`` names alone where they are given."""
    if name:
        return [run_dir.logs / f"{name}.log"]
    paths = sorted(run_dir.logs.glob("*.log"))
    return paths if wanted is None else [path for path in paths if path.stem in wanted]


def _names(run_dir: RunDir) -> set[str] | None:
    """Return the names of what runs; None where no fleet does."""
    try:
        return set(ask(run_dir, "names")["names"])
    except Refused:
        return None


def _find(options: Namespace, run_dir: RunDir) -> str:
    """Return the name of the log that is asked for; empty for all."""
    there = [path.stem for path in _paths(run_dir, "")]
    if not there and not options.site:
        raise Refused(f"There are no logs in {run_dir.logs}.")
    if not options.site or options.site in there:
        return str(options.site)
    return _key(options, run_dir, there)


def _key(options: Namespace, run_dir: RunDir, names: list[str]) -> str:
    """Return the key of a site: as the fleet that runs has it, or else the project."""
    said = ""
    try:
        return str(ask(run_dir, "find", site=options.site, others=[*names, OWN])["key"])
    except Refused as error:
        if error.status == USAGE:
            said = str(error)
        elif run_dir.is_taken:
            raise
    plan = full_plan(options)
    try:
        return log_of(plan, find_key(plan, options.site, (*names, *PROCESSES)))
    except Refused as error:
        if said and error.status == USAGE:
            raise Refused(said, USAGE) from None
        raise


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
