"""uWSGI's Emperor for real: Debian's and PyPI's, reading PostgreSQL and reading a directory."""

import json
import os
import re
import signal
import subprocess
import time
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg
import pytest

from sitefleet.hosting.servers.counts import Tally
from sitefleet.hosting.uwsgi import ini, query, talk
from tests.acceptance.fleets import make_project
from tests.acceptance.postgres import ACCOUNT, program, run, running_server
from tests.acceptance.vassals import built, debian, running, wait_for

pytestmark = pytest.mark.acceptance

PASSWORD = "s3cret%(x)s;'\\:word"
BUILDS = {"debian": debian, "pypi": built}
MODES = """
UPDATE sitefleet_siteconfig SET mode = 'dedicated' WHERE slug IN ('one', 'two', 'bad');
"""
BROKEN_WSGI = """
if os.environ.get("SITE_ID") == "BAD":
    raise RuntimeError("this site cannot be started")
"""


class Database:
    """A database that only who knows the password may enter."""

    def __init__(self, server):
        self.server, self.data = server, server.folder / "data"
        words = PASSWORD.replace("'", "''")
        server.sql(f"CREATE ROLE app LOGIN PASSWORD '{words}'")
        server.sql("CREATE DATABASE fleet OWNER app")
        access = self.data / "pg_hba.conf"
        access.write_text(f"local fleet app scram-sha-256\n{access.read_text()}")
        server.sql("SELECT pg_reload_conf()")

    @property
    def settings(self):
        engine, host = "django.db.backends.postgresql", str(self.server.folder)
        return {"ENGINE": engine, "NAME": "fleet", "HOST": host, "USER": "app"} | {
            "PASSWORD": PASSWORD
        }

    def sql(self, statement, *values):
        with closing(self.connect()) as connection:
            found = connection.execute(statement, values or None)
            return found.fetchall() if found.description else None

    def connect(self):
        words = {"host": str(self.server.folder), "dbname": "fleet", "user": "app"}
        return psycopg.connect(**words, password=PASSWORD, autocommit=True)

    def stop(self):
        run(program("pg_ctl"), "-D", str(self.data), "-m", "immediate", "-w", "stop")

    def start(self):
        options = f"-c listen_addresses= -c fsync=off -c unix_socket_directories={self.data.parent}"
        account = {"user": ACCOUNT, "group": ACCOUNT, "extra_groups": []} if not os.getuid() else {}
        command = (program("pg_ctl"), "-D", self.data, "-l", self.data.parent / "log")
        subprocess.run(
            [*command, "-w", "-o", options, "start"],
            check=True,
            cwd="/",
            stdout=subprocess.DEVNULL,
            **account,
        )


@pytest.fixture(scope="module")
def database():
    with running_server() as server:
        yield Database(server)


@pytest.fixture(scope="module")
def project(database):
    serving = {
        "driver": "uwsgi",
        "environment": ["FLAVOUR", "TASTE"],
        "options": {"idle": 30, "timeout": 5},
    }
    databases = {"default": database.settings}
    slugs = ("one", "two", "three", "bad")
    with make_project(slugs, DATABASES=databases, SERVING=serving) as made:
        database.sql(MODES)
        bad = site(database, "bad")
        wsgi = made.folder / "project" / "wsgi.py"
        wsgi.write_text(wsgi.read_text() + BROKEN_WSGI.replace("BAD", bad))
        yield made


#: What may depend on the build is tried with both.
both = pytest.mark.parametrize("emperor", sorted(BUILDS), indirect=True)
one_build = pytest.mark.parametrize("emperor", ["pypi"], indirect=True)


@pytest.fixture(scope="module")
def emperors(project):
    """Emperors by build, each started when it is asked for."""
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        patch.setattr(query, "LEAVING", 1)
        yield lambda build: stack.enter_context(running(project, BUILDS[build](), run_dir=build[0]))


@pytest.fixture(scope="module")
def started():
    return {}


