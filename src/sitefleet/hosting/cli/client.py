"""`sitefleet status`, `reload` and `stop`: what is asked of a fleet that runs."""

from __future__ import annotations

import json
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sitefleet.exceptions import SiteError
from sitefleet.hosting.cli.common import full_plan, running_dir
from sitefleet.hosting.cli.terminal import GREEN, RED, YELLOW, ago, megabytes
from sitefleet.hosting.supervising.control import USAGE, Refused, ask
from sitefleet.hosting.supervising.naming import PROCESSES, find_key
from sitefleet.terminal import printable

if TYPE_CHECKING:
    from argparse import Namespace

    from sitefleet.hosting.cli.terminal import Terminal

#: Sites of which nothing runs now; the shared ones of them are those that were asked for.
QUIET = ("idle", "shared")
HEAD = ("site", "state", "pid", "memory", "requests", "last request", "restarts", "note")
COLOURS = {"running": GREEN, "starting": YELLOW, "stopping": YELLOW, "failing": RED}
EVERY = 1.0
CLEAR = "\x1b[H\x1b[J"


def status(options: Namespace, terminal: Terminal) -> int:
    """Show what runs."""
    run_dir, slugs = running_dir(options), _Slugs(options)

    def look() -> dict[str, Any]:
        told = ask(run_dir, "status")
        return slugs.fill_in(told) if options.all else told

    told = look()
    if options.json:
        terminal.line(json.dumps(told, indent=2))
    elif options.once or not terminal.is_live:
        terminal.line("\n".join(status_lines(told, terminal, everything=options.all)))
    else:
        with suppress(KeyboardInterrupt):
            while True:
                lines = status_lines(told, terminal, everything=options.all)
                shown = "\n".join(lines).split("\n")
                terminal.line(CLEAR + "\n".join(terminal.fitting(shown)))
                time.sleep(EVERY)
                told = look()
    return 0


class _Slugs:
    """The slugs of plain shared sites, which a fleet that runs does not list."""

    def __init__(self, options: Namespace) -> None:
        self._options = options
        self._known: dict[int, str | None] = {}

    def fill_in(self, told: dict[str, Any]) -> dict[str, Any]:
        """Name the sites that have no name; the project is asked once for each new one."""
        nameless = [row for row in told["processes"] if row["site"] and not row["slug"]]
        if new := {row["site"] for row in nameless} - self._known.keys():
            self._known |= dict.fromkeys(new)
            with suppress(SiteError):  # else they are called by their ids
                plan = full_plan(self._options)
                self._known |= {one.site.id: one.site.slug for one in plan.decisions}
        for row in nameless:
            row["slug"] = self._known[row["site"]]
        return told


def status_lines(told: dict[str, Any], terminal: Terminal, *, everything: bool) -> list[str]:
    """Return the table of what runs; sites of which nothing of their own runs are counted."""
    rows = told["processes"]
    shown = [row for row in rows if everything or row["state"] not in QUIET]
    cells = [_cells(row) for row in shown]
    lines = terminal.table(HEAD, cells)
    for number, row in enumerate(shown, 1):
        colour = COLOURS.get(row["state"])
        if colour:
            lines[number] = lines[number].replace(
                f"  {row['state']} ", f"  {terminal.paint(row['state'], colour)} ", 1
            )
    if len(shown) < len(rows):
        hidden = Counter(row["state"] for row in rows if row["state"] in QUIET)
        counted = ", ".join(f"{state}: {number}" for state, number in hidden.items())
        lines.append(f"{counted} (--all lists them)")
    if told["lost_lines"]:
        lines.append(f"{told['lost_lines']} lines of logs are lost: is the disk full?")
    kinds = f"{told['dedicated_sites']} dedicated, {told['shared_sites']} shared"
    servers = f"{told['router']}, {told['driver']}, {told['server']}"
    head = f"{told['bind']}  {kinds}  ({servers})  up {ago(told['uptime'])[:-4]}"
    return [printable(head), *lines]


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    last = row["last_request"]
    return (
        row["slug"] or row["instance"],
        row["state"],
        str(row["pid"] or ""),
        megabytes(row["memory"]),
        "" if row["requests"] is None else str(row["requests"]),
        ago(time.time() - last) if last else "",
        str(row["restarts"]),
        row["note"],
    )


def reload(options: Namespace, terminal: Terminal) -> int:
    """Let processes run the code as it is now."""
    try:
        told = ask(running_dir(options), "reload", site=options.site)
    except Refused as error:
        if error.status == USAGE:  # the fleet that runs has not listed plain shared sites
            find_key(full_plan(options), options.site, PROCESSES, "reload")
        raise
    terminal.line(f"reloaded {told['reloaded']}")
    return 0


def stop(options: Namespace, terminal: Terminal) -> int:
    """Stop the fleet, and wait until it has."""
    run_dir = running_dir(options)
    pid = ask(run_dir, "stop")["stopping"]
    deadline = time.monotonic() + options.timeout
    while run_dir.is_taken:
        if time.monotonic() > deadline:
            message = f"It has not stopped within {options.timeout:g} seconds (process {pid})."
            raise SiteError(message)
        time.sleep(0.05)
    terminal.line("stopped")
    return 0
