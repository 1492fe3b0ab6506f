"""The data side on MariaDB: with mysqlclient, or with PyMySQL in its place."""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.acceptance.postgres import missing
from tests.acceptance.processes import ROOT, environment_for, populate_in_processes, run_data_tests

pytestmark = pytest.mark.acceptance

#: PyMySQL in the place of mysqlclient, whose version Django asks for.
AS_MYSQLDB = """
import pymysql
pymysql.version_info = (2, 2, 8, "final", 0)
pymysql.install_as_MySQLdb()
"""
#: They make tables within transactions, or rows of tuples: PostgreSQL and SQLite run them.
ELSEWHERE = ("tests/scoping/test_constraints.py", "tests/scoping/test_raw.py")
SITES = {
    "de": {"id": 10, "domain": "example.de", "aliases": ["de.example.org", "*.de.example.org"]},
    "gh": {"domain": "example.gh", "aliases": ["gh.example.org"]},
    "us": {"domain": "example.org", "path_prefix": "/us"},
}


@contextmanager
def running_server():
    """Start a server in a temporary folder; yield its settings for Django, without a database."""
    install, server, client = map(shutil.which, ("mariadb-install-db", "mariadbd", "mariadb"))
    server = server or shutil.which("mariadbd", path="/usr/sbin")
    zones = shutil.which("mariadb-tzinfo-to-sql")
    if not (install and server and client and zones):
        missing("MariaDB is not installed (mariadb-install-db, mariadbd, mariadb)")
    folder = Path(tempfile.mkdtemp(prefix="sitefleet-my-"))
    account = [f"--user={'root' if not os.getuid() else os.environ['USER']}"]
    data, socket = folder / "data", folder / "socket"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    try:
        options = [
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            f"--datadir={data}",
        ]
        subprocess.run(
            [install, "--no-defaults", *account, *options], check=True, timeout=120, **quiet
        )
        options = ["--skip-networking", f"--socket={socket}", f"--datadir={data}"]
        process = subprocess.Popen([server, "--no-defaults", *account, *options], **quiet)
        try:
            ask = [client, "--no-defaults", "-S", str(socket), "-u", "root", "-e"]
            end = time.monotonic() + 60
            while subprocess.run([*ask, "SELECT 1"], check=False, **quiet).returncode:
                assert process.poll() is None
                assert time.monotonic() < end
                time.sleep(0.1)
            subprocess.run([*ask, "CREATE DATABASE fleet CHARACTER SET utf8mb4"], check=True)
            zone = [zones, "/usr/share/zoneinfo/UTC", "UTC"]  # Django names it in SQL
            tables = subprocess.run(zone, check=True, capture_output=True).stdout
            subprocess.run([*ask[:-1], "mysql"], input=tables, check=True)
            yield {"ENGINE": "django.db.backends.mysql", "HOST": str(socket), "USER": "root"}
        finally:
            process.terminate()
            process.wait(60)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def prelude():
    """Python code that makes the driver ready."""
    if importlib.util.find_spec("MySQLdb"):
        return ""
    if importlib.util.find_spec("pymysql"):
        return AS_MYSQLDB
    return missing("there is no driver for MariaDB (mysqlclient, PyMySQL)")


@pytest.fixture(scope="module")
def mariadb(prelude):
    """The settings of a database on a MariaDB server."""
    with running_server() as settings:
        yield settings | {"NAME": "fleet"}


def test_the_tests_of_the_data_pass_on_mariadb_too(mariadb, prelude):
    run_data_tests(mariadb, prelude, ELSEWHERE)


def test_eight_processes_populate_at_once(mariadb, prelude):
    code = f"{prelude}\nfrom django.core.management import execute_from_command_line as run\n"
    code += "run(['manage.py', 'migrate', '--verbosity', '0'])"
    command = [sys.executable, "-c", code]
    subprocess.run(command, cwd=ROOT, env=environment_for(mariadb), check=True, timeout=120)
    assert sorted(populate_in_processes(mariadb, SITES, 8, prelude)) == sorted(SITES)
