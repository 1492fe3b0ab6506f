"""A Redis server of our own for the tests: on a free port, in a folder, gone after."""

import shutil
import socket
import subprocess
import time
from contextlib import contextmanager

import pytest

from tests.acceptance.postgres import missing

ATTEMPTS = 5  # somebody else may take the free port before the server does
OPTIONS = ("--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--databases", "16")


@contextmanager
def redis_server(folder):
    """Run a server that keeps its files in ``folder``; gives its URL, ``redis://host:port``.

    Put ``/0`` ... ``/15`` behind it for one of its databases.
    """
    if not shutil.which("redis-server"):
        missing("Redis is not installed (redis-server)")
    for _ in range(ATTEMPTS):
        port = free_port()
        command = ("redis-server", *OPTIONS, "--port", str(port), "--dir", str(folder))
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            if answers(port, process):
                yield f"redis://127.0.0.1:{port}"
                return
        finally:
            process.terminate()
            process.wait(20)
    pytest.fail("redis-server does not start")


def free_port():
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return opened.getsockname()[1]


def answers(port, process):
    """Wait until the server answers; False when it has ended."""
    until = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < until:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as asked:
                asked.sendall(b"PING\r\n")
                if asked.recv(7) == b"+PONG\r\n" and process.poll() is None:
                    return True
        except OSError:
            time.sleep(0.02)
    return False


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory):
    """The server of this run."""
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url
