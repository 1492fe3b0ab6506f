"""Load by wrk, as Debian has it."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass

from benchmarks.environments import Unavailable

_FACTORS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}
_RATE = re.compile(r"^Requests/sec:\s+([\d.]+)", re.MULTILINE)
_MEDIAN = re.compile(r"^\s+50%\s+([\d.]+)(us|ms|s|m)", re.MULTILINE)
_FAILED = re.compile(r"connect (\d+), read (\d+), write (\d+), timeout (\d+)")
_WRONG = re.compile(r"Non-2xx or 3xx responses: (\d+)")


@dataclass(frozen=True)
class Load:
    """What came of one round."""

    rate: float
    """Answers in a second."""
    median: float
    """Seconds until an answer."""
    failed: int


def find() -> str:
    """Return the program. Raises Unavailable."""
    found = shutil.which("wrk")
    if found is None:
        message = "wrk is not installed"
        raise Unavailable(message)
    return found


def load(port: int, host: str, seconds: int, *, path: str = "/", connections: int = 16) -> Load:
    """Ask as fast as the server answers, over connections that are kept."""
    options = ["-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-H", f"Host: {host}"]
    done = subprocess.run(
        [find(), *options, f"http://127.0.0.1:{port}{path}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return read(done.stdout)


def read(text: str) -> Load:
    """Return what wrk has written."""
    rate, middle = _RATE.search(text), _MEDIAN.search(text)
    assert rate is not None, text
    assert middle is not None, text
    sockets, wrong = _FAILED.search(text), _WRONG.search(text)
    failed = sum(map(int, sockets.groups())) if sockets else 0
    failed += int(wrong[1]) if wrong else 0
    return Load(float(rate[1]), float(middle[1]) * _FACTORS[middle[2]], failed)
