"""The driver `zygote` on a real project: driven as the supervisor does, asked at its sockets."""

import asyncio
import contextlib
import http.client
import os
import signal
import socket
import sqlite3
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

from sitefleet.hosting.context import Context
from sitefleet.hosting.drivers.zygote import ZygoteDriver
from sitefleet.hosting.planning.fleet import Fleet, Serving, Site
from sitefleet.hosting.planning.options import make_options
from sitefleet.hosting.planning.plan import make_plan
from sitefleet.hosting.processes.logs import Logs
from sitefleet.hosting.processes.project import Project
from sitefleet.hosting.processes.run_dir import RunDir
from sitefleet.hosting.processes.sockets import Sockets
from tests.acceptance.fleets import Answer, make_project, wait_for

PATIENCE = 60


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Zygote:
    """A running driver, in a thread of its own; sites are named by their slugs."""

    def __init__(self, project, python=sys.executable, ids=None, **serving):
        self.project, self.serving = project, Serving(**serving)
        self.ids = ids or ids_in(project)
        self.options = {}
        self.lines = []
        run_dir = RunDir(project.run_dir)
        run_dir.make()
        logs = Logs(run_dir, lambda name, line: self.lines.append(f"{name}: {line}"))
        values = Project(project.folder, "project.settings", str(python))
        self.context = Context(values, run_dir, Sockets(run_dir), logs)
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.driver = ZygoteDriver(self.context)

    def call(self, coroutine, seconds=PATIENCE):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(seconds)

    def key(self, slug):
        return f"site-{self.ids[slug]}"

    def apply(self, **options):
        """Serve these sites: options by slug, of those that are to be served."""
        self.options = options
        sites = tuple(
            Site(self.ids[slug], slug, slug, "active", "dedicated", f"http://{slug}.example",
                 (f"{slug}.example",), options=make_options(given))
            for slug, given in options.items()
        )  # fmt: skip
        self.plan = make_plan(Fleet(1, sites, 0, self.serving))
        for instance in self.plan.dedicated:
            self.context.sockets.get(instance.key)
        self.call(self.driver.apply(self.plan))

    def change(self, slug, **options):
        self.apply(**{**self.options, slug: options})

    def reload(self, slug=""):
        self.call(self.driver.reload(self.key(slug) if slug else ""))

    def status(self, slug):
        rows = self.call(self.driver.status())
        return [row for row in rows if row.instance == self.key(slug)]

    def state(self, slug):
        return [row.state for row in self.status(slug)]

    def request(self, slug, path="/", *, method="GET", body=None, timeout=20, headers=()):
        path_of_socket = str(self.context.run_dir.socket(self.key(slug)))
        connection = UnixConnection(path_of_socket, timeout)
        try:
            given = {"Host": f"{slug}.example", **dict(headers)}
            connection.request(method, path, body=body, headers=given)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def get(self, slug, path="/", **more):
        return self.request(slug, path, **more)

    def pid(self, slug):
        return self.get(slug).json["pid"]

    @property
    def parent(self):
        """The process of the parent of the common code group."""
        return self.driver._parents[""]._process.pid

    def log(self, slug=""):
        name = self.key(slug) if slug else "zygote"
        path = self.context.run_dir.logs / f"{name}.log"
        return path.read_text() if path.exists() else ""

    @property
    def said(self):
        return "\n".join(self.lines)

    def end(self):
        try:
            self.call(self.driver.stop())
        finally:
            for process in list(self.context.processes):
                self.loop.call_soon_threadsafe(process.kill)
            for pid in self.project.leftovers():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.context.sockets.close()
            self.loop.call_soon_threadsafe(self.loop.stop)
            self.thread.join(10)
            self.loop.close()


def ids_in(project):
    with sqlite3.connect(project.database) as connection:
        rows = connection.execute("SELECT slug, site_id FROM sitefleet_siteconfig").fetchall()
    connection.close()
    return dict(rows)


@contextmanager
def running(project, **more):
    zygote = Zygote(project, **more)
    try:
        yield zygote
    finally:
        zygote.end()


def is_alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


__all__ = ["Zygote", "is_alive", "make_project", "running", "wait_for"]
