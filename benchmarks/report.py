"""Where the figures go: ``results.json``, and from there into pages."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import django

import sitefleet
from benchmarks import figures
from benchmarks.environments import HERE, PEERS
from benchmarks.serving import choosing

if TYPE_CHECKING:
    from types import ModuleType

MEASURES = (
    "hot",
    "cold",
    "memory",
    "start",
    "polling",
    "freshness",
    "urlconfs",
    "islands",
    "rows",
    "rls",
    "tenants",
    "processes",
    "crowd",
    "routers",
    "shared",
    "live",
)
RESULTS = HERE / "results.json"
PAGE = HERE / "README.md"
#: Pages that show the figures between two marks, and whether they have room for all of them.
SHOWN_IN = {HERE.parent / "README.md": False, HERE.parent / "docs/explain/speed.md": True}
START, END = "<!-- benchmarks:start -->", "<!-- benchmarks:end -->"
#: A page that shows what single measures have found, each between marks with its name.
DETAILS = HERE.parent / "docs/serving/index.md"

Results = dict[str, dict[str, Any]]


def measure(name: str) -> ModuleType:
    """Return the module of a measure."""
    return import_module(f"benchmarks.measures.{name}")


def stamped(found: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of one measure with where and when they were found."""
    assert sitefleet.__file__
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} x {_processor()}, {platform.system()}",
        "versions": f"{platform.python_implementation()} {platform.python_version()},"
        f" Django {django.__version__}, SQLite {sqlite3.sqlite_version}",
        "figures": found,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def load() -> Results:
    """Return the figures of former runs."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def write(results: Results) -> None:
    """Write the figures, and the pages that show them."""
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    PAGE.write_text(render(results))
    for page, whole in SHOWN_IN.items():
        text = page.read_text() if page.exists() else ""
        page.write_text(filled(text, START, END, summarise(results, whole=whole)))
    DETAILS.write_text(with_details(DETAILS.read_text(), results))


def filled(text: str, start: str, end: str, content: str) -> str:
    """Return the text with the content between two marks, or as it is where it has none."""
    before, begun, rest = text.partition(start)
    _, ended, after = rest.partition(end)
    return f"{before}{start}\n{content}\n{end}{after}" if begun and ended else text


def with_details(text: str, results: Results) -> str:
    """Return a page with what each measure has found where the page has its marks."""
    for name in ("choosing", *MEASURES):
        start, end = (mark.replace(":", f":{name}:") for mark in (START, END))
        parts = [choosing.render(results)] if name == "choosing" else details(name, results)
        text = filled(text, start, end, "\n\n".join(parts))
    return text


def summarise(results: Results, *, whole: bool) -> str:
    """Write what was promised, and what is the case; of each measure all, or what matters most."""
    rows: list[list[object]] = []
    for name in MEASURES:
        if name in results:
            lines = measure(name).headline(results[name]["figures"])
            first = getattr(measure(name), "MATTER", 1)
            rows += [
                [what, figure, f"{target}: {'met' if kept else '**missed**'}"]
                for what, figure, target, kept in (lines if whole else lines[:first])
            ]
    return figures.table(["what", "measured", "target"], rows)


def render(results: Results) -> str:
    """Write the page of all figures."""
    peers = ", ".join(" with ".join(peer.packages) for peer in PEERS.values())
    head = (
        "Written by `make bench`; do not edit. What is measured, and how, is explained in"
        " `docs/explain/speed.md`."
    )
    legend = (
        "`plain` is Django alone, with a fixed `SITE_ID` and no look at the host. Compared are"
        f" {peers}. `0.96 (0.95-0.97)` is a median with its quartiles."
    )
    parts = ["# Benchmarks", head, summarise(results, whole=True), legend]
    for name in MEASURES:
        if name in results:
            parts += [f"## {measure(name).TITLE}", *details(name, results)]
    return "\n\n".join(parts) + "\n"


def details(name: str, results: Results) -> list[str]:
    """Write all that one measure has found, in paragraphs."""
    run = f"`python -m benchmarks {name}`"
    if name not in results:
        return [f"Not measured yet: {run}."]
    found = results[name]
    parts = [measure(name).render(found["figures"])]
    parts += [f"Not measured: {note}." for note in found["figures"]["notes"]]
    return [*parts, f"{run}, {found['date']}; {found['machine']}; {found['versions']}."]
