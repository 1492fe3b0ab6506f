"""How long it takes until a fleet that is served follows a change of its table."""

from __future__ import annotations

import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks import figures
from benchmarks.environments import Unavailable
from benchmarks.project import STACKS
from benchmarks.seeding import host
from benchmarks.serving import fleets
from benchmarks.serving.asking import ask
from benchmarks.serving.starting import scratch
from benchmarks.workers import Worker, fleet, sqlite

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.serving.asking import Answer

TITLE = "Changes while it is served"
MATTER = 2
SITES = 1_000
ROWS = "benchmarks.serving.rows"
#: The promised second, and what a fork, a poll and a few processes on few cores take.
TARGET = 1.1
PATIENCE = 10.0
SHARED, DEDICATED, OWN, OPTIONS = "shared", "dedicated", "own", "options"
LABELS = {
    SHARED: "a shared site is added: its first page",
    DEDICATED: "a dedicated site is added: its first page",
    OWN: "... and the first by a process of its own",
    OPTIONS: "an option of a dedicated site is changed: the first page under it",
}
MIDDLEWARE = [
    "benchmarks.serving.told.tell_process",
    "sitefleet.middleware.SiteMiddleware",
    *STACKS["usual"],
]


def run(*, quick: bool) -> dict[str, Any]:
    """Change rows in one process while ``sitefleet up`` serves them."""
    times = 1 if quick else 6
    seconds: dict[str, list[float]] = {name: [] for name in LABELS}
    notes = []
    try:
        with scratch() as folder:
            database = folder / "fleet.sqlite3"
            shutil.copy(fleet(SITES)["NAME"], database)
            project = fleets.light(sqlite(database), settings={"MIDDLEWARE": MIDDLEWARE})
            with Worker("sitefleet", sqlite(database)) as writer:
                writer.ask("call", function=f"{ROWS}.configure", number=2, mode=DEDICATED)
                with fleets.served(project) as served:
                    for number in range(times):
                        _measure(served, writer, number, seconds)
    except Unavailable as error:
        notes.append(str(error))
    return {"sites": SITES, "notes": notes, "seconds": seconds}


def _measure(
    served: fleets.Fleet, writer: Worker, number: int, seconds: dict[str, list[float]]
) -> None:
    common = served.ask(1).process
    for mode in (SHARED, DEDICATED):
        name = f"{mode}-{number}.example.org"

        def add(name: str = name, mode: str = mode) -> float:
            return float(writer.ask("call", function=f"{ROWS}.add", domain=name, mode=mode))

        steps = [lambda answer: answer.good]
        if mode == DEDICATED:
            steps.append(lambda answer: answer.good and answer.process != common)
        taken = _until(served.address, name, add, steps, number)
        seconds[mode].append(taken[0])
        seconds[OWN] += taken[1:]

    def configure() -> float:
        serving = {"niceness": number + 1}
        done = writer.ask("call", function=f"{ROWS}.configure", number=2, serving=serving)
        return float(done)

    wanted = str(number + 1)
    steps = [lambda answer: answer.headers.get("x-niceness") == wanted]
    seconds[OPTIONS] += _until(served.address, host(2), configure, steps, number)


def _until(
    address: str,
    name: str,
    change: Callable[[], float],
    steps: list[Callable[[Answer], bool]],
    number: int,
) -> list[float]:
    """Ask without pause while a row is changed; return the seconds from there to each step."""
    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(_watch, address, name, steps)
        # Anywhere within the second between two looks.
        time.sleep(0.1 + (number * 0.37) % 1.0)
        done = change()
        return [max(0.0, seen - done) for seen in watching.result()]


def _watch(address: str, name: str, steps: list[Callable[[Answer], bool]]) -> list[float]:
    seen: list[float] = []
    end = time.monotonic() + PATIENCE
    while len(seen) < len(steps):
        answer = ask(address, name, patience=PATIENCE)
        if steps[len(seen)](answer):
            seen.append(time.monotonic())
        assert time.monotonic() < end, f"{name} was not seen, but status {answer.status}"
        time.sleep(0.01)
    return seen


def render(result: dict[str, Any]) -> str:
    """Write the figures."""
    text = (
        f"`sitefleet up` with {result['sites']:,} shared sites and some dedicated ones, SQLite,"
        " `FRESHNESS` of 1 second: from the commit until the page."
    )
    rows: list[list[object]] = [
        [LABELS[name], figures.seconds(median(values)), figures.seconds(max(values))]
        for name, values in result["seconds"].items()
        if values
    ]
    return f"{text}\n\n{figures.table(['change', 'median', 'longest'], rows)}"


def headline(result: dict[str, Any]) -> list[tuple[str, str, str, bool]]:
    """Return what was promised and what is the case."""
    lines = []
    for name, what in ((SHARED, "a shared site"), (DEDICATED, "a dedicated site")):
        if values := result["seconds"][name]:
            figure = f"within {figures.seconds(max(values))}"
            target = "1 s and the time of an answer"
            lines.append((f"{what} that is added answers", figure, target, max(values) <= TARGET))
    return lines
