"""`sitefleet status`, `reload` and `stop`: what is asked of a fleet that runs."""

from __future__ import annotations

import json
import time
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

HEAD = ("site", "state", "pid", "memory", "requests", "last request", "restarts", "note")
COLOURS = {"running": GREEN, "starting": YELLOW, "stopping": YELLOW, "failing": RED}
EVERY = 1.0
CLEAR = "\x1b[H\x1b[J"


def status(options: Namespace, terminal: Terminal) -> int:
    """Show what runs."""
    run_dir = running_dir(options)
    told = ask(run_dir, "status")
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
                told = ask(run_dir, "status")
    return 0


def status_lines(told: dict[str, Any], terminal: Terminal, *, everything: bool) -> list[str]:
    """Return the table of what runs; sites of which nothing runs are counted."""
    rows = told["processes"]
    shown = [row for row in rows if everything or row["state"] != "idle"]
    cells = [_cells(row) for row in shown]
    lines = terminal.table(HEAD, cells)
    for number, row in enumerate(shown, 1):
        colour = COLOURS.get(row["state"])
        if colour:
            lines[number] = lines[number].replace(
                f"  {row['state']} ", f"  {terminal.paint(row['state'], colour)} ", 1
            )
    if hidden := len(rows) - len(shown):
        lines.append(f"idle: {hidden} (--all lists them)")
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
