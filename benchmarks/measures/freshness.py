"""How long it takes until eight other processes have seen a change."""

from __future__ import annotations

import shutil
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks import figures
from benchmarks.environments import Unavailable
from benchmarks.postgres import cluster
from benchmarks.seeding import host
from benchmarks.workers import Worker, fill, fleet, sqlite

if TYPE_CHECKING:
    from collections.abc import Iterator

TITLE = "Freshness"
SITES = 1_000
#: How a site is changed, and what it answers then: maintenance, or no such site.
WAYS = {"save()": 503, "update()": 503, "raw SQL": 503, "delete()": 404}
#: The promised second, and what eight processes on few cores take to answer one request.
TARGET = 1.1
PATIENCE = 5.0
LISTENING = {"LISTEN": True}


def run(*, quick: bool) -> dict[str, Any]:
    """Change sites in one process while others serve them."""
    readers, times = (2, 1) if quick else (8, 8)
    cases, notes = [], []
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "fleet.sqlite3"
        shutil.copy(fleet(SITES)["NAME"], copy)
        database = sqlite(copy)
        cases.append({"database": "SQLite"} | _measure(database, {}, readers, times))
    if not quick:
        try:
            with cluster() as database:
                fill(database, SITES)
                for name, options in (("PostgreSQL", {}), ("PostgreSQL, `LISTEN`", LISTENING)):
                    found = _measure(database, options, readers, times)
                    cases.append({"database": name} | found)
        except Unavailable as error:
            notes.append(str(error))
    return {"readers": readers, "notes": notes, "cases": cases}


def _measure(
    database: dict[str, Any], options: dict[str, Any], count: int, times: int
) -> dict[str, Any]:
    numbers = _numbers(database)
    with ExitStack() as stack:
        workers = [
            stack.enter_context(Worker("sitefleet", database, options=options))
            for _ in range(count + 1)
        ]
        writer, *readers = workers
        return {
            "seconds": {
                how: [_latency(writer, readers, how, next(numbers)) for _ in range(times)]
                for how in WAYS
            }
        }


def _numbers(database: dict[str, Any]) -> Iterator[int]:
    """Give sites that nobody has changed yet: `_delete` of one case is seen in the next."""
    start = _used.get(database["NAME"], 1)
    for number in range(start, SITES):
        _used[database["NAME"]] = number + 1
        yield number


_used: dict[str, int] = {}


def _latency(writer: Worker, readers: list[Worker], how: str, number: int) -> float:
    """Return the seconds from the end of the change until the last reader has seen it."""
    for reader in readers:
        reader.ask("visit", hosts=[host(number)], fixed=False)
    for reader in readers:
        reader.order("watch", host=host(number), status=WAYS[how], seconds=PATIENCE)
    # Anywhere within the second between two looks.
    time.sleep(0.1 + (number * 0.37) % 1.0)
    done = writer.ask("change", how=how, pk=number, state="maintenance")
    seen = [reader.report() for reader in readers]
    assert None not in seen, f"a change by {how} was not seen within {PATIENCE} seconds"
    return max(0.0, max(seen) - done)


def render(result: dict[str, Any]) -> str:
    """Write the figures."""
    rows = []
    for case in result["cases"]:
        cells = [_cell(case["seconds"][how]) for how in WAYS]
        rows.append([case["database"], *cells])
    text = (
        f"From the commit until the last of {result['readers']} processes answers accordingly:"
        " median, and the longest. `FRESHNESS` is 1 second."
    )
    return f"{text}\n\n{figures.table(['database', *WAYS], rows)}"


def _cell(values: list[float]) -> str:
    return f"{figures.seconds(median(values))}, {figures.seconds(max(values))}"


def headline(result: dict[str, Any]) -> list[tuple[str, str, str, bool]]:
    """Return what was promised and what is the case."""
    lines = []
    for case in result["cases"]:
        longest = max(max(values) for values in case["seconds"].values())
        what = f"a change is seen by {result['readers']} other processes, {case['database']}"
        figure = f"within {figures.seconds(longest)}"
        lines.append((what, figure, "1 s and the time of an answer", longest <= TARGET))
    return lines
