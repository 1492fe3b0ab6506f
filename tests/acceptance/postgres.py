"""A PostgreSQL server of our own for the tests: in a temporary folder, on a socket, gone after."""

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
from django.core.management import call_command

from tests.databases import using_database

#: PostgreSQL refuses to run as root; its packages come with this account.
ACCOUNT = "postgres"
#: Speed: a server that is thrown away need not survive a power cut.
OPTIONS = "-c listen_addresses= -c fsync=off -c synchronous_commit=off -c full_page_writes=off"


def missing(reason):
    """Skip the test; in continuous integration nothing is skipped silently."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def program(name):
    """Return the path of a program of PostgreSQL: Debian keeps those of servers off PATH."""
    beside = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(beside[-1]) if beside else shutil.which(name)


class Server:
    """A running server; databases are copies of one that has been migrated."""

    engine = "django.db.backends.postgresql"

    def __init__(self, folder):
        self.folder = folder
        self.numbers = count(1)
        self.migrated = False

    def settings(self, name):
        """Return the settings of a database for Django."""
        host = str(self.folder)
        return {"ENGINE": self.engine, "NAME": name, "HOST": host, "USER": ACCOUNT, "OPTIONS": {}}

    def sql(self, statement):
        """Run a statement as an administrator."""
        options = ("-X", "-q", "-A", "-t", "-h", str(self.folder), "-U", ACCOUNT, "-d", "postgres")
        command = [program("psql"), *options, "-c", statement]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def new_database(self):
        """Make a database with all tables and return its settings."""
        if not self.migrated:
            self.sql("CREATE DATABASE template")
            with using_database(**self.settings("template")):
                call_command("migrate", verbosity=0)
            self.migrated = True
        name = f"test_{next(self.numbers)}"
        self.sql(f"CREATE DATABASE {name} TEMPLATE template")
        return self.settings(name)


def run(*command):
    account = {"user": ACCOUNT, "group": ACCOUNT, "extra_groups": []} if not os.getuid() else {}
    options = {"cwd": "/", "capture_output": True, "text": True, "timeout": 120} | account
    done = subprocess.run(command, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def running_server():
    initdb, control = program("initdb"), program("pg_ctl")
    if not (initdb and control and program("psql")):
        missing("PostgreSQL is not installed (initdb, pg_ctl, psql)")
    # Not in pytest's folder: the other account may not enter it, and sockets have short paths.
    folder = Path(tempfile.mkdtemp(prefix="sitefleet-pg-"))
    data = folder / "data"
    try:
        if not os.getuid():
            shutil.chown(folder, ACCOUNT, ACCOUNT)
        run(initdb, "-D", str(data), "-U", ACCOUNT, "-A", "trust", "-E", "UTF8", "--no-sync")
        options = f"{OPTIONS} -c unix_socket_directories={folder}"
        start = (control, "-D", str(data), "-l", str(folder / "log"), "-w", "-o", options, "start")
        # Not piped: the server would keep the pipe open.
        account = {"user": ACCOUNT, "group": ACCOUNT, "extra_groups": []} if not os.getuid() else {}
        subprocess.run(
            start, check=True, cwd="/", stdout=subprocess.DEVNULL, timeout=120, **account
        )
        try:
            yield Server(folder)
        finally:
            run(control, "-D", str(data), "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server():
    """The server of this run."""
    with running_server() as server:
        yield server


@pytest.fixture
def postgres(postgres_server, django_db_setup, django_db_blocker):
    """A database of this test alone on a PostgreSQL server, as the default database."""
    with django_db_blocker.unblock():
        settings = postgres_server.new_database()
        with using_database(**settings):
            yield postgres_server
