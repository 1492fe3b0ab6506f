"""The first visit of a host, and hosts that nobody has: against one query by primary key."""

from __future__ import annotations

import random
from statistics import median
from typing import Any

from benchmarks import figures
from benchmarks.environments import Unavailable
from benchmarks.postgres import cluster
from benchmarks.seeding import host
from benchmarks.workers import CONFIGURATIONS, KEPT, OURS, Worker, available, fill, fleet

TITLE = "The first visit of a host, and unknown hosts"
TARGET = 2.0


def run(*, quick: bool) -> dict[str, Any]:
    """Measure look-ups on SQLite and PostgreSQL, and whole requests of all configurations."""
    sites = 1_000 if quick else 100_000
    notes, databases = [], [_look_ups("SQLite", fleet(sites) | KEPT, sites, quick=quick)]
    if not quick:
        try:
            with cluster() as database:
                fill(database, sites)
                found = _look_ups("PostgreSQL", database | KEPT, sites, quick=quick)
                databases.append(found)
        except Unavailable as error:
            notes.append(str(error))
    names, missing = (list(OURS), []) if quick else available(list(CONFIGURATIONS))
    requests = [_requests(name, sites, quick=quick) for name in names]
    result = {"sites": sites, "databases": databases, "requests": requests}
    return result | {"notes": notes + missing}


def _look_ups(name: str, database: dict[str, Any], sites: int, *, quick: bool) -> dict[str, Any]:
    """Compare in interleaved rounds, each time with sites that were not looked up before."""
    rounds, batch = (3, 20) if quick else (30, 100)
    numbers = random.sample(range(3, sites + 1), min(sites - 2, 2 * rounds * batch))
    taken: dict[str, list[float]] = {"row": [], "first": [], "unknown": []}
    with Worker("sitefleet", database, options={"FRESHNESS": 3600}) as worker:
        worker.ask("visit", hosts=[host(1)], fixed=False)
        # Whoever comes first pays for what every later one finds prepared.
        worker.ask("rows", keys=[1] * 20)
        for number in range(rounds):
            keys, others = (numbers.pop() for _ in range(batch)), range(batch)
            taken["row"].append(median(worker.ask("rows", keys=list(keys))))
            names = [host(numbers.pop()) for _ in others]
            taken["first"].append(median(worker.ask("found", hosts=names)))
            names = [f"nobody-{number}-{other}.example.com" for other in others]
            taken["unknown"].append(median(worker.ask("found", hosts=names)))
        queries = worker.ask("queries_once", hosts=[host(2)])
    ratios = {
        key: figures.spread([a / b for a, b in zip(taken[key], taken["row"], strict=True)])
        for key in ("first", "unknown")
    }
    micros = {key: median(values) * 1e6 for key, values in taken.items()}
    return {"database": name, "micros": micros, "ratios": ratios, "queries": queries}


def _requests(name: str, sites: int, *, quick: bool) -> dict[str, Any]:
    count = 10 if quick else 40
    with Worker(name, fleet(sites, CONFIGURATIONS[name][1]) | KEPT) as worker:
        fixed = CONFIGURATIONS[name][0] == "plain"
        worker.ask("visit", hosts=[host(1)], fixed=fixed)
        numbers = random.sample(range(2, sites + 1), count)
        cost = [worker.ask("once", hosts=[host(number)])["wall"] for number in numbers]
    return {"configuration": name, "micros": median(cost) * 1e6}


def render(result: dict[str, Any]) -> str:
    """Write the figures."""
    rows = [
        [
            found["database"],
            f"{found['micros']['row']:.0f} us",
            f"{found['micros']['first']:.0f} us: {figures.ratio(found['ratios']['first'])}",
            f"{found['micros']['unknown']:.0f} us: {figures.ratio(found['ratios']['unknown'])}",
            found["queries"],
        ]
        for found in result["databases"]
    ]
    head = ["look-up", "`Site.objects.get(pk=)`", "first visit", "unknown host", "queries"]
    whole = [
        [found["configuration"], figures.seconds(found["micros"] / 1e6)]
        for found in result["requests"]
    ]
    return "\n\n".join(
        [
            f"Of {result['sites']:,} sites; behind the time is the ratio to the primary key.",
            figures.table(head, rows),
            "The whole request of a first visit (SQLite; plain Django just serves its one site):",
            figures.table(["configuration", "median"], whole),
        ]
    )


def headline(result: dict[str, Any]) -> list[tuple[str, str, str, bool]]:
    """Return what was promised and what is the case."""
    lines = []
    for found in result["databases"]:
        for key, what in (("first", "first visit of a host"), ("unknown", "unknown host")):
            ratio = found["ratios"][key]["median"]
            name = f"{what}, {found['database']}, {result['sites']:,} sites"
            figure = f"{ratio:.2f} times a primary-key query, {found['queries']} query"
            kept = ratio <= TARGET and found["queries"] == 1
            lines.append((name, figure, f"at most {TARGET:.0f} times, 1 query", kept))
    return lines
