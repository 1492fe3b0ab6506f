"""Row-level security of PostgreSQL: queries that name no site, against explicit filters."""

from __future__ import annotations

import random
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from benchmarks import figures
from benchmarks.environments import Unavailable
from benchmarks.measures.rows import fill
from benchmarks.postgres import another, cluster, execute
from benchmarks.rows import VARIANTS, path
from benchmarks.seeding import host
from benchmarks.workers import KEPT, Worker

TITLE = "Rows that belong to a site: row-level security"
TARGET = 1.10
#: Lines of the summary that the shorter pages show.
MATTER = 4
QUERIES = (1, 10)
VISITED = 100
#: The role that asks, and the one of `cross_site`.
ROLE, ALL_SITES = "app", "platform"


@dataclass(frozen=True)
class Case:
    """One way to see the rows of one site alone."""

    name: str
    against: str
    """The name of the case with explicit filters that it is compared with."""
    mode: str = ""
    """SITEFLEET["RLS"]."""
    guard: bool = False
    atomic: bool = False

    @property
    def view(self) -> str:
        """The view that is asked for."""
        return "bare" if self.mode else "explicit"


EXPLICIT, ATOMIC = "explicit filters", "explicit filters, `ATOMIC_REQUESTS`"
SESSION, TRANSACTION = "session mode", "transaction mode, `ATOMIC_REQUESTS`"
#: As they are used: the guard stays on.
PROMISED = f"{SESSION}, guard", f"{TRANSACTION}, guard"
CASES = (
    Case(EXPLICIT, EXPLICIT),
    Case(SESSION, EXPLICIT, "session"),
    Case(PROMISED[0], EXPLICIT, "session", guard=True),
    Case("transaction mode", EXPLICIT, "transaction"),
    Case(ATOMIC, ATOMIC, atomic=True),
    Case(TRANSACTION, ATOMIC, "transaction", atomic=True),
    Case(PROMISED[1], ATOMIC, "transaction", guard=True, atomic=True),
)


def run(*, quick: bool) -> dict[str, Any]:
    """Serve random sites in interleaved rounds, with a few sets of processes."""
    sites, each = (20, 50) if quick else (1_000, 1_000)
    found: dict[str, Any] = {"notes": [], "sites": sites, "each": each, "cases": []}
    try:
        with cluster() as server:
            _prepare(server, sites, each)
            found["cases"] = _measure(server, sites, quick=quick)
    except Unavailable as error:
        found["notes"].append(str(error))
    return found


def _prepare(server: dict[str, Any], sites: int, each: int) -> None:
    """Fill two databases, one of them under row-level security, for a role without privileges."""
    fill(server, sites, each)
    execute(
        server,
        f"CREATE ROLE {ALL_SITES}",
        f"CREATE ROLE {ROLE} LOGIN NOINHERIT IN ROLE {ALL_SITES}",
    )
    secured = another(server, "secured", like="postgres")
    with _worker(Case("", "", "session"), secured) as worker:
        what = {"name": "rls", "arguments": ["enable", "--no-input"]}
        worker.ask("call", function="benchmarks.rows.seeding.command", **what)
    for database in (server, secured):
        execute(
            database,
            f"GRANT SELECT, UPDATE ON ALL TABLES IN SCHEMA public TO {ROLE}",
            "VACUUM ANALYZE",
        )


def _measure(server: dict[str, Any], sites: int, *, quick: bool) -> list[dict[str, Any]]:
    sets, rounds, batch = (1, 2, 10) if quick else (4, 15, 30)
    hosts = [host(number) for number in random.sample(range(1, sites + 1), min(sites, VISITED))]
    micros: dict[tuple[str, int], list[float]] = {
        (case.name, count): [] for case in CASES for count in QUERIES
    }
    for _ in range(sets):
        with ExitStack() as stack:
            workers = {
                case: stack.enter_context(_worker(case, server | {"USER": ROLE} | KEPT))
                for case in CASES
            }
            for count in QUERIES:
                _visit(workers, count, hosts)
                for number in range(rounds):
                    for case in figures.turned(list(CASES), number):
                        cost = workers[case].ask("batch", count=batch)["wall"]
                        micros[case.name, count].append(cost / batch * 1e6)
    return [
        {
            "case": case.name,
            "queries": count,
            "micros": figures.spread(micros[case.name, count]),
            "ratio": figures.spread(
                [
                    mine / base
                    for mine, base in zip(
                        micros[case.name, count], micros[case.against, count], strict=True
                    )
                ]
            ),
        }
        for count in QUERIES
        for case in CASES
    ]


def _visit(workers: dict[Case, Worker], count: int, hosts: list[str]) -> None:
    """See that all show the same rows."""
    bodies = set()
    for case, worker in workers.items():
        worker.ask("go", path=path(case.view, count))
        worker.ask("visit", hosts=hosts, fixed=False)
        bodies.add(worker.ask("answer", host=hosts[0])[1])
    assert len(bodies) == 1, f"{len(bodies)} answers"


def _worker(case: Case, server: dict[str, Any]) -> Worker:
    variant = "outside" if case.mode else "free"
    options = VARIANTS[variant] | {"GUARD": case.guard, "RLS": case.mode}
    if case.mode:
        options["RLS_ROLE"] = ALL_SITES
    database = server | {"ATOMIC_REQUESTS": case.atomic}
    if case.mode:
        database["NAME"] = "secured"
    settings = {"ROWS": variant}
    return Worker("sitefleet", database, page="rows", options=options, settings=settings)


def render(result: dict[str, Any]) -> str:
    """Write the figures."""
    rows = result["sites"] * result["each"]
    text = (
        f"{rows:,} rows of {result['sites']:,} sites, connections that stay open, each request for"
        " another site. Row-level security alone, and with the guard as well. The ratio is the time"
        " of a request against that with explicit filters, in a transaction for each request or"
        " without one alike."
    )
    lines = [
        [
            found["case"],
            found["queries"],
            f"{found['micros']['median']:.0f} us",
            figures.ratio(found["ratio"]),
        ]
        for found in result["cases"]
    ]
    return f"{text}\n\n{figures.table(['rows of one site by', 'queries', 'time', 'ratio'], lines)}"


def headline(result: dict[str, Any]) -> list[tuple[str, str, str, bool]]:
    """Return what was promised and what is the case."""
    lines = []
    for found in result["cases"]:
        if found["case"] in PROMISED:
            ratio = found["ratio"]["median"]
            mode = found["case"].partition(",")[0]
            what = f"row-level security, {mode}, a view with {figures.queries(found['queries'])}"
            figure = f"{ratio:.2f} times the time with explicit filters"
            lines.append((what, figure, f"at most {TARGET:.2f} times", ratio <= TARGET))
    return lines
