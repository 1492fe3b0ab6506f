"""The demo, run by its real command."""

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "countries"


class Demo:
    """A running demo."""

    def __init__(self, port, database, log):
        self.port = port
        self.database = database
        self.log = log

    def url(self, host, path="/"):
        return f"http://{host}:{self.port}{path}"

    def ask(self, host, path="/", method="GET"):
        """Return the status, the headers and the text of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, headers={"Host": f"{host}:{self.port}"})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read().decode()
        finally:
            connection.close()

    def path_of_article(self, host):
        return re.search(r'href="(/news/\d+/)"', self.ask(host)[2]).group(1)

    def wait(self, process):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            try:
                return self.ask("localhost")
            except OSError:
                time.sleep(0.1)
        return pytest.fail(f"The demo did not start:\n{self.log.read_text()}")


def free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def environment(database):
    env = {name: value for name, value in os.environ.items() if not name.startswith("SITEFLEET_")}
    env.pop("DJANGO_SETTINGS_MODULE", None)
    return env | {"COUNTRIES_DB": str(database), "PYTHONUNBUFFERED": "1"}


def manage(database, *arguments, folder=EXAMPLE, **variables):
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=folder,
        env=environment(database) | variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@contextmanager
def running_demo(folder, *options):
    """Run `manage.py demo` on a port and with a database of its own."""
    port, database, log = free_port(), folder / "db.sqlite3", folder / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "demo", "--port", str(port), *options],
            cwd=EXAMPLE,
            env=environment(database),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        running = Demo(port, database, log)
        running.wait(process)
        yield running
    finally:
        # The group: the reloader, and the server that it has started.
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)
