"""The guard: views whose queries name no site, against the same with explicit filters."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import figures
from benchmarks.environments import Unavailable
from benchmarks.postgres import cluster
from benchmarks.rows import VARIANTS, path
from benchmarks.seeding import host
from benchmarks.workers import KEPT, Worker, sqlite

TITLE = "Rows that belong to a site: the guard"
TARGET, NOTHING = 1.03, 1.01
#: Lines of the summary that the shorter pages show.
MATTER = 2
SITES, EACH = 10, 1_000
QUERIES = (1, 10)
#: What is compared with explicit filters in a process without the guard: process, view.
CASES = {
    "`SiteModel`": ("own", "bare"),
    "a model from outside": ("outside", "bare"),
    "explicit filters": ("outside", "explicit"),
}
FREE, UNSCOPED = "free", "unscoped"
NO_SITE = "rows that belong to no site"
#: Which clock: PostgreSQL is another process, whose time counts.
CLOCKS = {"SQLite": "cpu", "PostgreSQL": "wall"}

#: Process, view, queries.
Page = tuple[str, str, int]


def run(*, quick: bool) -> dict[str, Any]:
    """Serve one site in interleaved rounds, with a few sets of processes."""
    notes: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        database = sqlite(Path(folder) / "rows.sqlite3") | KEPT
        databases = {"SQLite": measure("SQLite", database, quick=quick)}
    try:
        with cluster() as server:
            databases["PostgreSQL"] = measure("PostgreSQL", server | KEPT, quick=quick)
    except Unavailable as error:
        notes.append(str(error))
    return {"notes": notes, "databases": databases}


def fill(database: dict[str, Any], sites: int, each: int) -> None:
    """Create the tables, the sites and their rows."""
    with _worker(FREE, database) as worker:
        worker.ask("migrate")
        worker.ask("seed", sites=sites)
        worker.ask("call", function="benchmarks.rows.seeding.seed", sites=sites, each=each)


def measure(name: str, database: dict[str, Any], *, quick: bool) -> list[dict[str, Any]]:
    """Return a line for each case and number of queries."""
    sets, rounds, batch = (1, 2, 10) if quick else (5, 15, 40)
    fill(database, SITES, EACH)
    pages: list[Page] = [
        *((process, view, count) for process, view in CASES.values() for count in QUERIES),
        *((FREE, "explicit", count) for count in QUERIES),
        *((process, UNSCOPED, 1) for process in (FREE, "own")),
    ]
    micros: dict[Page, list[float]] = {page: [] for page in pages}
    for _ in range(sets):
        with ExitStack() as stack:
            workers = {
                variant: stack.enter_context(_worker(variant, database)) for variant in VARIANTS
            }
            _visit(workers, pages)
            for number in range(rounds):
                for page in figures.turned(pages, number):
                    micros[page].append(_cost(workers, page, batch, CLOCKS[name]))
    lines = [(NO_SITE, ("own", UNSCOPED, 1), (FREE, UNSCOPED, 1))]
    for count in QUERIES:
        for case, (process, view) in CASES.items():
            lines.append((case, (process, view, count), (FREE, "explicit", count)))
    return [
        {
            "case": case,
            "queries": page[2],
            "base": figures.spread(micros[base]),
            "micros": figures.spread(micros[page]),
            "ratio": figures.spread(
                [a / b for a, b in zip(micros[page], micros[base], strict=True)]
            ),
        }
        for case, page, base in lines
    ]


def _worker(variant: str, database: dict[str, Any]) -> Worker:
    return Worker(
        "sitefleet", database, page="rows", options=VARIANTS[variant], settings={"ROWS": variant}
    )


def _visit(workers: dict[str, Worker], pages: list[Page]) -> None:
    """See that all pages show the same rows, by as many queries as they say."""
    bodies: dict[tuple[bool, int], str] = {}
    for process, view, count in pages:
        workers[process].ask("go", path=path(view, count))
        workers[process].ask("visit", hosts=[host(1)], fixed=False)
        _, body = workers[process].ask("answer", host=host(1))
        assert bodies.setdefault((view == UNSCOPED, count), body) == body, f"{process} {view}"
        made = workers[process].ask("queries", count=10) / 10
        assert made == count, f"{process} {view}: {made} queries instead of {count}"


def _cost(workers: dict[str, Worker], page: Page, batch: int, clock: str) -> float:
    """Return the microseconds of a request."""
    process, view, count = page
    workers[process].ask("go", path=path(view, count))
    return workers[process].ask("batch", count=batch)[clock] / batch * 1e6


def render(result: dict[str, Any]) -> str:
    """Write the figures."""
    text = (
        f"{SITES} sites with {EACH:,} rows each. The ratio is the time of a request against that"
        " with explicit filters, in a process without the guard; both have `SiteMiddleware`."
    )
    rows = [
        [
            name,
            found["case"],
            found["queries"],
            f"{found['base']['median']:.0f} us",
            f"{found['micros']['median']:.0f} us",
            figures.ratio(found["ratio"]),
        ]
        for name, lines in result["databases"].items()
        for found in lines
    ]
    head = ["database", "with the guard", "queries", "without it", "with it", "ratio"]
    return f"{text}\n\n{figures.table(head, rows)}"


def headline(result: dict[str, Any]) -> list[tuple[str, str, str, bool]]:
    """Return what was promised and what is the case."""
    lines = []
    for name, cases in result["databases"].items():
        for count in QUERIES:
            found = {
                line["case"]: line["ratio"]["median"] for line in cases if line["queries"] == count
            }
            ratio = max(found[case] for case, (_, view) in CASES.items() if view == "bare")
            figure = f"{ratio:.3f} times the time with explicit filters"
            what = f"the guard, a view with {figures.queries(count)}, {name}"
            lines.append((what, figure, f"at most {TARGET} times", ratio <= TARGET))
        ratio = next(line["ratio"]["median"] for line in cases if line["case"] == NO_SITE)
        what = f"the guard, rows that belong to no site, {name}"
        figure = f"{ratio:.3f} times the time without it"
        lines.append((what, figure, f"nothing, within {NOTHING - 1:.0%}", ratio <= NOTHING))
    return lines
