"""What a further site costs: to be made, at each ``migrate``, at each request; against schemas."""

from __future__ import annotations

from contextlib import ExitStack
from statistics import median
from typing import Any

from benchmarks import figures
from benchmarks.environments import Unavailable
from benchmarks.postgres import another, cluster
from benchmarks.seeding import host
from benchmarks.tenants import BEFORE
from benchmarks.workers import KEPT, SCHEMAS, Worker, available

TITLE = "A thousand sites, and a thousand schemas"
MATTER = 2
OURS, PLAIN = "sitefleet", "plain"
#: Seconds to make a site with its first rows, and how much `migrate` may grow.
MOST, GROWTH = 0.005, 1.1
FIRST_ROWS = 20
MAKING = "benchmarks.tenants.making"
ABOUT = (
    "PostgreSQL; two small tables for each tenant. django-tenants and django-pgschemas give each"
    " tenant a schema of its own; with `plain` and sitefleet the rows have a site."
)
SERVED = "Throughput against plain Django, of a view with one query"


def run(*, quick: bool) -> dict[str, Any]:
    """Make fleets, migrate them and serve them."""
    names, notes = available(list(SCHEMAS))
    sizes = [10] if quick else [10, 1_000]
    found: dict[str, Any] = {"notes": notes, "sizes": sizes, "made": {}, "served": []}
    try:
        with cluster() as server:
            for name in (OURS, *names):
                found["made"][name] = (
                    _ours(server, sizes)
                    if name == OURS
                    else [_theirs(server, name, size) for size in sizes]
                )
            for size in sizes:
                found["served"].append(_serve(server, [OURS, *names], size, quick=quick))
    except Unavailable as error:
        found["notes"].append(str(error))
    return found


def _database(server: dict[str, Any], name: str, size: int) -> dict[str, Any]:
    return server | KEPT | {"NAME": f"{name}-{size}"}


def _make(server: dict[str, Any], name: str, size: int) -> dict[str, Any]:
    """Make a fleet, before the last migration was written."""
    another(server, f"{name}-{size}")
    with _worker(name, _database(server, name, size), BEFORE) as worker:
        worker.ask("call", function=f"{MAKING}.migrate")
        what = {"first": 1, "last": size, "rows": FIRST_ROWS}
        taken = worker.ask("call", function=f"{MAKING}.add", **what)
        worker.ask("call", function=f"{MAKING}.analyse")
    return {"size": size, "one": median(taken), "all": sum(taken)}


def _theirs(server: dict[str, Any], name: str, size: int) -> dict[str, Any]:
    made = _make(server, name, size)
    with _worker(name, _database(server, name, size)) as worker:
        for key in ("field", "nothing"):
            made[key] = worker.ask("call", function=f"{MAKING}.migrate")
    return made


def _ours(server: dict[str, Any], sizes: list[int]) -> list[dict[str, Any]]:
    """Make our fleets, one of a single site too, and migrate them in interleaved rounds."""
    sizes = [1, *sizes]
    made = [_make(server, OURS, size) for size in sizes]
    taken: dict[str, list[list[float]]] = {key: [[] for _ in sizes] for key in ("field", "nothing")}
    with ExitStack() as stack:
        workers = [
            stack.enter_context(_worker(OURS, _database(server, OURS, size))) for size in sizes
        ]
        for worker in workers:  # whoever comes first pays for what every later one finds prepared
            worker.ask("call", function=f"{MAKING}.migrate")
        for _ in range(11):
            for number, worker in enumerate(workers):
                worker.ask("call", function=f"{MAKING}.back")
                for found in taken.values():
                    found[number].append(worker.ask("call", function=f"{MAKING}.migrate"))
    for key, found in taken.items():
        for number, figure in enumerate(made):
            figure[key] = median(found[number])
            pairs = zip(found[number], found[0], strict=True)
            figure[f"{key} ratio"] = figures.spread([many / one for many, one in pairs])
    return made


def _worker(name: str, database: dict[str, Any], settings: dict[str, Any] | None = None) -> Worker:
    return Worker(name, database, page="tenants", settings=settings)


