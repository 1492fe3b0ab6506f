"""Where vassals listen."""

from __future__ import annotations

import socket
from pathlib import Path

from sitefleet.hosting.sockets import BACKLOG


def backlog() -> int:
    """Return how many connections may wait: uWSGI does not start with more than the kernel has."""
    try:
        most = int(Path("/proc/sys/net/core/somaxconn").read_text(encoding="ascii"))
    except (OSError, ValueError):
        most = 100
    return min(BACKLOG, most)


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def connect(address: str) -> None:
    """Connect, and leave again. Raises OSError."""
    path = address.removeprefix("unix:")
    family = socket.AF_INET if path == address else socket.AF_UNIX
    host, _, port = address.rpartition(":")
    with socket.socket(family) as made:
        made.settimeout(1)
        made.connect((host, int(port)) if family == socket.AF_INET else path)
