"""What it costs to go through a router, against asking the server behind it."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from benchmarks import figures
from benchmarks.environments import HERE, Unavailable
from benchmarks.seeding import host
from benchmarks.serving import fleets, wrk
from benchmarks.serving.asking import ask, free_port, wait_until
from benchmarks.serving.starting import scratch, started
from benchmarks.workers import KEPT, fleet
from sitefleet.exceptions import SiteError
from sitefleet.hosting.context import Context
from sitefleet.hosting.planning.fleet import Fleet, Serving, Site
from sitefleet.hosting.planning.plan import Plan, make_plan
from sitefleet.hosting.processes.logs import Logs
from sitefleet.hosting.processes.project import Project
from sitefleet.hosting.processes.run_dir import RunDir
from sitefleet.hosting.processes.sockets import Sockets
from sitefleet.hosting.routers import NEED_PORTS, make_router

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

TITLE = "Routers"
DIRECT = "direct"
NAMES = ("asyncio", "nginx", "haproxy", "traefik")
HOSTS = 1_000
TARGET = 0.85
ABOUT = (
    "One gunicorn with the light project, a worker with two threads, which listens for all of them;"
    " wrk with 16 connections that are kept, in turn directly and through each router, on the same"
    " {cores} cores. The routers know {hosts:,} hosts, and ask the server over a new connection"
    " for each request, so that a process that ends takes no request along."
)


def run(*, quick: bool) -> dict[str, Any]:
    """Start all routers before one server and let wrk ask through each in turn."""
    found: dict[str, Any] = {"hosts": HOSTS, "notes": [], "cases": []}
    try:
        wrk.find()
        rounds, seconds = (1, 1) if quick else (8, 2)
        loads = asyncio.run(_measure(rounds, seconds, found["notes"]))
    except Unavailable as error:
        found["notes"].append(str(error))
        return found
    base = loads[DIRECT]
    for name, each in loads.items():
        pairs = list(zip(each, base, strict=True))
        found["cases"].append(
            {
                "case": name,
                "rate": figures.spread([load.rate for load in each]),
                "ratio": figures.spread([mine.rate / theirs.rate for mine, theirs in pairs]),
                "median": figures.spread([load.median for load in each]),
                "more": figures.spread([mine.median - theirs.median for mine, theirs in pairs]),
                "failed": sum(load.failed for load in each),
            }
        )
    return found


async def _measure(rounds: int, seconds: int, notes: list[str]) -> dict[str, list[wrk.Load]]:
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(scratch())
        direct = stack.enter_context(_listening())
        listening, ports = [direct], {DIRECT: direct.getsockname()[1]}
        for name in NAMES:
            try:
                port, sockets = await stack.enter_async_context(_router(name, folder))
            except (OSError, SiteError, ImportError) as error:
                notes.append(f"{name}: {error}")
            else:
                ports[name] = port
                listening += sockets
        stack.enter_context(_server(listening, folder))
        for port in ports.values():
            await asyncio.to_thread(wait_until, _asking(port))
            await asyncio.to_thread(wrk.load, port, host(1), 1)
        loads: dict[str, list[wrk.Load]] = {name: [] for name in ports}
        for number in range(rounds):
            for name in figures.turned(list(ports), number):
                load = await asyncio.to_thread(wrk.load, ports[name], host(1), seconds)
                loads[name].append(load)
        return loads


def _asking(port: int) -> Any:
    return lambda: ask(f"127.0.0.1:{port}", host(1))


def _listening() -> socket.socket:
    made = socket.create_server(("127.0.0.1", 0), backlog=2048)
    made.setblocking(False)  # noqa: FBT003 - its only argument
    return made


@asynccontextmanager
async def _router(name: str, folder: Path) -> AsyncIterator[tuple[int, list[socket.socket]]]:
    """Start a router, and give its port and the sockets that it leads to."""
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
            yield port, behind
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
def _server(listening: list[socket.socket], folder: Path) -> Iterator[None]:
    """Run the one server, on all those sockets."""
    project = fleets.light(fleet(HOSTS) | KEPT)
    numbers = [made.fileno() for made in listening]
    bound = [f"--bind=fd://{number}" for number in numbers]
    options = ["--workers=1", "--worker-class=gthread", "--threads=2", "--no-control-socket"]
    command = [project.python, "-m", "gunicorn", *options, *bound, "sitefleet.serving.wsgi"]
    with started(command, project.environ(), folder / "gunicorn.log", numbers):
        yield


def render(result: dict[str, Any]) -> str:
    """Write the figures."""
    about = ABOUT.format(hosts=result["hosts"], cores=os.cpu_count())
    rows: list[list[object]] = [
        [
            case["case"],
            f"{case['rate']['median']:,.0f}",
            figures.ratio(case["ratio"]),
            figures.seconds(case["median"]["median"]),
            f"{case['more']['median'] * 1e3:+.2f} ms",
            case["failed"],
        ]
        for case in result["cases"]
    ]
    head = ["router", "requests a second", "of direct", "half within", "more than direct", "failed"]
    return f"{about}\n\n{figures.table(head, rows)}"


def headline(result: dict[str, Any]) -> list[tuple[str, str, str, bool]]:
    """Return what was promised and what is the case."""
    cases = [case for case in result["cases"] if case["case"] != DIRECT]
    if not cases:
        return []
    ratios = [(case["case"], case["ratio"]["median"]) for case in cases]
    figure = ", ".join(f"{name} {ratio:.2f}" for name, ratio in ratios)
    kept = all(ratio >= TARGET for _, ratio in ratios)
    what = "throughput through a router against asking the server directly"
    return [(what, figure, f"at least {TARGET}", kept)]
