"""The driver uwsgi on a project of `fleets`, without router and supervisor."""

import asyncio
import fcntl
import http.client
import os
import shutil
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest

from sitefleet.hosting.context import Context
from sitefleet.hosting.drivers.uwsgi import UwsgiDriver
from sitefleet.hosting.planning.plan import make_plan
from sitefleet.hosting.processes.leftovers import find_leftovers
from sitefleet.hosting.processes.logs import Logs
from sitefleet.hosting.processes.project import Project
from sitefleet.hosting.processes.run_dir import RunDir
from sitefleet.hosting.processes.sockets import Sockets
from sitefleet.hosting.supervising.reader import read_once
from sitefleet.hosting.uwsgi.program import VARIABLE
from tests.acceptance.fleets import environment, wait_for
from tests.acceptance.postgres import missing

ROOT = Path(__file__).parent.parent.parent
#: Built once, and kept between runs; a folder that .gitignore has.
BUILT = ROOT / "benchmarks" / ".envs" / f"uwsgi-{sys.version_info[0]}.{sys.version_info[1]}"
PROFILE = "[uwsgi]\nmain_plugin = python,emperor_pg\ninherit = base\n"
RELEASE = "uwsgi==2.0.31"


def debian():
    """Return Debian's uWSGI, for the Python that Debian has."""
    path = "/usr/bin/uwsgi"
    if not Path(path).exists():
        missing("uwsgi is not installed (Debian: uwsgi, uwsgi-plugin-python3, ...-emperor-pg)")
    plugin = f"/usr/lib/uwsgi/plugins/python{sys.version_info[0]}{sys.version_info[1]}_plugin.so"
    if not Path(plugin).exists():
        pytest.skip("Debian's uWSGI is for Debian's Python, which this is not")
    return path


def built():
    """Return the uWSGI of PyPI with the plugin emperor_pg, built with pip: about 20 seconds."""
    program = BUILT / "bin" / "uwsgi"
    BUILT.parent.mkdir(exist_ok=True)
    with (BUILT.parent / "uwsgi.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in several processes
        build(program)
    return str(program)


def build(program):
    if not program.exists():
        if not shutil.which("pg_config") or not shutil.which("gcc"):
            missing("uWSGI cannot be built (Debian: gcc, python3-dev, libpq-dev)")
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(BUILT)], check=True)
        profile = BUILT / "profile.ini"
        profile.write_text(PROFILE)
        pip = (BUILT / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-binary", ":all:")
        done = subprocess.run(
            [*pip, RELEASE],
            env=os.environ | {"UWSGI_PROFILE": str(profile)},
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


class Running:
    """A driver that runs, with a loop of its own."""

    def __init__(self, project, program, router="asyncio", run_dir="r"):
        self.project, self.router = project, router
        self.lines = []
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        run_dir = RunDir(project.folder / run_dir)
        run_dir.make()
        self.program = program
        self.hosting = Project(project.folder, "project.settings", environment=environment())
        self.context = Context(
            self.hosting,
            run_dir,
            Sockets(run_dir, tcp=router == "traefik"),
            Logs(run_dir, lambda name, line: self.lines.append(f"{name}: {line}")),
        )
        self.driver = UwsgiDriver(self.context)

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(60)

    def apply(self, **serving):
        """Read the project, and let the driver run what it has; return the plan."""
        fleet = self.run(read_once(self.hosting))
        serving = {"driver": "uwsgi", "router": self.router, **serving}
        plan = make_plan(replace(fleet, serving=replace(fleet.serving, **serving)))
        with patch.dict(os.environ, {VARIABLE: self.program}):
            self.run(self.driver.apply(plan))
        assert self.driver.texts.program.path == self.program
        return plan

    def status(self):
        return {row.instance: row for row in self.run(self.driver.status())}

    def get(self, key, path="/", host="x.example", timeout=20):
        """Ask a site at its own socket; None where nobody answers."""
        address = self.context.sockets.address(key)
        connection = http.client.HTTPConnection("localhost", timeout=timeout)
        if address.startswith("unix:"):
            connection.sock = socket.socket(socket.AF_UNIX)
            target = address.removeprefix("unix:")
        else:
            connection.sock = socket.socket()
            name, port = address.split(":")
            target = (name, int(port))
        connection.sock.settimeout(timeout)
        try:
            connection.sock.connect(target)
            connection.request("GET", path, headers={"Host": host})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def leftovers(self):
        """Return the processes that run, whoever started them."""
        return find_leftovers(self.context.run_dir.root)

    @property
    def output(self):
        return "\n".join(self.lines)

    def end(self):
        try:
            self.run(self.driver.stop())
        finally:
            self.loop.call_soon_threadsafe(self.loop.stop)
            self.thread.join(10)
            self.loop.close()


@contextmanager
def running(project, program, **more):
    made = Running(project, program, **more)
    try:
        yield made
    finally:
        made.end()
        for pid in made.leftovers():
            with suppress(ProcessLookupError):
                os.kill(pid, 9)


__all__ = ["Running", "built", "debian", "running", "wait_for"]