@pytest.fixture
def emperor(request, emperors, started, database):
    database.sql("UPDATE sitefleet_siteconfig SET serving = '{}' WHERE serving <> '{}'")
    database.sql("UPDATE sitefleet_siteconfig SET mode = '' WHERE slug = 'three' AND mode <> ''")
    database.sql(MODES)
    build = request.param
    if build not in started:
        started[build] = emperors(build)
    made = started[build]
    if made.driver.emperor is None:
        made.apply()
    rows = database.sql("SELECT name, epoch FROM sitefleet_vassals WHERE mode = 'dedicated'")
    bad = f"site-{site(database, 'bad')}.ini"
    wanted = {f"{name.removesuffix('.ini')}.{epoch}.ini" for name, epoch in rows if name != bad}
    assert wait_for(lambda: wanted <= known(made)), (wanted, made.output)
    return made


def known(emperor):
    """Return the vassals that the Emperor keeps, and does not stop."""
    vassals = emperor.run(emperor.driver._vassals()).values()
    return {vassal["id"] for vassal in vassals if not vassal["cursed"]}


@pytest.fixture
def one(database):
    return Site(database, "one")


@pytest.fixture
def two(database):
    return Site(database, "two")


def site(database, slug):
    ((pk,),) = database.sql("SELECT site_id FROM sitefleet_siteconfig WHERE slug = %s", slug)
    return str(pk)


class Site:
    """A site of the project, as the database and the Emperor have it."""

    def __init__(self, database, slug):
        self.database, self.slug, self.id = database, slug, site(database, slug)
        self.key = f"site-{self.id}"

    def set(self, column, value):
        statement = f"UPDATE sitefleet_siteconfig SET {column} = %s WHERE slug = %s"  # noqa: S608 - a column
        self.database.sql(statement, value, self.slug)

    def options(self, **options):
        self.set("serving", json.dumps(options))

    def get(self, emperor, path="/", **more):
        return emperor.get(self.key, path, host=f"{self.slug}.example", **more)

    def answer(self, emperor, path="/"):
        found = wait_for(lambda: self.get(emperor, path), 10)
        assert found, emperor.output
        status, text = found
        assert status == 200, text
        return json.loads(text)

    def stats(self, emperor):
        return emperor.run(talk.read_stats(emperor.context.run_dir.sockets / f"{self.key}.st"))

    def workers(self, emperor):
        self.get(emperor)
        return len(self.stats(emperor).get("workers", ()))

    def vassal(self, emperor):
        return emperor.run(emperor.driver._vassals()).get(self.key)

    def master(self, emperor):
        self.answer(emperor)
        return self.vassal(emperor)["pid"]

    def counted(self, emperor):
        return Tally(emperor.context.run_dir.counts).by_site.get(int(self.id), (0, 0))

    def state(self, emperor):
        row = emperor.status().get(self.key)
        return row and row.state


@both
def test_a_site_has_no_process_before_its_first_request_and_none_when_it_is_idle(emperor, one, two):
    for site in (one, two):
        site.options(idle=2)
        assert wait_for(lambda site=site: site.state(emperor) == "idle")
    before, _ = one.counted(emperor)
    assert one.answer(emperor)["SITE_ID"] == one.id
    assert one.counted(emperor) == (before + 1, pytest.approx(time.time(), abs=60))
    assert wait_for(lambda: one.state(emperor) == "running")
    row = emperor.status()[one.key]
    assert row.memory > 1_000_000
    assert two.state(emperor) == "idle"
    assert wait_for(lambda: one.state(emperor) == "idle", 10)
    assert one.answer(emperor)["SITE_ID"] == one.id


@both
def test_options_changed_by_the_orm_and_by_raw_sql_are_used_without_a_restart(
    emperor, project, one
):
    one.options(workers=1)
    assert wait_for(lambda: one.workers(emperor) == 1)
    code = (
        "from sitefleet.models import SiteConfig; config = SiteConfig.objects.get(slug='one');"
        "config.serving = {'workers': 5}; config.save()"
    )
    project.manage("shell", "-c", code)
    assert wait_for(lambda: one.workers(emperor) == 5)
    one.options(workers=2, threads=3)
    assert wait_for(lambda: one.workers(emperor) == 2)
    # Processes with threads do not end well: see NUMBERS in uwsgi/ini.py.
    assert [len(worker["cores"]) for worker in one.stats(emperor)["workers"]] == [1, 1]


@one_build
def test_two_edits_within_a_second_are_two(emperor, one):
    one.get(emperor)
    for _ in range(20):  # until they are that close together
        paces = []
        for workers in (3, 1, 4):
            before = time.monotonic()
            one.options(workers=workers)
            one.vassal(emperor)  # it looks
            paces.append(time.monotonic() - before)
        if max(paces) < 0.9:
            break
    assert wait_for(lambda: one.workers(emperor) == 4)


