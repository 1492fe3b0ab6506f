"""A URLconf for each site: against one for all, and against the reload that this replaces."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from benchmarks import figures
from benchmarks.languages import MODULES, PAGES, SECTIONS
from benchmarks.seeding import host
from benchmarks.workers import Worker, fleet, sqlite

TITLE = "A URLconf for each site"
TARGET = 0.97
SITES = 10
#: Configuration: what `Worker` is told, beside the database.
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {"name": "plain", "stack": "languages"},
    "one URLconf": {"name": "sitefleet", "stack": "languages"},
    "a URLconf per site": {
        "name": "sitefleet",
        "stack": "languages",
        "options": {"URLCONFS": MODULES},
    },
    "reloaded per request": {"name": "sitefleet", "stack": "reloading"},
}
BASE, OURS, RELOADED = "one URLconf", "a URLconf per site", "reloaded per request"
BATCH, FEW = 200, 4


def run(*, quick: bool) -> dict[str, Any]:
    """Serve two sites in random order, in interleaved rounds, with a few sets of processes."""
    sets, rounds = (1, 2) if quick else (6, 12)
    ratios: dict[str, list[float]] = {name: [] for name in VARIANTS}
    micros: dict[str, list[float]] = {name: [] for name in VARIANTS}
    grown: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        databases = {name: fleet(SITES) for name in VARIANTS}
        databases[OURS] = _with_urlconfs(Path(folder) / "urlconfs.sqlite3")
        for _ in range(sets):
            with ExitStack() as stack:
                workers = {
                    name: stack.enter_context(
                        Worker(database=databases[name], page="languages", **variant)
                    )
                    for name, variant in VARIANTS.items()
                }
                for name, worker in workers.items():
                    hosts = [host(1), host(2)]
                    worker.ask("visit", hosts=hosts, fixed=name == "plain")
                grown.append(workers[OURS].ask("memory") - workers[BASE].ask("memory"))
                for number in range(rounds):
                    for name, value in _round(workers, number).items():
                        micros[name].append(value["mine"] * 1e6)
                        ratios[name].append(value["base"] / value["mine"])
    return {
        "notes": [],
        "megabytes": figures.spread(grown)["median"] / 1e6,
        "configurations": {
            name: {"ratio": figures.spread(ratios[name]), "micros": figures.spread(micros[name])}
            for name in VARIANTS
        },
    }


def _round(workers: dict[str, Worker], number: int) -> dict[str, dict[str, float]]:
    first = number % len(workers)
    order = list(workers)[first:] + list(workers)[:first]
    cost = {}
    for name in order:
        count = FEW if name == RELOADED else BATCH
        cost[name] = workers[name].ask("batch", count=count)["cpu"] / count
    return {name: {"mine": value, "base": cost[BASE]} for name, value in cost.items()}


def _with_urlconfs(path: Path) -> dict[str, Any]:
    """Return a copy of the fleet in which neighbours have different URLconfs."""
    shutil.copy(fleet(SITES)["NAME"], path)
    with closing(sqlite3.connect(path)) as connection, connection:
        for number, name in enumerate(MODULES):
            connection.execute(
                "UPDATE sitefleet_siteconfig SET urlconf = ? WHERE site_id % ? = ?",
                [name, len(MODULES), number],
            )
    return sqlite(path)


def render(result: dict[str, Any]) -> str:
    """Write the figures."""
    rows = [
        [name, figures.seconds(found["micros"]["median"] / 1e6), figures.ratio(found["ratio"])]
        for name, found in result["configurations"].items()
    ]
    text = (
        f"Two sites in random order; 6 languages, {SECTIONS * PAGES:,} patterns below"
        " `i18n_patterns()`, a page with ten links. A further URLconf of this size takes"
        f" {result['megabytes']:.1f} MB in each process, once."
    )
    head = ["configuration", "a request", f"throughput against {BASE}"]
    return f"{text}\n\n{figures.table(head, rows)}"


def headline(result: dict[str, Any]) -> list[tuple[str, str, str, bool]]:
    """Return what was promised and what is the case."""
    found = result["configurations"]
    ratio = found[OURS]["ratio"]["median"]
    reload = found[RELOADED]["micros"]["median"] / 1e6
    what = f"throughput with a URLconf per site against one, {SECTIONS * PAGES:,} patterns"
    figure = f"{ratio:.3f} (the reload that it replaces: {figures.seconds(reload)} a request)"
    return [(what, figure, f"at least {TARGET}", ratio >= TARGET)]
