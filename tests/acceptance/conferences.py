"""The example `conferences`, run by its real commands with an environment of its own."""

import functools
import http.client
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from tests.acceptance.demo import free_port
from tests.acceptance.processes import ROOT

EXAMPLE = ROOT / "examples/conferences"
TESTS = EXAMPLE / "conferences/tests"
SLUGS = ("conf2024", "conf2025", "conf2026")


@functools.cache
def python():
    """Return the interpreter that has Wafer, installed once as `make conferences` does it."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    command = ["make", "--silent", ".venv-conferences/.ready", f"PYTHON={sys.executable}"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return str(ROOT / ".venv-conferences/bin/python")


def environment(data, **variables):
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("SITEFLEET_", "DJANGO_", "PYTHON"))
    }
    return kept | {"CONFERENCES_DATA": str(data), "PYTHONUNBUFFERED": "1"} | variables


def manage(data, *arguments, folder=EXAMPLE, program=("manage.py",), **variables):
    """Run a command of the example on the data of a folder."""
    return subprocess.run(
        [python(), *program, *arguments],
        cwd=folder,
        env=environment(data, **variables),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def names_of_tests():
    """Return the names of the tests of the example, found without running anything."""
    texts = [path.read_text("utf-8") for path in sorted(TESTS.glob("test_*.py"))]
    return [name for text in texts for name in re.findall(r"def (test_\w+)\(", text)]


def outcomes(text):
    """Return what became of each test, from what Django's test runner said of it."""
    return dict(re.findall(r"^(test_\w+) \(.*?\) \.\.\. (?:.*\n)??.*?(\w+)$", text, re.MULTILINE))


class Server:
    """The development server of the example: one process, a thread for each request."""

    def __init__(self, port):
        self.port = port

    def url(self, slug, path="/"):
        return f"http://{slug}.localhost:{self.port}{path}"

    def ask(self, slug, path="/"):
        """Return the status and the text of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path, headers={"Host": f"{slug}.localhost:{self.port}"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()


@contextmanager
def serving(data):
    """Serve what `manage.py demo --prepare-only` has put into a folder."""
    port, log = free_port(), data / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [python(), "manage.py", "runserver", "--noreload", f"127.0.0.1:{port}"],
            cwd=EXAMPLE,
            env=environment(data, SITEFLEET_DOMAIN_FORMAT=f"{{slug}}.localhost:{port}"),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = Server(port)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                server.ask(SLUGS[0])
                break
            except OSError:
                if time.monotonic() > deadline or process.poll() is not None:
                    pytest.fail(f"The conferences are not served:\n{log.read_text()}")
                time.sleep(0.1)
        yield server
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)