@one_build
def test_an_edit_of_anything_else_restarts_nothing(emperor, one):
    pid = one.master(emperor)
    one.set("theme", "")
    one.set("updated_at", "2020-01-01")
    one.database.sql("UPDATE sitefleet_siteconfig SET cache_generation = cache_generation + 1")
    for _ in range(3):
        one.vassal(emperor)  # it looks
    assert one.master(emperor) == pid


@one_build
def test_a_row_that_is_added_or_gone_counts_without_a_word_of_the_supervisor(emperor, database):
    three = Site(database, "three")
    assert wait_for(lambda: three.vassal(emperor) is None)
    three.set("mode", "dedicated")
    assert three.answer(emperor)["SITE_ID"] == three.id
    three.set("state", "suspended")
    assert wait_for(lambda: (three.get(emperor) or [0])[0] == 404, 10)  # until the router knows
    assert wait_for(lambda: three.vassal(emperor) is None, ini.LONGEST_STOP + 20), emperor.output
    three.set("state", "active")
    assert three.answer(emperor)["site"] == "three"
    three.set("mode", "")
    assert three.answer(emperor)["site"] == "three"  # until the router knows
    assert wait_for(lambda: three.vassal(emperor) is None, ini.LONGEST_STOP + 20), emperor.output
    emperor.apply()
    assert not emperor.context.run_dir.socket(three.key).exists()


@one_build
def test_no_row_stops_all_but_no_table_and_no_database_stop_none(emperor, database, one):
    pid = one.master(emperor)
    for harm, healing in (
        (
            "ALTER VIEW sitefleet_vassals RENAME TO gone",
            "ALTER VIEW gone RENAME TO sitefleet_vassals",
        ),
        (
            "CREATE TABLE kept AS TABLE sitefleet_siteconfig; DELETE FROM sitefleet_siteconfig",
            "INSERT INTO sitefleet_siteconfig SELECT * FROM kept; DROP TABLE kept",
        ),
    ):
        database.sql(harm)
        for _ in range(3):
            assert one.vassal(emperor)["pid"] > 0
        database.sql(healing)
        assert one.master(emperor) == pid
    database.stop()
    try:
        for _ in range(3):
            one.vassal(emperor)  # it looks
        assert one.vassal(emperor)["cursed"] == 0
        assert one.get(emperor, "/hello/")[0] in {404, 500}  # its process is there
    finally:
        database.start()
    assert one.master(emperor) == pid
    database.sql("UPDATE sitefleet_siteconfig SET mode = ''")
    # One of an earlier test too: told to end while it started, its worker may not have heard of it.
    longest = ini.LONGEST_STOP + 20
    assert wait_for(lambda: not emperor.run(emperor.driver._vassals()), longest), emperor.output
    database.sql(MODES)
    assert one.answer(emperor)["SITE_ID"] == one.id


@one_build
def test_a_table_that_is_locked_holds_up_neither_the_emperor_nor_who_asks_it(
    emperor, database, one, two
):
    """As a migration may lock it, for minutes."""
    before = two.vassal(emperor)["id"]
    two.options(idle=20)
    assert wait_for(lambda: two.vassal(emperor)["id"] != before)  # another one, which is idle
    pid = one.master(emperor)
    with closing(database.connect()) as migrating:
        migrating.execute("BEGIN; LOCK TABLE sitefleet_siteconfig")
        for _ in range(3):
            assert one.vassal(emperor)["pid"] == pid  # it looks, and says so all the same
        assert (one.state(emperor), two.state(emperor)) == ("running", "idle")
    assert one.master(emperor) == pid


BROKEN = (
    '"text"',
    "[1]",
    '{"workers": 1e300, "threads": -1, "timeout": 1.5, "idle": 99999999999}',
    '{"workers": "5\\nexec-asap = touch /tmp/pwned"}',
    '{"environment": "x"}',
    '{"environment": {"FLAVOUR": 1, "PATH": "/nowhere", "DJANGO_SETTINGS_MODULE": "x"}}',
)


