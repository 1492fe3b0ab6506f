"""A thousand sites with a process each, on one machine, all at once."""

from __future__ import annotations

import resource
import time
from statistics import median
from typing import Any

from benchmarks import figures
from benchmarks.environments import Unavailable
from benchmarks.heavy import PAGES
from benchmarks.seeding import host
from benchmarks.serving import fleets
from benchmarks.serving.asking import Answer, ask_many
from benchmarks.serving.starting import available_memory, family, memory, scratch

TITLE = "A thousand sites with a process each"
SITES = 1_000
#: What a machine of 24 GB has, in megabytes.
MACHINE = 24 * 1024
#: More than a child takes, so that no machine is brought to its knees.
EACH = 18
CLIENTS = 4


def run(*, quick: bool, sites: int | None = None) -> dict[str, Any]:
    """Ask each site once, and once more when all are there."""
    sites = sites or (50 if quick else SITES)
    if available_memory() < sites * EACH:
        return {"sites": sites, "notes": [f"the memory here has no room for {sites:,} processes"]}
    _raise_limit()
    try:
        with scratch() as folder:
            project = fleets.heavy(folder, sites)
            options = {"idle": 3600, "warm_up": PAGES}
            before = available_memory()
            with fleets.served(project, mode="dedicated", options=options) as fleet:
                return {"sites": sites, "notes": [], **_measure(fleet, sites, before)}
    except Unavailable as error:
        return {"sites": sites, "notes": [str(error)]}


def _raise_limit() -> None:
    """Take as many open files as the machine gives: what is started inherits that."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _measure(fleet: fleets.Fleet, sites: int, before: float) -> dict[str, Any]:
    questions = [(fleet.address, host(number), "/") for number in range(1, sites + 1)]
    begin = time.perf_counter()
    first = ask_many(CLIENTS, questions)
    seconds = time.perf_counter() - begin
    again = ask_many(CLIENTS, questions)
    processes = {answer.process for answer in again if answer.good}
    everything = family(fleet.pid)
    return {
        "first": _described(first),
        "again": _described(again),
        "seconds": seconds,
        "alive": len(processes & set(everything)),
        "processes": len(everything),
        "pss": memory(everything)["pss"],
        "taken": before - available_memory(),
    }


def _described(answers: list[Answer]) -> dict[str, float]:
    taken = [answer.seconds for answer in answers]
    failed = sum(not answer.good for answer in answers)
    return {"median": median(taken), "longest": max(taken), "failed": failed}


def render(result: dict[str, Any]) -> str:
    """Write the figures."""
    if "first" not in result:
        return "Nothing was measured."
    text = (
        f"The heavy project with {result['sites']:,} dedicated sites, driver zygote. {CLIENTS}"
        f" clients ask each site once, through the router, which takes"
        f" {figures.seconds(result['seconds'])}, and then once more."
    )
    rows: list[list[object]] = [
        [
            label,
            figures.seconds(result[key]["median"]),
            figures.seconds(result[key]["longest"]),
            f"{result[key]['failed']:,}",
        ]
        for key, label in (("first", "first answers, each by a new process"), ("again", "second"))
    ]
    then = (
        f"Then {result['alive']:,} processes of sites run, {result['processes']:,} in all. Their"
        f" memory is {result['pss'] / 1024:.2f} GB (PSS); the machine has"
        f" {result['taken'] / 1024:.2f} GB less to give than before, with what the kernel needs"
        " for them."
    )
    table = figures.table(["requests", "median", "longest", "failed"], rows)
    return f"{text}\n\n{table}\n\n{then}"


def headline(result: dict[str, Any]) -> list[tuple[str, str, str, bool]]:
    """Return what was promised and what is the case."""
    if "first" not in result:
        return []
    failed = result["first"]["failed"] + result["again"]["failed"]
    taken = max(result["pss"], result["taken"])
    figure = f"{result['alive']:,} processes, {taken / 1024:.1f} GB, {failed:,} failures"
    kept = not failed and taken < MACHINE and result["alive"] == result["sites"]
    what = f"{result['sites']:,} dedicated sites of the heavy project, all running at once"
    return [(what, figure, "all answer, within 24 GB", kept)]
