"""The reader: what it writes, when, and how it ends. In processes, on real databases."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress

import pytest
from django.db import connection, connections

from sitefleet.hosting.planning.fleet import read_fleet
from sitefleet.hosting.supervising.reader import TROUBLE
from sitefleet.registry import add_site, change_site, configure_site
from sitefleet.serving.capacity import read_capacity
from tests.acceptance.processes import ROOT, environment_for

pytestmark = pytest.mark.acceptance
READER = [sys.executable, "-m", "sitefleet.serving.reader"]
FRESHNESS = 1.0
#: A machine that runs eight processes on two cores is late by itself.
MARGIN = 2.0


def environment(**more):
    given = environment_for(connection.settings_dict)
    return given | {"DJANGO_SETTINGS_MODULE": "tests.acceptance.reader_settings"} | more


class Reader:
    """A reader that runs; `lines` come by a pipe."""

    def __init__(self, *parents, **more):
        self.read_end, write_end = os.pipe()
        self.process = subprocess.Popen(
            [*parents, *READER, "--fd", str(write_end)],
            cwd=ROOT,
            env=environment(**more),
            pass_fds=(write_end,),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        os.close(write_end)
        self.rest = b""
        self.troubles = []

    def line(self, timeout=20.0):
        """Return the next fleet; None when there is none in that time."""
        end = time.monotonic() + timeout
        while b"\n" not in self.rest:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.read_end], [], [], left)[0]:
                return None
            data = os.read(self.read_end, 65536)
            if not data:
                pytest.fail(f"it has ended: {self.process.stderr.read()}")
            self.rest += data
        line, _, self.rest = self.rest.partition(b"\n")
        if not line.startswith(TROUBLE):
            return read_fleet(line)
        self.troubles.append(json.loads(line))
        return self.line(end - time.monotonic())

    def has_ended(self, timeout=10.0):
        """Tell whether nobody holds the other end of the pipe any more."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if select.select([self.read_end], [], [], 0.1)[0] and not os.read(self.read_end, 65536):
                return True
        return False


@contextmanager
def reading(*parents, **more):
    reader = Reader(*parents, **more)
    try:
        yield reader
    finally:
        with suppress(ProcessLookupError):
            os.killpg(reader.process.pid, signal.SIGKILL)
        reader.process.wait()
        reader.process.stderr.close()
        with suppress(OSError):
            os.close(reader.read_end)


@pytest.fixture
def site(file_database):
    return add_site("one", name="One", domain="one.example.org")


def test_a_change_is_told_one_freshness_after_it_was_seen(site):
    with reading() as reader:
        assert reader.line().total == 1
        configure_site(site, mode="dedicated")
        changed = time.monotonic()
        fleet = reader.line()
        passed = time.monotonic() - changed
        assert [found.names for found in fleet.sites] == [("one.example.org",)]
        assert FRESHNESS <= passed < FRESHNESS + 0.25 + MARGIN
        assert reader.line(0.5) is None, "nothing has changed since"


def test_changes_without_an_end_are_told_as_they_come(site):
    with reading() as reader:
        reader.line()
        names = []
        end = time.monotonic() + 3.0
        while time.monotonic() < end:
            change_site(site, name=f"At {time.monotonic()}")
            if reader.line(0.1) is not None:
                names.append(time.monotonic())
        assert len(names) >= 3


def test_it_ends_when_nobody_reads(site):
    with reading() as reader:
        reader.line()
        os.close(reader.read_end)
        assert reader.process.wait(10) == 0


def test_it_ends_with_its_parent(site):
    code = "import subprocess, sys; subprocess.run(sys.argv[1:], close_fds=False)"
    with reading(sys.executable, "-c", code) as reader:
        reader.line()
        reader.process.kill()
        assert reader.has_ended()


def test_once_is_once(site):
    done = subprocess.run(
        [*READER, "--once"],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert json.loads(done.stdout)["total"] == 1
    assert done.stdout.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "variables", "status", "said"),
    [
        (["--once"], {"TEST_DATABASE_NAME": ":memory:"}, 1, "manage.py migrate"),
        (["--once"], {"TEST_DATABASE_NAME": "/none/none.sqlite3"}, 1, "does not answer"),
        (["--once"], {"TEST_BAD_SERVING": "1"}, 1, "one of zygote, gunicorn, uwsgi"),
        (["--once"], {"DJANGO_SETTINGS_MODULE": "no_such"}, 1, "cannot be loaded"),
        (["--once", "--fd", "99"], {}, 1, "descriptor 99 cannot be written to"),
        (["--twice"], {}, 2, "unrecognized arguments"),
    ],
    ids=["tables", "database", "settings", "project", "descriptor", "usage"],
)
def test_what_keeps_it_from_starting_is_one_line(site, arguments, variables, status, said):
    done = subprocess.run(
        [*READER, *arguments],
        cwd=ROOT,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (status, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert status == 2 or done.stderr.count("\n") == 1


@pytest.mark.parametrize("listen", ["", "1"], ids=["polling", "listening"])
def test_a_database_that_is_gone_is_told_once_and_comes_back(postgres, listen):
    site = add_site("one", name="One", domain="one.example.org")
    name = connection.settings_dict["NAME"]
    with reading(TEST_LISTEN=listen) as reader:
        fleet = reader.line()
        assert fleet.database["max_connections"] > fleet.database["used_connections"] > 0
        configure_site(site, mode="dedicated")
        assert len(reader.line().sites) == 1
        connections["default"].close()
        postgres.sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        everybody = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        postgres.sql(f"{everybody} WHERE datname='{name}'")  # `name` is ours
        assert reader.line(2.0) is None
        postgres.sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        configure_site(site, mode="shared")
        assert reader.line().sites == ()
        reader.process.terminate()
        said = reader.process.stderr.read()
    assert said.count("the fleet goes on as it is") == 1
    assert said.count("answers again") == 1
    began, ended = reader.troubles
    assert began["trouble"].startswith("the database does not answer: ")
    assert (began["away"], ended) == (True, {"trouble": "", "away": False})


@pytest.mark.usefixtures("postgres")
def test_connections_of_other_users_are_counted_too():
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE visitor")
        cursor.execute("SET ROLE visitor")  # to whom this session is that of somebody else
        try:
            assert read_capacity(connection)["used_connections"] > 0
        finally:
            cursor.execute("RESET ROLE")
            cursor.execute("DROP ROLE visitor")