@one_build
def test_a_broken_row_harms_no_other_site_and_its_own_runs_with_the_defaults(emperor, one, two):
    for broken in BROKEN:
        two.set("serving", broken)
        assert two.answer(emperor)["SITE_ID"] == two.id
        assert one.vassal(emperor) is not None
    assert wait_for(lambda: two.workers(emperor) == 1)
    one.database.sql("ALTER TABLE sitefleet_siteconfig DISABLE TRIGGER USER")
    two.set("updated_at", "infinity")
    one.options(workers=3)
    one.database.sql("ALTER TABLE sitefleet_siteconfig ENABLE TRIGGER USER")
    one.options(workers=2)
    assert wait_for(lambda: one.workers(emperor) == 2)
    two.options()
    assert two.answer(emperor)["SITE_ID"] == two.id


@one_build
def test_a_site_may_set_listed_variables_to_plain_values_and_no_others(emperor, one):
    one.options(environment={"FLAVOUR": "mild, 10:30", "LD_PRELOAD": "x"})
    assert wait_for(lambda: one.answer(emperor)["flavour"] == "mild, 10:30")
    bad = "hot\nexec-asap = touch /tmp/pwned"
    one.options(environment={"FLAVOUR": bad})
    assert wait_for(lambda: one.answer(emperor)["flavour"] == "")
    emperor.apply()
    one.options(environment={"FLAVOUR": "%d$(HOME)"})
    emperor.apply()
    assert "FLAVOUR" in emperor.status()[one.key].note
    one.options()
    assert not Path("/tmp/pwned").exists()  # noqa: S108 - what the row above would make


@one_build
def test_the_password_of_the_database_is_in_no_list_of_processes_no_environment_and_no_log(
    emperor, one
):
    one.get(emperor)
    told = [emperor.output]
    for pid in emperor.leftovers():
        told += [Path(f"/proc/{pid}/{name}").read_text() for name in ("cmdline", "environ")]
    assert len(told) > 4
    assert not [text for text in told if "s3cret" in text]
    for path in emperor.driver.root.glob("*"):
        assert "s3cret" not in path.read_text() or path.stat().st_mode & 0o077 == 0


@one_build
def test_a_site_that_raises_at_start_is_told_and_nobody_waits_for_it(emperor, database, one):
    bad = Site(database, "bad")
    before = time.monotonic()
    answers = [bad.get(emperor) for _ in range(4)]
    assert answers == [None] * 4
    assert time.monotonic() - before < 8
    assert one.answer(emperor)["SITE_ID"] == one.id
    assert "this site cannot be started" in emperor.output


@one_build
def test_a_worker_that_hangs_is_replaced(emperor, two):
    before = two.vassal(emperor)["id"]
    two.options(timeout=1)
    assert wait_for(lambda: two.vassal(emperor)["id"] != before)
    two.answer(emperor)
    before = time.monotonic()
    assert two.get(emperor, "/hang/", timeout=15) is None
    assert time.monotonic() - before < 10, emperor.output
    assert wait_for(lambda: emperor.status()[two.key].restarts == 1), emperor.output
    assert two.answer(emperor)["SITE_ID"] == two.id
    two.options()


@one_build
def test_an_emperor_that_is_killed_takes_its_vassals_along_and_comes_back(emperor, one):
    pids = [one.answer(emperor)["pid"], one.vassal(emperor)["pid"]]
    os.kill(emperor.driver.emperor.pid, signal.SIGKILL)
    assert wait_for(lambda: not any(map(is_running, pids)), 5)
    assert one.answer(emperor)["pid"] not in pids


@both
def test_reload_runs_the_code_as_it_is_now_and_loses_nothing(emperor, project, one):
    urls = project.folder / "project" / "urls.py"
    version = one.answer(emperor)["version"]
    text = re.sub(r"VERSION = \d+", f"VERSION = {version + 1}", urls.read_text())
    urls.write_text(text)
    emperor.run(emperor.driver.reload(one.key))
    for _ in range(20):
        assert one.get(emperor)[0] == 200
    assert wait_for(lambda: one.answer(emperor)["version"] == version + 1)


@one_build
def test_stop_leaves_nothing(emperor, one):
    one.answer(emperor)
    emperor.run(emperor.driver.stop())
    assert emperor.leftovers() == []
    assert not list(emperor.context.run_dir.sockets.iterdir())


def is_running(pid):
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
