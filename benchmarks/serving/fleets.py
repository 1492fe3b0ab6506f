"""Fleets that ``sitefleet up`` serves, and the projects that they are fleets of."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

from benchmarks.environments import HERE, interpreter
from benchmarks.seeding import host
from benchmarks.serving.asking import Answer, ask, free_port, wait_until
from benchmarks.serving.starting import environ, family, memory, scratch, started
from benchmarks.workers import DATA, migrations

if TYPE_CHECKING:
    from collections.abc import Iterator

SETTINGS = "DJANGO_SETTINGS_MODULE"
#: A thousand forks, and a first page by each, on few cores.
PATIENCE = 60.0


@dataclass(frozen=True)
class Project:
    """A project with its database: what its processes are started with."""

    python: str
    variables: dict[str, str]

    def environ(self, **more: str) -> dict[str, str]:
        """Return the whole environment of a process."""
        return environ(**self.variables, **more)


@dataclass(frozen=True)
class Fleet:
    """A fleet that is served."""

    address: str
    pid: int
    folder: Path

    def ask(self, number: int, path: str = "/", patience: float = PATIENCE) -> Answer:
        """Ask a site for a page."""
        return ask(self.address, host(number), path, patience)

    def memory(self) -> dict[str, float]:
        """Return what all its processes take, in megabytes."""
        return memory(family(self.pid))


def binaries(project: Project) -> Path:
    """Return where the programs of its environment are."""
    return Path(project.python).parent


def heavy(folder: Path, sites: int, peer: str = "heavy") -> Project:
    """Return the heavy project with so many sites, on a database of its own in ``folder``.

    ``peer`` names the environment that runs it. Raises Unavailable.
    """
    python = interpreter(peer)
    sources = [*migrations(), *sorted((HERE / "heavy").glob("*.py")), HERE / "seeding.py"]
    version = crc32(b"".join(path.read_bytes() for path in sources))
    kept = DATA / f"heavy-{sites}-{version:08x}.sqlite3"
    variables = {SETTINGS: "benchmarks.heavy.settings"}
    if not kept.exists():
        DATA.mkdir(exist_ok=True)
        for old in DATA.glob(f"heavy-{sites}-*"):
            old.unlink()
        draft = kept.with_suffix(".draft")
        draft.unlink(missing_ok=True)  # of a run that was ended
        subprocess.run(
            [python, "-m", "benchmarks.heavy.seeding", str(sites)],
            cwd=HERE.parent,
            env=environ(**variables, BENCHMARK_DATABASE=str(draft)),
            check=True,
        )
        draft.rename(kept)
    database = folder / f"{peer}.sqlite3"
    shutil.copy(kept, database)
    return Project(python, {**variables, "BENCHMARK_DATABASE": str(database)})


def light(database: dict[str, Any], configuration: str = "sitefleet", **spec: Any) -> Project:
    """Return a project of one view, with the usual middleware (see `benchmarks.project`)."""
    given = {"configuration": configuration, "database": database, "stack": "usual"}
    rest = {"page": "domain", "islands": [], "sitefleet": {}, "settings": {}}
    made = json.dumps({**rest, **given, **spec})
    return Project(sys.executable, {SETTINGS: "benchmarks.serving.light", "BENCHMARK_SPEC": made})


@contextmanager
def served(project: Project, **serving: Any) -> Iterator[Fleet]:
    """Serve a project by ``sitefleet up`` from when its first site answers."""
    with scratch() as folder:
        address = f"127.0.0.1:{free_port()}"
        serving = {"bind": address, "run_dir": str(folder / "run"), **serving}
        variables = project.environ(BENCHMARK_SERVING=json.dumps(serving))
        # As `sitefleet` is installed, in an environment where it is not.
        command = [project.python, "-m", "sitefleet.hosting", "up"]
        log = folder / "log"
        with started(command, variables, log) as program:
            fleet = Fleet(address, program.pid, folder)

            def first() -> Answer:
                assert program.poll() is None, "sitefleet up has ended"
                return fleet.ask(1, patience=5)

            try:
                wait_until(first, PATIENCE, pause=0.05)
                yield fleet
            except Exception as error:
                error.add_note(log.read_text(errors="replace")[-3000:])
                raise
