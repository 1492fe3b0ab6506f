"""What a site costs that has processes of its own: memory, and the first answer after a rest."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from functools import partial
from itertools import cycle, islice
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks import figures
from benchmarks.environments import HEAVY, NEWER, Unavailable, version
from benchmarks.heavy import PAGES
from benchmarks.seeding import host
from benchmarks.serving import fleets
from benchmarks.serving.asking import ask, ask_many, wait_until
from benchmarks.serving.starting import family, memory, scratch, started, wait_for_end

if TYPE_CHECKING:
    from pathlib import Path

TITLE = "A process for each site"
MATTER = 7
OURS, ALWAYS_ON = "zygote", "gunicorn"
#: Seconds until each site has a process of its own.
PATIENCE = 30.0
#: Megabytes of its own after one request and after many, and seconds to a first answer.
ONE, MANY, FIRST = 10.0, 20.0, 0.030
#: As an operator does who knows which pages are asked for.
WARM = {"warm_up": PAGES}
APPLICATION = "benchmarks.serving.plain:application"
ABOUT = (
    "The heavy project: Wagtail, Django REST framework, and of Django admin, auth, sessions,"
    " sites, redirects and flatpages. Private memory is what a site's processes share with nobody;"
    " PSS has their part of what they share too. Medians of {sites} sites that run at the same"
    " time, after one request and after {requests} over {pages} pages. The first answer is that of"
    " a site of which nothing runs, from connecting to the end of the page; in brackets the"
    " longest."
)
NOTES = (
    "The drivers are those of `sitefleet up`, seen from outside of its router, with those pages as"
    " `warm_up`. The others are one server for each site with `SITE_ID` in its environment, asked"
    " directly, each with one worker and the process that it keeps for starting that. uWSGI is"
    " started as an Emperor starts it, with a master; its two processes share with each other what"
    " no other site has, so that of it PSS tells more. Installed are"
)


def run(*, quick: bool) -> dict[str, Any]:
    """Let engines serve sites of the heavy project, one engine after the other."""
    sites, requests, rounds, forks = (2, 10, 1, 10) if quick else (10, 150, 5, 500)
    found: dict[str, Any] = {"sites": sites, "requests": requests, "notes": [], "cases": []}
    try:
        with scratch() as folder:
            project = fleets.heavy(folder, sites)
            for driver in (OURS, ALWAYS_ON):
                found["cases"].append(_ours(driver, project, sites, requests, rounds))
            found["cases"] += _on_newer(folder, sites, requests, rounds)
            found["cases"] += [_theirs(name, project, sites, requests) for name in ENGINES]
            found["forks"] = _forks(project, sites, forks)
    except Unavailable as error:
        found["notes"].append(str(error))
    return found


def _ours(
    driver: str, project: fleets.Project, sites: int, requests: int, rounds: int
) -> dict[str, Any]:
    """Let `sitefleet up` serve dedicated sites, first without a rest, then with."""
    numbers = range(1, sites + 1)
    dedicated = {"mode": "dedicated", "driver": driver}
    with fleets.served(project, **dedicated, options={"idle": 3600, **WARM}) as fleet:
        children = {number: _settled(fleet, number) for number in numbers}
        one = [memory([pid]) for pid in children.values()]
        for number in numbers:
            for path in islice(cycle(PAGES), requests):
                answer = fleet.ask(number, path)
                assert answer.good, path
                assert answer.process == children[number], "the process of a site has changed"
        many = [memory([pid]) for pid in children.values()]
        fixed = memory(sorted({*family(fleet.pid)} - {*children.values()}))["private"]
    seconds = []
    if driver != ALWAYS_ON:
        with fleets.served(project, **dedicated, options={"idle": 1, **WARM}) as fleet:
            last = [_settled(fleet, number) for number in numbers]
            for _ in range(rounds):
                wait_for_end(last)
                answers = [fleet.ask(number) for number in numbers]
                assert all(answer.good for answer in answers)
                last = [answer.process for answer in answers]
                seconds += [answer.seconds for answer in answers]
    return {
        "engine": f"driver `{driver}`",
        "python": version(project.python),
        "one": one,
        "many": many,
        "seconds": seconds,
        "fixed": fixed,
    }


def _on_newer(folder: Path, sites: int, requests: int, rounds: int) -> list[dict[str, Any]]:
    """Do it on a newer Python too: there is more to share since 3.12. None where there is none."""
    if sys.version_info >= NEWER.python:
        return []
    try:
        project = fleets.heavy(folder, sites, NEWER.name)
    except Unavailable:
        return []
    case = _ours(OURS, project, sites, requests, rounds)
    return [{**case, "engine": f"{case['engine']} on Python {case['python']}"}]


def _settled(fleet: fleets.Fleet, number: int) -> int:
    """Return the process of a site, as soon as it has one: at the start all is shared."""
    end = time.monotonic() + PATIENCE
    while True:
        answer = fleet.ask(number)
        assert answer.good
        if answer.headers["x-site"] == str(number):
            return answer.process
        assert time.monotonic() < end, f"site {number} has no process of its own"
        time.sleep(0.05)


def _theirs(name: str, project: fleets.Project, sites: int, requests: int) -> dict[str, Any]:
    binaries = fleets.binaries(project)
    seconds, programs, addresses = [], [], {}
    with ExitStack() as stack:
        folder = stack.enter_context(scratch())
        for number in range(1, sites + 1):
            begin = time.perf_counter()
            path = f"{folder}/{number}"
            addresses[host(number)] = f"unix:{path}"
            command, variables = ENGINES[name](binaries, path), project.environ(SITE_ID=str(number))
            programs.append(stack.enter_context(started(command, variables, folder / "log")))
            wait_until(partial(ask, f"unix:{path}", host(number)))
            seconds.append(time.perf_counter() - begin)
        one = [memory(family(program.pid)) for program in programs]
        for site, address in addresses.items():
            for path in islice(cycle(PAGES), requests):
                assert ask(address, site, path).good, path
        many = [memory(family(program.pid)) for program in programs]
    return {"engine": name, "one": one, "many": many, "seconds": seconds, "fixed": 0.0}


def _gunicorn(binaries: Path, path: str) -> list[str]:
    program = str(binaries / "gunicorn")
    return [program, "--workers=1", "--no-control-socket", f"--bind=unix:{path}", APPLICATION]


def _granian(binaries: Path, path: str) -> list[str]:
    program = str(binaries / "granian")
    return [program, "--interface=wsgi", "--workers=1", f"--uds={path}", APPLICATION]


def _uwsgi(binaries: Path, path: str) -> list[str]:
    program = str(binaries / "uwsgi")
    options = ["--master", "--processes=1", "--need-app", "--die-on-term", "--disable-logging"]
    return [program, *options, f"--http-socket={path}", f"--module={APPLICATION}"]


ENGINES = {"gunicorn": _gunicorn, "granian": _granian, "uWSGI": _uwsgi}


def _forks(project: fleets.Project, sites: int, count: int) -> dict[str, int]:
    """Ask sites whose processes end after one request, until there were so many of these."""
    options = {"max_requests": 1, "idle": 1, "threads": 1, **WARM}
    asked, failed, processes = 0, 0, set()
    with fleets.served(project, mode="dedicated", driver=OURS, options=options) as fleet:
        questions = [(fleet.address, host(number), "/") for number in range(1, sites + 1)]
        while len(processes) < count and asked < 2 * count:
            answers = ask_many(4, questions)
            asked += len(answers)
            failed += sum(not answer.good for answer in answers)
            processes |= {answer.process for answer in answers if answer.good}
    return {"asked": asked, "processes": len(processes), "failed": failed, "target": count}


def _middle(memories: list[dict[str, float]], key: str) -> float:
    return median(found[key] for found in memories)


def _both(memories: list[dict[str, float]]) -> str:
    private, pss = (_middle(memories, key) for key in ("private", "pss"))
    return f"{private:.1f} MB (PSS {pss:.0f})"


def render(result: dict[str, Any]) -> str:
    """Write the figures."""
    rows = []
    for case in result["cases"]:
        cells = [f"{_middle(case[when], key):.1f} MB" for when, key in COLUMNS]
        first = "is never at rest"
        if case["seconds"]:
            middle, longest = median(case["seconds"]), max(case["seconds"])
            first = f"{figures.seconds(middle)} ({figures.seconds(longest)})"
        rows.append([case["engine"], *cells, first])
    about = ABOUT.format(pages=len(PAGES), **result)
    head = ["engine", *(f"{key}, {_when(result, when)}" for when, key in COLUMNS), "first answer"]
    parts = [about, figures.table(head, rows), f"{NOTES} {', '.join(HEAVY.packages)}."]
    if result["cases"]:
        fixed = result["cases"][0]["fixed"]
        parts.append(
            f"What `sitefleet up` runs beside the processes of sites takes {fixed:.0f} MB, once."
        )
    if "forks" in result:
        forks = result["forks"]
        parts.append(
            "With processes that end after a single request,"
            f" {forks['asked']:,} requests by four clients were answered by"
            f" {forks['processes']:,} processes; lost were {forks['failed']}."
        )
    return "\n\n".join(parts)


COLUMNS = (("one", "private"), ("one", "pss"), ("many", "private"), ("many", "pss"))


def _when(result: dict[str, Any], when: str) -> str:
    return "1 request" if when == "one" else f"{result['requests']} requests"


def headline(result: dict[str, Any]) -> list[tuple[str, str, str, bool]]:
    """Return what was promised and what is the case."""
    if not result["cases"]:
        return []
    lines = []
    ours = [case for case in result["cases"] if case["engine"].startswith(f"driver `{OURS}`")]
    for own in ours:
        python = f", Python {own['python']}"
        others = [case for case in result["cases"] if case not in ours] if own is ours[0] else []
        for when, target in (("one", ONE), ("many", MANY)):
            what = f"memory of a dedicated site of the heavy project{python}, {_when(result, when)}"
            shown = (f"{case['engine']} {_both(case[when])}" for case in (own, *others))
            kept = _middle(own[when], "private") <= target
            lines.append((what, ", ".join(shown), f"at most {target:.0f} MB", kept))
        what = f"first answer of a dedicated site of which nothing runs{python}"
        shown = (
            f"{case['engine']} {figures.seconds(median(case['seconds']))}"
            for case in (own, *others)
            if case["seconds"]
        )
        kept = median(own["seconds"]) <= FIRST
        lines.append((what, ", ".join(shown), f"at most {figures.seconds(FIRST)}", kept))
    if "forks" in result:
        forks = result["forks"]
        figure = f"{forks['failed']} of {forks['asked']:,}, by {forks['processes']:,} processes"
        kept = not forks["failed"] and forks["processes"] >= forks["target"]
        lines.append(("requests lost while each needs a fork", figure, "none", kept))
    return lines
