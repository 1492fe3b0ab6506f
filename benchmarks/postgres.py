"""A PostgreSQL cluster of our own, for as long as it is measured."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.environments import Unavailable, clean_environ

if TYPE_CHECKING:
    from collections.abc import Iterator

DEBIAN = Path("/usr/lib/postgresql")


@contextmanager
def cluster() -> Iterator[dict[str, Any]]:
    """Start a cluster with its default settings; give the settings of its database.

    Raises Unavailable.
    """
    programs = _programs()
    # A socket has a short path; PostgreSQL refuses to run as root.
    user = "postgres" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True) as folder:
        if user:
            try:
                shutil.chown(folder, user)
            except LookupError:
                message = "there is no user postgres, and root must not run it"
                raise Unavailable(message) from None
        data = f"{folder}/data"

        def run(program: str, *arguments: str) -> None:
            done = subprocess.run(
                [programs / program, "-D", data, *arguments],
                cwd=folder,
                env=clean_environ(),
                user=user,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=False,
            )
            if done.returncode:
                message = f"{program} failed"
                raise Unavailable(message)

        run("initdb", "-U", "bench", "-A", "trust", "-E", "UTF8", "--locale=C")
        options = f"-k {folder} -c listen_addresses=''"
        run("pg_ctl", "-w", "-l", f"{folder}/log", "-o", options, "start")
        try:
            yield {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": "postgres",
                "USER": "bench",
                "HOST": folder,
            }
        finally:
            run("pg_ctl", "-w", "-m", "immediate", "stop")


def execute(server: dict[str, Any], *statements: str) -> None:
    """Run statements, each by itself."""
    where = {"host": server["HOST"], "user": "bench", "dbname": server["NAME"]}
    with import_module("psycopg").connect(**where, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def another(server: dict[str, Any], name: str, like: str = "template1") -> dict[str, Any]:
    """Create a database of the cluster, a copy of another; return its settings."""
    execute(server, f'CREATE DATABASE "{name}" TEMPLATE "{like}"')
    return server | {"NAME": name}


def _programs() -> Path:
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).parent
    found = sorted(DEBIAN.glob("*/bin/initdb"))
    if not found:
        message = "PostgreSQL: no initdb on this machine"
        raise Unavailable(message)
    return found[-1].parent
