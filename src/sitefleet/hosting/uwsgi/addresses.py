"""Where vassals listen."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from pathlib import Path

from sitefleet.hosting.processes.sockets import BACKLOG

#: Seconds for a vassal to accept what waits.
LONGEST_LINE = 5.0


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


async def wait_in_line(address: str) -> None:
    """Wait until a vassal has accepted all connections that waited, but not for long.

    A connection that says nothing is closed as soon as it is accepted, after those before it.
    """
    path = address.removeprefix("unix:")
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(LONGEST_LINE):
            if path == address:
                host, _, port = address.rpartition(":")
                reader, writer = await asyncio.open_connection(host, int(port))
            else:
                reader, writer = await asyncio.open_unix_connection(path)
            try:
                writer.write_eof()
                await reader.read()
            finally:
                writer.close()


def connect(address: str) -> None:
    """Connect, and leave again. Raises OSError."""
    path = address.removeprefix("unix:")
    family = socket.AF_INET if path == address else socket.AF_UNIX
    host, _, port = address.rpartition(":")
    with socket.socket(family) as made:
        made.settimeout(1)
        made.connect((host, int(port)) if family == socket.AF_INET else path)
