"""The process that serves many sites, against plain Django in the same server."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from benchmarks import figures
from benchmarks.environments import Unavailable
from benchmarks.seeding import host
from benchmarks.serving import fleets, wrk
from benchmarks.serving.asking import ask, free_port, wait_until
from benchmarks.serving.starting import scratch, started
from benchmarks.workers import KEPT, fleet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TITLE = "One process for all sites"
OURS = "sitefleet, gunicorn"
SITES = 1_000
TARGET = 0.95
GUNICORN = ("gunicorn", "--worker-class=gthread", "--threads=2", "--no-control-socket")
GRANIAN = ("granian", "--interface=wsgi", "--blocking-threads=2", "--no-log")
#: Configuration, server, and what the server is given.
CASES = {
    "plain, gunicorn": ("plain", GUNICORN, "benchmarks.serving.plain:application"),
    OURS: ("sitefleet", GUNICORN, "sitefleet.serving.wsgi:application"),
    "plain, granian": ("plain", GRANIAN, "benchmarks.serving.plain:application"),
    "sitefleet, granian": ("sitefleet", GRANIAN, "sitefleet.serving.wsgi:application"),
}


def run(*, quick: bool) -> dict[str, Any]:
    """Let wrk ask the servers in turn, with a few sets of processes."""
    sets, rounds = (1, 1) if quick else (3, 5)
    found: dict[str, Any] = {"sites": SITES, "notes": [], "cases": []}
    names = [name for name, case in CASES.items() if find_spec(case[1][0])]
    found["notes"] += [f"{name}: it is not installed" for name in CASES if name not in names]
    loads: dict[str, list[wrk.Load]] = {name: [] for name in names}
    try:
        wrk.find()
        for _ in range(sets):
            _measure(loads, rounds)
    except Unavailable as error:
        found["notes"].append(str(error))
        return found
    for name, each in loads.items():
        rates = [load.rate for load in each]
        base = [load.rate for load in loads[f"plain, {name.partition(', ')[2]}"]]
        found["cases"].append(
            {
                "case": name,
                "rate": figures.spread(rates),
                "median": figures.spread([load.median for load in each]),
                "ratio": figures.spread([a / b for a, b in zip(rates, base, strict=True)]),
                "failed": sum(load.failed for load in each),
            }
        )
    return found


def _measure(loads: dict[str, list[wrk.Load]], rounds: int) -> None:
    with ExitStack() as stack:
        folder = stack.enter_context(scratch())
        ports = {name: stack.enter_context(_server(name, folder)) for name in loads}
        for port in ports.values():
            wrk.load(port, host(1), 1)
        for number in range(rounds):
            for name in figures.turned(list(ports), number):
                loads[name].append(wrk.load(ports[name], host(1), 1))


@contextmanager
def _server(name: str, folder: Path) -> Iterator[int]:
    configuration, (program, *options), application = CASES[name]
    project = fleets.light(fleet(SITES) | KEPT, configuration)
    port = free_port()
    here = [f"--bind=127.0.0.1:{port}"]
    if program == "granian":
        here = ["--host=127.0.0.1", f"--port={port}"]
    command = [project.python, "-m", program, *options, "--workers=1", *here, application]
    with started(command, project.environ(), folder / f"{port}.log"):
        wait_until(lambda: ask(f"127.0.0.1:{port}", host(1)))
        yield port


def render(result: dict[str, Any]) -> str:
    """Write the figures."""
    text = (
        f"The usual middleware, one host of {result['sites']:,}, one worker with two threads, wrk"
        " with 16 connections that are kept, directly at the server. The ratio is throughput"
        " against plain Django in the same server and round."
    )
    rows: list[list[object]] = [
        [
            case["case"],
            f"{case['rate']['median']:,.0f}",
            figures.seconds(case["median"]["median"]),
            figures.ratio(case["ratio"]),
            case["failed"],
        ]
        for case in result["cases"]
    ]
    head = ["configuration", "requests a second", "half of them within", "ratio", "failed"]
    return f"{text}\n\n{figures.table(head, rows)}"


def headline(result: dict[str, Any]) -> list[tuple[str, str, str, bool]]:
    """Return what was promised and what is the case."""
    lines = []
    for case in result["cases"]:
        if case["case"] == OURS:
            ratio = case["ratio"]["median"]
            what = "throughput of the shared process against plain Django, both under gunicorn"
            lines.append((what, f"{ratio:.2f}", f"at least {TARGET}", ratio >= TARGET))
    return lines
