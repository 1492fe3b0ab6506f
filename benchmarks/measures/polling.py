"""What it costs to look for changes once a second."""

from __future__ import annotations

from statistics import median
from typing import Any

from benchmarks import figures
from benchmarks.seeding import host
from benchmarks.workers import Worker, fleet

TITLE = "Looking for changes"
TARGET = 0.99
OFF = 3600.0


def run(*, quick: bool) -> dict[str, Any]:
    """Compare two processes in interleaved rounds, each long enough to look at least twice."""
    sets, rounds, lasting = (1, 1, 0.1) if quick else (4, 3, 2.5)
    database = fleet(1_000)
    ratios, looks = [], []
    for _ in range(sets):
        with (
            Worker("sitefleet", database, options={"FRESHNESS": 1.0}) as polling,
            Worker("sitefleet", database, options={"FRESHNESS": OFF}) as still,
        ):
            workers = (polling, still)
            for worker in workers:
                worker.ask("visit", hosts=[host(1)], fixed=False)
            for _ in range(rounds):
                found = [worker.ask("last", seconds=lasting) for worker in workers]
                rates = [one["count"] / one["cpu"] for one in found]
                ratios.append(rates[0] / rates[1])
            looks += still.ask("polls", count=200)
    return {"notes": [], "ratio": figures.spread(ratios), "look": median(looks)}


def render(result: dict[str, Any]) -> str:
    """Write the figures."""
    look = result["look"]
    return (
        f"Throughput with `FRESHNESS` of 1 second against none: {figures.ratio(result['ratio'])}."
        f" One look takes {look * 1e6:.0f} us (SQLite), {look:.4%} of that second."
    )


def headline(result: dict[str, Any]) -> list[tuple[str, str, str, bool]]:
    """Return what was promised and what is the case."""
    ratio = result["ratio"]["median"]
    figure = f"{ratio:.3f} of the throughput without; {result['look']:.3%} of the time"
    return [("looking for changes each second", figure, "not measurable", ratio >= TARGET)]
