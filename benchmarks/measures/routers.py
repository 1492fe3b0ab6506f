"""What it costs to go through a router, against asking the server behind it."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks import figures
from benchmarks.environments import HERE, Unavailable
from benchmarks.seeding import host
from benchmarks.serving import fleets, wrk
from benchmarks.serving.asking import ask, free_port, wait_until
from benchmarks.serving.starting import family, processor, scratch, started
from benchmarks.workers import KEPT, fleet
from sitefleet.exceptions import SiteError
from sitefleet.hosting.context import Context
from sitefleet.hosting.planning.fleet import Fleet, Serving, Site
from sitefleet.hosting.planning.options import Options
from sitefleet.hosting.planning.plan import Plan, make_plan
from sitefleet.hosting.processes.logs import Logs
from sitefleet.hosting.processes.project import Project
from sitefleet.hosting.processes.run_dir import RunDir
from sitefleet.hosting.processes.sockets import Sockets
from sitefleet.hosting.routers import NEED_PORTS, make_router
from sitefleet.hosting.servers.workers import settings_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from pathlib import Path

TITLE = "Routers"
DIRECT = "direct"
NAMES = ("asyncio", "nginx", "haproxy", "traefik")
HOSTS = 1_000
#: Sites of the heavy project; the routers know as many hosts as for the light page.
HEAVY_SITES = 10
#: Seconds in which a server is done with what wrk has left behind.
SETTLE = 0.3
CONNECTIONS = {"keep-alive": "keepalive", "worker-connections": "worker_connections"}
TARGET = 0.85
LIGHT, HEAVY = "the light page", "the page of the heavy project"
ABOUT = (
    "One gunicorn with the light project, a worker with two threads, which listens for all of them;"
    " wrk with 16 connections that are kept, in turn directly and through each router, on the same"
    " {cores} cores. The routers know {hosts:,} hosts, and ask the server over a new connection"
    " for each request, so that a process that ends takes no request along."
)
TAKES = " What a request takes is processor time of the router and of the server."
ABOUT_HEAVY = "The same with the first page of the heavy project (Wagtail and its middleware)."
ABOUT_FLEET = (
    "The light page again; the server that is asked directly is the same, and the one behind the"
    " routers has the settings of a fleet that matter here: {options}."
)
#: Where figures are kept, which page they are of, and whether servers are set as in a fleet. The
#: heavy project, which may be missing, comes last.
VIEWS = (("cases", LIGHT, False), ("fleet", LIGHT, True), ("heavy", HEAVY, False))


def run(*, quick: bool) -> dict[str, Any]:
    """Start all routers before one server and let wrk ask through each in turn, for each page."""
    found: dict[str, Any] = {"hosts": HOSTS, "options": _options(), "notes": [], "cases": []}
    rounds, seconds = (1, 1) if quick else (8, 2)
    try:
        wrk.find()
        for key, page, as_in_fleet in VIEWS:
            options = found["options"] if as_in_fleet else []
            found[key] = _cases(
                asyncio.run(_measure(page, options, rounds, seconds, found["notes"]))
            )
    except Unavailable as error:
        found["notes"].append(str(error))
    found["notes"] = list(dict.fromkeys(found["notes"]))
    return found


def _options() -> list[str]:
    """Return what gunicorn is told in a fleet of its connections, for two threads."""
    settings = settings_for(Options(threads=2), "wsgi")
    return [
        f"--{option}={settings[name]}" for option, name in CONNECTIONS.items() if name in settings
    ]


@dataclass(frozen=True)
class Round:
    """One load, and what it has taken: seconds of processor for each request."""

    load: wrk.Load
    router: float
    server: float


def _cases(rounds: dict[str, list[Round]]) -> list[dict[str, Any]]:
    base = [each.load for each in rounds[DIRECT]]
    cases = []
    for name, each in rounds.items():
        loads = [one.load for one in each]
        pairs = list(zip(loads, base, strict=True))
        cases.append(
            {
                "case": name,
                "rate": figures.spread([load.rate for load in loads]),
                "ratio": figures.spread([mine.rate / theirs.rate for mine, theirs in pairs]),
                "median": figures.spread([load.median for load in loads]),
                "more": figures.spread([mine.median - theirs.median for mine, theirs in pairs]),
                "router": figures.spread([one.router for one in each]),
                "server": figures.spread([one.server for one in each]),
                "failed": sum(load.failed for load in loads),
            }
        )
    return cases


@dataclass
class Way:
    """One way to the page: the port that wrk asks, and who takes part."""

    port: int
    listening: list[socket.socket]
    router: list[int]
    server: int = 0

    def taken(self) -> tuple[float, float]:
        """Return the seconds of processor that the router and the server have had."""
        return processor(self.router), processor(family(self.server))


async def _measure(
    page: str, options: Sequence[str], rounds: int, seconds: int, notes: list[str]
) -> dict[str, list[Round]]:
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(scratch())
        project = (
            fleets.light(fleet(HOSTS) | KEPT)
            if page == LIGHT
            else fleets.heavy(folder, HEAVY_SITES)
        )
        direct = stack.enter_context(_listening())
        ways = {DIRECT: Way(direct.getsockname()[1], [direct], [])}
        for name in NAMES:
            try:
                ways[name] = await stack.enter_async_context(_router(name, folder))
            except (OSError, SiteError, ImportError) as error:
                notes.append(f"{name}: {error}")
        behind = [way for name, way in ways.items() if name != DIRECT]
        groups = [([ways[DIRECT]], ()), (behind, options)]
        for group, more in groups if options else [([*ways.values()], ())]:
            sockets = [made for way in group for made in way.listening]
            server = stack.enter_context(_server(project, sockets, more, folder))
            for way in group:
                way.server = server
        found: dict[str, list[Round]] = {name: [] for name in ways}
        for way in ways.values():
            await asyncio.to_thread(wait_until, _asking(way.port))
            if rounds > 1:
                await asyncio.to_thread(wrk.load, way.port, host(1), 1)
        for number in range(rounds):
            for name in figures.turned(list(ways), number):
                found[name].append(await asyncio.to_thread(_round, ways[name], seconds))
        return found


def _round(way: Way, seconds: int) -> Round:
    time.sleep(SETTLE)
    before = way.taken()
    load = wrk.load(way.port, host(1), seconds)
    requests = max(1.0, load.rate * seconds)
    router, server = (
        (after - begin) / requests for begin, after in zip(before, way.taken(), strict=True)
    )
    return Round(load, router, server)


def _asking(port: int) -> Any:
    return lambda: ask(f"127.0.0.1:{port}", host(1))


def _listening() -> socket.socket:
    made = socket.create_server(("127.0.0.1", 0), backlog=2048)
    made.setblocking(False)  # noqa: FBT003 - its only argument
    return made


@asynccontextmanager
async def _router(name: str, folder: Path) -> AsyncIterator[Way]:
    """Start a router."""
    run_dir = RunDir(folder / name)
    run_dir.make()
    sockets = Sockets(run_dir, tcp=name in NEED_PORTS)
    project = Project(HERE.parent, "benchmarks.serving.light")
    port = free_port()
    plan = _plan(name, port)
    try:
        behind = [sockets.get(instance.key) for instance in plan.instances]
        router = make_router(name, Context(project, run_dir, sockets, Logs(run_dir)))
        try:
            await router.start(plan)
            pids = [status.pid for status in await router.status() if status.pid]
            yield Way(port, behind, [below for pid in pids for below in family(pid)])
        finally:
            await router.stop()
    finally:
        sockets.close()


def _plan(name: str, port: int) -> Plan:
    """Return a plan with one dedicated site that has many names."""
    names = tuple(host(number) for number in range(1, HOSTS + 1))
    site = Site(1, "site-1", "", "active", "dedicated", f"http://{host(1)}/", names)
    return make_plan(Fleet(1, (site,), 0, Serving(router=name, bind=f"127.0.0.1:{port}")))


@contextmanager
def _server(
    project: fleets.Project, listening: list[socket.socket], options: Sequence[str], folder: Path
) -> Iterator[int]:
    """Run a server on all those sockets, and give its process."""
    numbers = [made.fileno() for made in listening]
    bound = [f"--bind=fd://{number}" for number in numbers]
    usual = ("--workers=1", "--worker-class=gthread", "--threads=2", "--no-control-socket")
    arguments = (*usual, *options, *bound, "sitefleet.serving.wsgi")
    command = [project.python, "-m", "gunicorn", *arguments]
    with started(command, project.environ(), folder / "gunicorn.log", numbers) as program:
        yield program.pid


def render(result: dict[str, Any]) -> str:
    """Write the figures."""
    abouts = {
        "cases": ABOUT + TAKES * ("heavy" in result),
        "heavy": ABOUT_HEAVY,
        "fleet": ABOUT_FLEET,
    }
    names = {
        "hosts": result["hosts"],
        "cores": os.cpu_count(),
        "options": ", ".join(f"`{option}`" for option in result.get("options", ())),
    }
    parts = []
    for key, about in abouts.items():
        if key == "cases" or result.get(key):
            parts += [about.format(**names), _table(result[key])]
    return "\n\n".join(parts)


def _table(cases: list[dict[str, Any]]) -> str:
    head = ["router", "requests a second", "of direct", "half within", "more than direct", "failed"]
    takes = ["router", "server"] if all("router" in case for case in cases) else []
    rows: list[list[object]] = [
        [
            case["case"],
            f"{case['rate']['median']:,.0f}",
            figures.ratio(case["ratio"]),
            figures.seconds(case["median"]["median"]),
            f"{case['more']['median'] * 1e3:+.2f} ms",
            case["failed"],
            *(figures.seconds(case[each]["median"]) for each in takes),
        ]
        for case in cases
    ]
    return figures.table([*head, *(f"{each} takes" for each in takes)], rows)


def headline(result: dict[str, Any]) -> list[tuple[str, str, str, bool]]:
    """Return what was promised and what is the case, for each page."""
    lines = []
    for page, key in ((LIGHT, "cases"), (HEAVY, "heavy")):
        cases = [case for case in result.get(key, ()) if case["case"] != DIRECT]
        if cases:
            ratios = [(case["case"], case["ratio"]["median"]) for case in cases]
            figure = ", ".join(f"{name} {ratio:.2f}" for name, ratio in ratios)
            kept = all(ratio >= TARGET for _, ratio in ratios)
            of = f": {page}" if "heavy" in result else ""
            what = f"throughput through a router against asking the server directly{of}"
            lines.append((what, figure, f"at least {TARGET}", kept))
    return lines
