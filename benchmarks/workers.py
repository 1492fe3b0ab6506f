"""Workers seen from the program that compares them."""

from __future__ import annotations

import json
import subprocess
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Self
from zlib import crc32

from benchmarks.environments import HERE, Unavailable, clean_environ, interpreter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

DATA = HERE / ".data"
#: Connections that stay open; otherwise the first query of each request is a connection.
KEPT = {"CONN_MAX_AGE": None}
OURS = ("plain", "sitefleet")
#: Name of a configuration: what its project is, and whose environment and tables it has.
CONFIGURATIONS = {
    "plain": ("plain", "sitefleet"),
    "sitefleet": ("sitefleet", "sitefleet"),
    "multisite": ("multisite", "multisite"),
    "plain for multisite2": ("plain", "multisite2"),
    "multisite2": ("multisite", "multisite2"),
}
#: Those that have a schema for each tenant; they serve the page `tenants` alone.
SCHEMAS = {name: (name, name) for name in ("django-tenants", "django-pgschemas")}
#: What a configuration is compared with: plain Django on the same Python.
BASELINE = {"multisite2": "plain for multisite2"}


class Worker:
    """One process; its methods are those of `benchmarks.worker.Worker`."""

    def __init__(  # noqa: PLR0913 - what makes up a configuration
        self,
        name: str,
        database: dict[str, Any],
        *,
        stack: str = "bare",
        page: str = "domain",
        islands: Sequence[str] = (),
        options: dict[str, Any] | None = None,
        settings: dict[str, Any] | None = None,
    ) -> None:
        self.name = name
        configuration, environment = (CONFIGURATIONS | SCHEMAS)[name]
        spec = {
            "configuration": configuration,
            "database": database,
            "stack": stack,
            "page": page,
            "islands": islands,
            "sitefleet": options or {},
            "settings": settings or {},
        }
        command = [interpreter(environment), "-W", "ignore", "-m", "benchmarks.worker"]
        self.process = subprocess.Popen(
            [*command, json.dumps(spec)],
            cwd=HERE.parent,
            env=clean_environ(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        with self.process:
            if exception[0] is not None:
                self.process.kill()

    def order(self, do: str, **what: Any) -> None:
        """Give an order; `report` waits for the answer."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps({"do": do, **what}) + "\n")
        self.process.stdin.flush()

    def report(self) -> Any:
        """Return the answer to the oldest order."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            message = f"the worker {self.name!r} has ended"
            raise RuntimeError(message)
        return json.loads(line)

    def ask(self, do: str, **what: Any) -> Any:
        """Give an order and return the answer."""
        self.order(do, **what)
        return self.report()


def sqlite(path: Path) -> dict[str, Any]:
    """Return the settings of a database file."""
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(path)}


def fleet(sites: int, tables: str = "sitefleet") -> dict[str, Any]:
    """Return the settings of an SQLite file with so many sites, made on first use."""
    path = DATA / f"{tables}-{sites}-{_version(tables)}.sqlite3"
    if not path.exists():
        DATA.mkdir(exist_ok=True)
        for old in DATA.glob(f"{tables}-{sites}-*"):
            old.unlink()
        draft = path.with_suffix(".draft")
        fill(sqlite(draft), sites, tables)
        draft.rename(path)
    return sqlite(path)


def _version(tables: str) -> str:
    """Tell files with other tables apart, from before a change here."""
    made_by = [HERE / "seeding.py"]
    if tables == "sitefleet":
        made_by += migrations()
    return f"{crc32(b''.join(path.read_bytes() for path in made_by)):08x}"


def migrations() -> list[Path]:
    """Return the files that make sitefleet's tables."""
    source = HERE.parent / "src/sitefleet"
    return [*sorted(source.glob("migrations/*.py")), source / "triggers.py"]


def fill(
    database: dict[str, Any], sites: int, tables: str = "sitefleet", page: str = "domain"
) -> None:
    """Create the tables and seed them."""
    with Worker(tables, database, page=page) as worker:
        worker.ask("migrate")
        worker.ask("seed", sites=sites)


def available(names: list[str]) -> tuple[list[str], list[str]]:
    """Return the configurations that can run here, and why others cannot."""
    able, notes = [], []
    for name in names:
        try:
            interpreter((CONFIGURATIONS | SCHEMAS)[name][1])
        except Unavailable as error:
            notes.append(f"{name}: {error}")
        else:
            able.append(name)
    return able, notes


@contextmanager
def team(names: list[str], sites: int, stack: str = "bare") -> Iterator[dict[str, Worker]]:
    """Start a worker for each configuration."""
    with ExitStack() as workers:
        yield {
            name: workers.enter_context(
                Worker(name, fleet(sites, CONFIGURATIONS[name][1]), stack=stack)
            )
            for name in names
        }
