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
    """Show the last lines of a log, or of all, by time.

    Of a fleet that runs: those that it has said since it was started, unless all are asked for.
    """
    run_dir = running_dir(options)
    name, speakers = _find(options, run_dir)
    if speakers > 1:
        hint = f"{options.site} is one of {speakers} sites in {name}, which all speak here:"
        terminal.line(printable(hint))
    wanted, since = (None, "") if options.all else _running(run_dir)
    paths = _paths(run_dir, name, wanted)
    known = {path: path.stat().st_size for path in paths if path.exists()}
    last = [(path, Logs(run_dir).last(path.stem, options.lines, since)) for path in known]
    _show(terminal, last, merged=not name)
    if name and not any(lines for _, lines in last):
        terminal.line(f"{printable(options.site)} {_why_nothing(run_dir, known)}.")
    with suppress(KeyboardInterrupt):
        while options.follow:
            time.sleep(EVERY)
            paths = _paths(run_dir, name, wanted and (_running(run_dir)[0] or wanted))
            _show(terminal, [(path, news(path, known)) for path in paths], merged=not name)
    return DONE


def _why_nothing(run_dir: RunDir, known: dict[Path, int]) -> str:
    if any(known.values()):
        return "has said nothing since the fleet was started: --all shows what it said before"
    if run_dir.is_taken:
        return "has said nothing yet"
    return "has no log of its own from the last run: sitefleet logs shows those that are there"


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


def _running(run_dir: RunDir) -> tuple[set[str] | None, str]:
    """Return the names of what runs, and since when; None where no fleet does."""
    try:
        told = ask(run_dir, "names")
    except Refused:
        return None, ""
    return set(told["names"]), str(told["since"])


def _find(options: Namespace, run_dir: RunDir) -> tuple[str, int]:
    """Return the name of the log that is asked for, and how many speak there; empty for all."""
    there = [path.stem for path in _paths(run_dir, "")]
    if not there and not options.site:
        raise Refused(f"There are no logs in {run_dir.logs}.")
    return _log(options, run_dir, there) if options.site else ("", 1)


def _log(options: Namespace, run_dir: RunDir, names: list[str]) -> tuple[str, int]:
    """Return the log of a site or process: as the fleet that runs has it, or else the project."""
    said = ""
    try:
        told = ask(run_dir, "find", site=options.site, others=[*names, OWN])
        return str(told["key"]), int(told["speakers"])
    except Refused as error:
        if error.status == USAGE:
            said = str(error)
        elif run_dir.is_taken:
            raise
    if options.site in names:
        return str(options.site), 1
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
