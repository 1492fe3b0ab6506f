"""All that follows the site, on a usual page of one site: against plain Django."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from benchmarks import figures
from benchmarks.islands import ISLANDS, row
from benchmarks.seeding import host
from benchmarks.workers import KEPT, Worker, fill, sqlite

TITLE = "All that follows the site"
TARGET = 0.92
SITES = 10
BATCH = 100
METRICS = "metrics"
#: What is compared, and what of it is on; None is plain Django.
ALL = [name for name in ISLANDS if name != METRICS]
CONFIGURATIONS: dict[str, list[str] | None] = {
    "plain": None,
    "none": [],
    **{name: [name] for name in ALL},
    "all": ALL,
    "all and metrics": [*ALL, METRICS],
}


def run(*, quick: bool) -> dict[str, Any]:
    """Serve one site in interleaved rounds, with a few sets of processes."""
    names = ["plain", "none", "all", "all and metrics"] if quick else list(CONFIGURATIONS)
    sets, rounds = (1, 2) if quick else (6, 20)
    micros: dict[str, list[float]] = {name: [] for name in names}
    queries = {}
    with tempfile.TemporaryDirectory() as folder:
        draft = sqlite(Path(folder) / "draft.sqlite3")
        fill(draft, SITES, page="islands")
        for _ in range(sets):
            with ExitStack() as stack:
                workers = {
                    name: stack.enter_context(_worker(name, Path(draft["NAME"]))) for name in names
                }
                for name, worker in workers.items():
                    for _ in range(2):  # a new visitor, and one that comes again
                        worker.ask("visit", hosts=[host(1)], fixed=name == "plain")
                    queries[name] = worker.ask("queries", count=BATCH) / BATCH
                for number in range(rounds):
                    first = number % len(names)
                    for name in names[first:] + names[:first]:
                        cost = workers[name].ask("batch", count=BATCH)["cpu"]
                        micros[name].append(cost / BATCH * 1e6)
    return {
        "notes": [],
        "configurations": {
            name: {
                "micros": figures.spread(micros[name]),
                "ratio": figures.spread(_each(micros["plain"], micros[name], lambda a, b: a / b)),
                "more": figures.spread(_each(micros[name], micros["none"], lambda a, b: a - b)),
                "queries": queries[name],
            }
            for name in names
        },
    }


def _each(first: list[float], second: list[float], how: Any) -> list[float]:
    return [how(a, b) for a, b in zip(first, second, strict=True)]


def _worker(name: str, draft: Path) -> Worker:
    on = CONFIGURATIONS[name]
    if on is None:
        return Worker("plain", sqlite(draft) | KEPT, stack="islands", page="islands")
    path = draft.with_name(f"{name}.sqlite3")
    shutil.copy(draft, path)
    with closing(sqlite3.connect(path)) as connection, connection:
        for column, value in row(on).items():
            sql = f"UPDATE sitefleet_siteconfig SET {column} = ? WHERE site_id = 1"  # noqa: S608
            connection.execute(sql, [value])
    return Worker("sitefleet", sqlite(path) | KEPT, stack="islands", page="islands", islands=on)


def render(result: dict[str, Any]) -> str:
    """Write the figures."""
    text = (
        "A page with one query, one `{% cache %}` fragment and one template, for a visitor who has"
        " a session and a CSRF token. `none` is sitefleet with nothing of it on."
    )
    rows = [
        [
            name,
            f"{found['micros']['median']:.0f} us",
            "" if name in {"plain", "none"} else f"{found['more']['median']:+.0f} us",
            figures.ratio(found["ratio"]),
            f"{found['queries']:g}",
        ]
        for name, found in result["configurations"].items()
    ]
    head = ["what is on", "a request", "more than `none`", "throughput against plain", "queries"]
    return f"{text}\n\n{figures.table(head, rows)}"


def headline(result: dict[str, Any]) -> list[tuple[str, str, str, bool]]:
    """Return what was promised and what is the case."""
    found = result["configurations"]
    ratio, queries = found["all"]["ratio"]["median"], found["all"]["queries"]
    more = queries - found["plain"]["queries"]
    what = "throughput against plain Django, one site, all that follows the site is on"
    figure = f"{ratio:.2f}; {more:+g} queries"
    return [(what, figure, f"at least {TARGET}, no query more", ratio >= TARGET and not more)]
