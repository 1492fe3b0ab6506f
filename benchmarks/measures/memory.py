"""What is remembered costs memory, and only so much, whatever is asked."""

from __future__ import annotations

from typing import Any

from benchmarks import figures
from benchmarks.seeding import host
from benchmarks.workers import KEPT, Worker, fleet

TITLE = "Memory"
#: Hosts that a process remembers by default, and as many again that lead to no site.
CACHE = 5_000
FULL_TARGET = 10.0
MEGABYTE = 2**20
OPTIONS = {"FRESHNESS": 3600}


def run(*, quick: bool) -> dict[str, Any]:
    """Fill the memory, then ask for a million hosts that nobody has, then for all sites."""
    sites, flood = (1_000, 20_000) if quick else (100_000, 1_000_000)
    with Worker("sitefleet", fleet(sites) | KEPT, options=OPTIONS) as worker:
        worker.ask("visit", hosts=[host(1)], fixed=False)
        # What Python, Django and the database take when they get busy is not in question.
        worker.ask("found", hosts=[host(1)] * 1_000)
        steps = {"start": worker.ask("memory")}
        names = [host(number) for number in range(2, min(CACHE, sites) + 2)]
        worker.ask("visit", hosts=names[: sites - 1], fixed=False)
        steps["sites"] = worker.ask("memory")
        worker.ask("flood", count=2 * CACHE, pattern="nobody-{}.example.com")
        steps["full"] = worker.ask("memory")
        worker.ask("flood", count=flood, pattern="someone-{}.example.com")
        steps["flooded"] = worker.ask("memory")
        worker.ask("visit", hosts=[host(number) for number in range(1, sites + 1)], fixed=False)
        steps["all"] = worker.ask("memory")
    megabytes = {key: value / MEGABYTE for key, value in steps.items()}
    return {"sites": sites, "flood": flood, "megabytes": megabytes, "notes": []}


def render(result: dict[str, Any]) -> str:
    """Write the figures."""
    found = result["megabytes"]
    labels = {
        "start": "one host visited",
        "sites": f"{CACHE:,} sites visited: as many as are remembered",
        "full": f"and {2 * CACHE:,} unknown hosts: the memory is full",
        "flooded": f"and {result['flood']:,} other unknown hosts",
        "all": f"and a request for each of {result['sites']:,} sites",
    }
    rows = [
        [label, f"{found[key]:.1f} MB", f"{found[key] - found['start']:+.1f} MB"]
        for key, label in labels.items()
    ]
    return figures.table(["after", "resident memory", "since the first line"], rows)


def headline(result: dict[str, Any]) -> list[tuple[str, str, str, bool]]:
    """Return what was promised and what is the case."""
    found = result["megabytes"]
    full, grown = found["full"] - found["start"], found["flooded"] - found["full"]
    at_most = f"at most {FULL_TARGET:.0f} MB"
    return [
        ("the full default memory", f"{full:.1f} MB", at_most, full <= FULL_TARGET),
        (f"{result['flood']:,} unknown hosts", f"{grown:+.1f} MB", "at most 1 MB", grown <= 1),
    ]
