"""From the start of a process to its first answer, with few sites and with many."""

from __future__ import annotations

from itertools import product
from typing import Any

from benchmarks import figures
from benchmarks.seeding import host
from benchmarks.workers import OURS, Worker, fleet

TITLE = "The start of a process"
TARGET = 1.05


def run(*, quick: bool) -> dict[str, Any]:
    """Start processes in turn; each answers one request and ends."""
    sizes, rounds = ((10, 1_000), 1) if quick else ((10, 1_000_000), 15)
    cases = list(product(OURS, sizes))
    taken: dict[tuple[str, int], list[float]] = {case: [] for case in cases}
    for _ in range(rounds):
        for name, sites in cases:
            with Worker(name, fleet(sites)) as worker:
                taken[name, sites].append(worker.ask("first", host=host(1))["cpu"])
    return {
        "notes": [],
        "cases": [
            {"configuration": name, "sites": sites, "seconds": figures.spread(values)}
            for (name, sites), values in taken.items()
        ],
    }


def _few_and_many(result: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [case for case in result["cases"] if case["configuration"] == name]


def render(result: dict[str, Any]) -> str:
    """Write the figures."""
    rows = []
    for name in OURS:
        found = [case["seconds"]["median"] for case in _few_and_many(result, name)]
        rows.append([name, *(f"{value * 1e3:.0f} ms" for value in found)])
    sizes = [f"{case['sites']:,} sites" for case in _few_and_many(result, "plain")]
    text = "CPU time from `import django` to the first answer, byte code being there."
    return f"{text}\n\n{figures.table(['configuration', *sizes], rows)}"


def headline(result: dict[str, Any]) -> list[tuple[str, str, str, bool]]:
    """Return what was promised and what is the case."""
    few, many = _few_and_many(result, "sitefleet")
    growth = many["seconds"]["median"] / few["seconds"]["median"]
    what = f"start of a process, {many['sites']:,} sites against {few['sites']:,}"
    return [(what, f"{growth:.2f} times", "does not grow", growth <= TARGET)]