def _serve(server: dict[str, Any], names: list[str], size: int, *, quick: bool) -> dict[str, Any]:
    """Serve random sites in interleaved rounds, with a few sets of processes."""
    sets, rounds, batch = (1, 2, 20) if quick else (4, 15, 100)
    hosts = [host(number) for number in range(1, size + 1)]
    micros: dict[str, list[float]] = {name: [] for name in (PLAIN, *names)}
    queries = {}
    for _ in range(sets):
        with ExitStack() as stack:
            workers = {
                name: stack.enter_context(
                    _worker(name, _database(server, OURS if name == PLAIN else name, size))
                )
                for name in micros
            }
            for name, worker in workers.items():
                own = [host(1)] if name == PLAIN else hosts
                worker.ask("visit", hosts=own, fixed=name == PLAIN)
                queries[name] = worker.ask("queries", count=20) / 20
            for number in range(rounds):
                for name in figures.turned(list(workers), number):
                    cost = workers[name].ask("batch", count=batch)["wall"]
                    micros[name].append(cost / batch * 1e6)
    return {
        "size": size,
        "configurations": {
            name: {
                "micros": figures.spread(values),
                "ratio": figures.spread(
                    [base / mine for base, mine in zip(micros[PLAIN], values, strict=True)]
                ),
                "queries": queries[name],
            }
            for name, values in micros.items()
        },
    }


def render(result: dict[str, Any]) -> str:
    """Write the figures."""
    names = list(result["made"])
    parts = [
        ABOUT,
        f"{SERVED}, of as many hosts as there are, at random; and its queries:",
    ]
    rows = []
    for found in result["served"]:
        cells = found["configurations"]
        line: list[object] = [f"{found['size']:,}", f"{cells[PLAIN]['micros']['median']:.0f} us"]
        rows.append([*line, *(_served(cells[name]) for name in names)])
    parts.append(figures.table(["tenants", PLAIN, *names], rows))
    parts.append(f"To make tenants, each with {FIRST_ROWS} rows, and to migrate them:")
    rows = []
    for key, what in (
        ("one", "to make one, of {}"),
        ("all", "to make all {}"),
        ("field", "`migrate`, one AddField, {}"),
        ("nothing", "`migrate`, nothing to do, {}"),
    ):
        for size in result["sizes"]:
            cells = [_of(result, name, size)[key] for name in names]
            rows.append([what.format(f"{size:,}"), *map(figures.seconds, cells)])
    parts.append(figures.table(["what", *names], rows))
    return "\n\n".join(parts)


def _served(found: dict[str, Any]) -> str:
    return f"{figures.ratio(found['ratio'])}, {found['queries']:g}"


def _of(result: dict[str, Any], name: str, size: int) -> dict[str, Any]:
    return next(found for found in result["made"][name] if found["size"] == size)


def headline(result: dict[str, Any]) -> list[tuple[str, str, str, bool]]:
    """Return what was promised and what is the case."""
    if not result["made"]:
        return []
    size = result["sizes"][-1]
    own = _of(result, OURS, size)
    others = [name for name in result["made"] if name != OURS]
    lines = [
        (
            f"making a site with {FIRST_ROWS} rows, PostgreSQL, {size:,} sites",
            _beside(result, others, "one", figures.seconds(own["one"])),
            f"at most {figures.seconds(MOST)}",
            own["one"] <= MOST,
        )
    ]
    for key, what in (("field", "one AddField"), ("nothing", "nothing to do")):
        ratio = own[f"{key} ratio"]["median"]
        time = f"{ratio:.2f} times that with one: {figures.seconds(own[key])}"
        lines.append(
            (
                f"`migrate`, {what}, {size:,} sites",
                _beside(result, others, key, time),
                "the same",
                ratio <= GROWTH,
            )
        )
    return lines


def _beside(result: dict[str, Any], others: list[str], key: str, own: str) -> str:
    size = result["sizes"][-1]
    theirs = [f"{name} {figures.seconds(_of(result, name, size)[key])}" for name in others]
    return ", ".join([own, *theirs])
