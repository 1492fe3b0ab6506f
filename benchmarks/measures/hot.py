"""Hosts that were visited before: throughput against plain Django, and queries."""

from __future__ import annotations

from typing import Any

from benchmarks import figures
from benchmarks.seeding import host
from benchmarks.workers import BASELINE, CONFIGURATIONS, OURS, available, team

TITLE = "A host that was visited before"
TARGET = 0.95
#: Lines of the headline that matter most: one hot host, and many.
MATTER = 2
VISITED = 1000
BATCH = 500


def run(*, quick: bool) -> dict[str, Any]:
    """Measure all sizes of fleets, with and without other middleware."""
    names, notes = (list(OURS), []) if quick else available(list(CONFIGURATIONS))
    sizes = {"bare": (10, 1_000, 100_000, 1_000_000), "usual": (10, 1_000_000)}
    if quick:
        sizes = {"bare": (10,), "usual": (10,)}
    cases: list[dict[str, Any]] = [
        {"sites": sites, "hosts": 1, "stack": stack} for stack in sizes for sites in sizes[stack]
    ]
    if not quick:
        cases += [{"sites": 100_000, "hosts": VISITED, "stack": stack} for stack in sizes]
    return {"notes": notes, "cases": [_measure(case, names, quick=quick) for case in cases]}


def _measure(case: dict[str, Any], names: list[str], *, quick: bool) -> dict[str, Any]:
    """Compare the configurations in interleaved rounds, with a few sets of processes.

    Where things lie in memory makes two processes of the same program differ by some percent, so
    one set would not do. Peers take a minute to visit a thousand hosts; for them it has to.
    """
    sets, rounds = (1, 2) if quick else (4, 16)
    step = case["sites"] // case["hosts"]
    hosts = [host(step * number + 1) for number in range(case["hosts"])]
    ratios: dict[str, list[float]] = {name: [] for name in names}
    micros: dict[str, list[float]] = {name: [] for name in names}
    queries: dict[str, float] = {}
    for turn in range(sets):
        here = names if turn == 0 or case["hosts"] == 1 else list(OURS)
        with team(here, case["sites"], case["stack"]) as workers:
            for worker in workers.values():
                fixed = CONFIGURATIONS[worker.name][0] == "plain"
                worker.ask("visit", hosts=hosts, fixed=fixed)
                queries[worker.name] = worker.ask("queries", count=BATCH) / BATCH
            for number in range(rounds):
                first = number % len(here)
                order = here[first:] + here[:first]
                cost = {name: workers[name].ask("batch", count=BATCH)["cpu"] for name in order}
                for name, value in cost.items():
                    micros[name].append(value / BATCH * 1e6)
                    ratios[name].append(cost[BASELINE.get(name, "plain")] / value)
    return case | {
        "configurations": {
            name: {
                "ratio": figures.spread(ratios[name]),
                "micros": figures.spread(micros[name]),
                "queries": queries[name],
            }
            for name in names
        }
    }


def render(result: dict[str, Any]) -> str:
    """Write the figures."""
    names = [name for name in CONFIGURATIONS if name in result["cases"][0]["configurations"]]
    names = [name for name in names if CONFIGURATIONS[name][0] != "plain"]
    rows = []
    for case in result["cases"]:
        found = case["configurations"]
        plain = f"{found['plain']['micros']['median']:.0f} us"
        kind = "one host" if case["hosts"] == 1 else f"{case['hosts']:,} random hosts"
        row = [f"{case['sites']:,}", kind, case["stack"], plain]
        rows.append(row + [_cell(found[name]) for name in names])
    head = ["sites", "visited", "middleware", "plain", *names]
    return figures.table(head, rows)


def _cell(found: dict[str, Any]) -> str:
    queries = f", {found['queries']:.2g} queries" if found["queries"] else ""
    return f"{figures.ratio(found['ratio'])}{queries}"


def headline(result: dict[str, Any]) -> list[tuple[str, str, str, bool]]:
    """Return what was promised and what is the case."""
    kinds = dict.fromkeys((case["stack"], case["hosts"]) for case in result["cases"])
    return [_promise(result, stack, hosts) for stack, hosts in sorted(kinds)]


def _promise(result: dict[str, Any], stack: str, hosts: int) -> tuple[str, str, str, bool]:
    cases = [
        case["configurations"]
        for case in result["cases"]
        if (case["stack"], case["hosts"]) == (stack, hosts)
    ]
    figures_of = []
    for name in cases[0]:
        if CONFIGURATIONS[name][0] != "plain":
            middles = sorted({f"{case[name]['ratio']['median']:.2f}" for case in cases})
            figures_of.append(f"{name} {' to '.join(dict.fromkeys((middles[0], middles[-1])))}")
    low = min(case["sitefleet"]["ratio"]["median"] for case in cases)
    queries = max(case["sitefleet"]["queries"] for case in cases)
    visited = "one hot host" if hosts == 1 else f"{hosts:,} hosts in random order"
    what = f"throughput against plain Django, {visited}, {stack} middleware"
    figure = f"{', '.join(figures_of)}; {queries:.2g} queries"
    met = low >= TARGET and not queries
    return what, figure, f"at least {TARGET}, 0 queries", met
