"""gunicorn's workers in a process that gunicorn has not started: each version that is supported."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path
from select import select

import pytest
from websockets.sync.client import unix_connect

from sitefleet.hosting.servers.workers import SUPPORTED
from tests.acceptance.processes import ROOT

pytestmark = pytest.mark.acceptance
SCRIPT = Path(__file__).with_name("worker_process.py")
KINDS = {"sync": {"threads": 1}, "gthread": {"threads": 2}, "asgi": {"interface": "asgi"}}
VERSIONS = [
    (kind, version)
    for kind, options in KINDS.items()
    for version in SUPPORTED[options.get("interface", "wsgi")]
]
everywhere = pytest.mark.parametrize(("kind", "wanted"), VERSIONS)


@pytest.fixture(scope="module")
def gunicorns(tmp_path_factory):
    """Give a function: a folder with a version, None for that which is installed anyway."""
    folder = tmp_path_factory.mktemp("gunicorns")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]

    @cache
    def find(wanted):
        if version("gunicorn").split(".")[0] == str(wanted):
            return None
        target = folder / str(wanted)
        package = f"gunicorn=={wanted}.*"
        subprocess.run([*pip, "--target", target, "--no-deps", package], check=True)
        return target

    return find


class Worker:
    def __init__(self, folder, gunicorn, options):
        self.path = f"{folder}/s"
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        self.listener.listen(64)
        self.listener.setblocking(False)
        self.options, self.gunicorn = options, gunicorn
        self.start()

    def start(self):
        paths = [str(self.gunicorn)] * bool(self.gunicorn) + [str(ROOT / "src")]
        # What would be read by a gunicorn that is started as a program.
        stray = {"GUNICORN_CMD_ARGS": "--no-such-option", "FORWARDED_ALLOW_IPS": "10.0.0.1"}
        number = self.listener.fileno()
        self.process = subprocess.Popen(
            [sys.executable, SCRIPT, str(number), json.dumps(self.options)],
            env=os.environ | stray | {"PYTHONPATH": os.pathsep.join(paths)},
            pass_fds=(number,),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def get(self, path="/", **headers):
        connection = http.client.HTTPConnection("site.example.org", timeout=20)
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.settimeout(20)
        connection.sock.connect(self.path)
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        assert answer.status == 200, body
        return json.loads(body)

    def wait_for_requests(self, count):
        """Wait until it says that it has begun to answer that many slow requests."""
        for line in self.process.stdout:
            count -= line == "slow\n"
            if not count:
                return
        raise AssertionError(self.end())

    def end(self):
        """Wait for its end; return its status, the last line that it said, and its errors."""
        out, errors = self.process.communicate(timeout=20)
        return self.process.returncode, out.splitlines()[-1:], errors


@contextmanager
def worker(gunicorn, **options):
    folder = tempfile.mkdtemp(prefix="sf", dir="/tmp")
    made = Worker(folder, gunicorn, options)
    try:
        yield made
    finally:
        made.process.kill()
        made.process.communicate()
        made.listener.close()
        shutil.rmtree(folder)


@everywhere
def test_a_worker_answers_and_ends_when_told_as_it_should(gunicorns, kind, wanted):
    with worker(gunicorns(wanted), **KINDS[kind]) as server:
        assert server.process.stdout.readline() == "ready\n"
        # A client cannot claim to be at another path or to have come by TLS ...
        claims = {"SCRIPT_NAME": "/x", "X-Forwarded-Ssl": "on", "X-Forwarded-Protocol": "ssl"}
        assert server.get(**claims) == [server.process.pid, "http", "", ""]
        # ... that is for the router to say.
        assert server.get(**{"X-Forwarded-Proto": "https"})[1] == "https"
        server.process.send_signal(signal.SIGTERM)
        # Nothing of gunicorn was left to import: processes forked from one parent share it all.
        assert server.end() == (0, [""], "")


@everywhere
def test_no_request_is_lost_when_a_worker_ends_and_another_begins(gunicorns, kind, wanted):
    with worker(gunicorns(wanted), **KINDS[kind]) as server, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(server.get, "/sleep/0.5")
        server.wait_for_requests(1)
        server.process.send_signal(signal.SIGTERM)
        assert answer.result(10)[0] == server.process.pid
        assert server.end()[0] == 0
        # What comes now waits for the next one.
        answer = pool.submit(server.get)
        server.start()
        assert answer.result(10)[0] == server.process.pid


@pytest.mark.parametrize("wanted", SUPPORTED["asgi"])
def test_websockets_pass_and_their_end_is_told(gunicorns, wanted):
    with worker(gunicorns(wanted), **KINDS["asgi"]) as server:
        with unix_connect(server.path, "ws://site.example.org/", close_timeout=5) as client:
            client.send("hello")
            assert client.recv(5) == "HELLO"
        assert server.process.stdout.readline() == "ready\n"
        assert server.process.stdout.readline() == "closed\n"


@pytest.mark.parametrize("wanted", SUPPORTED["wsgi"])
def test_connections_that_no_thread_is_free_for_wait_outside(gunicorns, wanted):
    with worker(gunicorns(wanted), threads=2) as server, ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(server.get, "/sleep/0.5") for _ in range(4)]
        server.wait_for_requests(2)
        accepted, _, _ = select([server.listener], [], [], 0)
        assert accepted, "what waits can be taken by another process"
        assert [answer.result(10)[0] for answer in answers] == [server.process.pid] * 4


@pytest.mark.parametrize("wanted", sorted(set(SUPPORTED["wsgi"]) - set(SUPPORTED["asgi"])))
def test_a_version_that_asgi_is_not_served_by_is_told(gunicorns, wanted):
    with worker(gunicorns(wanted), **KINDS["asgi"]) as server:
        status, _, errors = server.end()
    assert status == 1
    assert f"SiteError: gunicorn {wanted}." in errors
    assert "ASGI is served by version 27: pip install" in errors
