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


def hold_port() -> socket.socket:
    """Return a socket that keeps a port of the loopback interface from all who take a free one.

    It does not listen, so the Emperor can, as both set SO_REUSEADDR: so it is on Linux.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    return held


async def wait_in_line(address: str) -> None:
    """Wait until a vassal has accepted all connections that waited, but not for long.

    A connection that says nothing is closed as soon as it is accepted, after those before it.
    """
    with suppress(OSError):
        async with asyncio.timeout(LONGEST_LINE):
            reader, writer = await _open(address)
            try:
                writer.write_eof()
                await reader.read()
            finally:
                writer.close()


async def wake(address: str) -> None:
    """Connect, and leave again, if somebody listens: that is what starts a vassal."""
    with suppress(OSError):
        async with asyncio.timeout(LONGEST_LINE):
            _, writer = await _open(address)
            writer.close()


async def _open(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    path = address.removeprefix("unix:")
    if path != address:
        return await asyncio.open_unix_connection(path)
    host, _, port = address.rpartition(":")
    return await asyncio.open_connection(host, int(port))
