"""`sitefleet plan` and `sitefleet render`: what would run, without anything running."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from sitefleet.exceptions import SiteError
from sitefleet.hosting.cli.common import port_hint, project_of, wishes_of
from sitefleet.hosting.cli.terminal import YELLOW
from sitefleet.hosting.context import Context
from sitefleet.hosting.drivers import make_driver, make_shared
from sitefleet.hosting.planning.budget import FORKED, WHOLE, check_descriptors, make_budget
from sitefleet.hosting.planning.plan import SHARED_ASGI
from sitefleet.hosting.processes.logs import Logs
from sitefleet.hosting.processes.open_files import descriptor_limit
from sitefleet.hosting.processes.run_dir import run_dir_of
from sitefleet.hosting.processes.sockets import Sockets
from sitefleet.hosting.routers import NEED_PORTS, make_router
from sitefleet.hosting.supervising.control import DONE, REFUSED
from sitefleet.hosting.supervising.missing import why_missing
from sitefleet.hosting.supervising.running import read_plan
from sitefleet.hosting.supervising.telling import tell_plan
from sitefleet.terminal import printable

if TYPE_CHECKING:
    from argparse import Namespace

    from sitefleet.hosting.cli.terminal import Terminal
    from sitefleet.hosting.planning.plan import Plan

MOST_ROWS = 50
ESTIMATED = (
    f"Memory is estimated: {WHOLE} MB for a process that shares nothing, {FORKED} MB for one that"
    " is forked, or its memory_limit."
)
SERVERS = {
    "shared": "all hosts that lead nowhere else",
    SHARED_ASGI: "shared sites that want ASGI",
}
HEAD = ("site", "mode", "driver", "interface", "processes", "memory", "connections", "why")


def plan(options: Namespace, terminal: Terminal) -> int:
    """Show what would run, and why."""
    project, wishes = project_of(options), wishes_of(options)
    everything = options.all or options.json
    made = asyncio.run(read_plan(project, wishes, everything=everything))
    run_dir = run_dir_of(project.root, wishes.run_dir or made.fleet.serving.run_dir)
    told = tell_plan(made)
    reasons = run_dir.why_too_long(), why_missing(made, project)
    told["problems"] = [reason for reason in reasons if reason]
    told["warnings"] += [hint] if (hint := port_hint(made)) else []
    try:
        warning = check_descriptors(make_budget(made), descriptor_limit())
    except SiteError as error:
        told["problems"].append(str(error))
    else:
        told["warnings"] += [warning] if warning else []
    if options.json:
        terminal.line(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        for line in plan_lines(told, terminal, everything=options.all):
            terminal.line(line)
    return REFUSED if told["problems"] else DONE


def plan_lines(told: dict[str, Any], terminal: Terminal, *, everything: bool) -> list[str]:
    """Return the plan as a table, with the sums below."""
    sites = told["sites"] if everything else told["sites"][:MOST_ROWS]
    rows = [_cells(row["slug"], row["mode"], row, row["why"]) for row in sites]
    rows += [
        _cells(f"({row['instance']})", "shared", row, SERVERS[row["instance"]])
        for row in told["servers"]
    ]
    lines = terminal.table(HEAD, rows)
    if hidden := len(told["sites"]) - len(sites):
        lines.append(f"... and {hidden} sites more (--all lists them)")
    if unlisted := told["unlisted"]:
        hint = "too many to be listed" if everything else "--all lists them"
        noun = "shared sites" if unlisted > 1 else "shared site"
        lines.append(f"... and {unlisted} {noun} of no other word ({hint})")
    totals = told["totals"]
    dedicated = sum(row["mode"] == "dedicated" for row in told["sites"])
    database = f"{totals['connections']} connections when all of them are at work"
    if totals["max_connections"] is not None:
        used = totals["used_connections"]
        in_use = f", {used} are in use now" if used is not None else ""
        database += f"; {totals['max_connections']} are let in{in_use}"
    lines += [
        "",
        f"Router        {told['router']} at {told['bind']}",
        f"Sites         {dedicated} dedicated, {told['shared_sites']} shared",
        f"Memory        {totals['memory_mb']} MB when all of them are at work",
        f"Database      {totals['database']}: {database}",
        f"Open files    {totals['descriptors']}",
        ESTIMATED,
    ]
    lines = [printable(line, "\n") if not line.startswith("\x1b") else line for line in lines]
    warnings = (*told["problems"], *told["warnings"])
    return [*lines, *(terminal.paint(printable(f"Warning: {text}"), YELLOW) for text in warnings)]


def _cells(name: str, mode: str, row: dict[str, Any], why: str) -> tuple[str, ...]:
    shared = not name.startswith("(") and row["driver"] == "shared"
    cost = (
        ("", "", "", "")
        if shared
        else (
            row["interface"],
            f"{row['workers']} x {row['threads']}",
            f"{row['memory_mb']} MB",
            str(row["connections"]),
        )
    )
    return name, mode, row["driver"], *cost, why


def render(options: Namespace, terminal: Terminal) -> int:
    """Show, or write, the configurations that servers would get."""
    project, wishes = project_of(options), wishes_of(options)
    made = asyncio.run(read_plan(project, wishes))
    texts = asyncio.run(_render(options, made))
    if not texts:
        raise SiteError("Nothing of this fleet is configured by files.")
    for name, text in texts.items():
        if options.out is None:
            terminal.line(f"# --- {printable(name)}\n{text}")
        else:
            path = options.out / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            terminal.line(str(path))
    return DONE


async def _render(options: Namespace, made: Plan) -> dict[str, str]:
    project, serving = project_of(options), made.fleet.serving
    run_dir = run_dir_of(project.root, options.run_dir or serving.run_dir)
    sockets = Sockets(run_dir, tcp=serving.router in NEED_PORTS)
    context = Context(project, run_dir, sockets, Logs(run_dir))
    parts = (
        make_router(serving.router, context),
        make_driver(serving.driver, context),
        make_shared(context),
    )
    texts: dict[str, str] = {}
    for part in parts:
        offered = getattr(part, "render", None)  # who writes no files has no such method
        texts |= offered(made) if offered is not None else {}
    return texts
