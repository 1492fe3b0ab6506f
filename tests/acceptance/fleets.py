"""Real fleets: a project with sites in a short folder, and `sitefleet up` on it.

    with make_project(["one", "two"], modes={"two": "dedicated"}) as project:
        with project.up("--router", "nginx") as fleet:
            assert fleet.get("two", "/").json["site"] == "two"

The projects' views are in `tests.acceptance.fleet_files`: `/` tells site and pid,
`/slow/?seconds=1&text=begun` (which says the text first), `/stream/?lines=3&pause=0.1`, `/echo/`
(the headers as they came), `/crash/`, `/hang/`, `/grow/?megabytes=50`, `/error/`, and with ASGI a
WebSocket at `/socket/` that answers each text with `<slug>:<text>`.
"""

import atexit
import http.client
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tests.acceptance.fleet_files import ASGI, MANAGE, SETTINGS, URLS, WSGI
from tests.acceptance.fleet_rows import add_by_command, add_sites
from tests.acceptance.fleet_tools import Answer, environment, free_port, wait_for

PATIENCE = 60
SITEFLEET = (sys.executable, "-m", "sitefleet.hosting")


@dataclass
class Project:
    """A project in a folder of its own; the site `one` is reached at `one.localhost`."""

    folder: Path
    extra: dict = field(default_factory=dict)

    def write(self):
        package = self.folder / "project"
        package.mkdir()
        files = {"__init__": "", "settings": SETTINGS, "urls": URLS, "asgi": ASGI, "wsgi": WSGI}
        for name, text in files.items():
            (package / f"{name}.py").write_text(text.lstrip())
        (self.folder / "manage.py").write_text(MANAGE.lstrip())
        (self.folder / "extra.json").write_text(json.dumps(self.extra))

    @property
    def database(self):
        return self.folder / "db.sqlite3"

    @property
    def run_dir(self):
        return self.folder / "r"

    @property
    def where(self):
        """The options that each command of `sitefleet` gets."""
        return "--project", str(self.folder), "--run-dir", str(self.run_dir)

    def manage(self, *arguments, check=True, **variables):
        """Run a management command; return what it printed."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=self.folder,
            env=environment(**variables),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def id_of(self, slug):
        with closing(sqlite3.connect(self.database, timeout=20)) as connection:
            found = "SELECT site_id FROM sitefleet_siteconfig WHERE slug = ?"
            return connection.execute(found, [slug]).fetchone()[0]

    def command(self, *arguments, timeout=120, **variables):
        """Run `sitefleet`; return the completed process."""
        return subprocess.run(
            [*SITEFLEET, arguments[0], *self.where, *arguments[1:]],
            cwd="/",
            env=environment(**variables),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def start(self, *options, port=None, wrapper=(), wait=True, **variables):
        """Start `sitefleet up`; return the running Fleet, which must be stopped."""
        port = port or free_port()
        log = self.folder / f"up-{port}.log"
        bind = ("--bind", f"127.0.0.1:{port}", "--format", f"{{slug}}.localhost:{port}")
        with log.open("ab") as output:
            process = subprocess.Popen(
                [*wrapper, *SITEFLEET, "up", *self.where, *bind, *options],
                cwd="/",
                env=environment(**variables),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        fleet = Fleet(self, port, process, log)
        if wait:
            fleet.wait_until_ready()
        return fleet

    @contextmanager
    def up(self, *options, **more):
        """Run `sitefleet up` as long as the block does; it is ready when the block begins."""
        fleet = self.start(*options, **more)
        try:
            yield fleet
        finally:
            fleet.end()

    def leftovers(self):
        """Return the processes of this project that run, whoever started them."""
        wanted = f"SITEFLEET_PART_OF={self.run_dir}".encode()
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            try:
                if wanted in path.read_bytes().split(b"\0"):
                    found.append(int(path.parent.name))
            except OSError:
                continue
        return found


@dataclass
class Fleet:
    """A running `sitefleet up`."""

    project: Project
    port: int
    process: subprocess.Popen
    log: Path

    @property
    def output(self):
        """What it has printed: for messages of failed tests, too."""
        return self.log.read_text(errors="replace")

    def wait_until_ready(self):
        ready = wait_for(
            lambda: "\nready" in self.output or self.process.poll() is not None, PATIENCE
        )
        if not ready or self.process.poll() is not None:
            self.end()
            raise AssertionError(f"`sitefleet up` is not ready:\n{self.output}")

    def host(self, name):
        """Return the host of a slug; what has a dot is a host already."""
        return name if "." in name else f"{name}.localhost"

    def url(self, name, path="/"):
        return f"http://{self.host(name)}:{self.port}{path}"

    def request(self, name, path="/", method="GET", *, body=None, headers=(), timeout=20):
        """Ask; raises OSError or HTTPException where there is no answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            given = {"Host": f"{self.host(name)}:{self.port}", **dict(headers)}
            connection.request(method, path, body=body, headers=given)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def get(self, name, path="/", **more):
        return self.request(name, path, **more)

    def pid(self, name):
        """Return the process that answers for a site."""
        return self.get(name).json["pid"]

    def command(self, *arguments, **more):
        """Run `sitefleet` on it; return the completed process."""
        return self.project.command(*arguments, **more)

    def status(self):
        done = self.command("status", "--json")
        assert done.returncode == 0, done.stderr + self.output
        return json.loads(done.stdout)

    def row(self, name):
        """Return the row of `status` of a slug or a process; None where there is none."""
        rows = self.status()["processes"]
        return next((row for row in rows if name in (row["slug"], row["instance"])), None)

    def sites(self, *arguments):
        """Run `manage.py sites ...` on its project."""
        return self.project.manage("sites", *arguments)

    def wait_for_site(self, name, path="/", seconds=20, **expected):
        """Wait until a site answers 200 with these values in its JSON; return the answer."""

        def asked():
            try:
                answer = self.get(name, path)
            except (OSError, http.client.HTTPException):
                return None
            if answer.status != 200:
                return None
            return answer if expected.items() <= answer.json.items() else None

        answer = wait_for(asked, seconds)
        assert answer, f"{name}{path} does not answer {expected}:\n{self.output}"
        return answer

    def stop(self, number=signal.SIGTERM, seconds=30):
        """Stop it as a user would; return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(seconds)

    def end(self):
        """Stop it; kill what is left."""
        try:
            self.stop()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pid in self.project.leftovers():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@contextmanager
def asking(fleet, *names, path="/", pause=0.01):
    """Ask sites again and again while the block runs; gives the list of what came of it.

    Each is the status of an answer, or the error in words.
    """
    answers, done = [], threading.Event()

    def ask(name):
        while not done.is_set():
            try:
                answers.append(fleet.get(name, path).status)
            except (OSError, http.client.HTTPException) as error:
                answers.append(repr(error))
            time.sleep(pause)

    threads = [threading.Thread(target=ask, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        done.set()
        for thread in threads:
            thread.join()


@contextmanager
def make_project(slugs=("one", "two"), modes=None, options=None, **extra):
    """Make a project in a short folder, with sites whose slugs are given, and take it away again.

    `modes` and `options` are by slug (`SiteConfig.mode` and `.serving`); `extra` goes to its
    settings: SERVING, SITEFLEET, SETTINGS (any others), DEBUG, DATABASES. A database that is not
    SQLite is migrated here; that of SQLite is copied.
    """
    folder = Path(tempfile.mkdtemp(prefix="sf", dir="/tmp"))  # sockets have 107 bytes
    project = Project(folder, extra)
    try:
        project.write()
        if "DATABASES" in extra:
            project.manage("migrate", "--verbosity", "0")
            add_by_command(project, slugs, modes or {}, options or {})
        else:
            shutil.copy(migrated(), project.database)
            add_sites(project, slugs, modes, options)
        yield project
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@cache
def migrated():
    """Return a migrated SQLite file with one site, `zero`: made once for each run of the tests."""
    folder = Path(tempfile.mkdtemp(prefix="sf", dir="/tmp"))
    project = Project(folder)
    project.write()
    project.manage("migrate", "--verbosity", "0")
    project.manage("sites", "add", "zero", "--domain", "zero.example")
    with closing(sqlite3.connect(project.database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return project.database
