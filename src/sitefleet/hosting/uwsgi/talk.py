"""What is asked of running uWSGI processes: their statistics, and entries of their caches."""

from __future__ import annotations

import asyncio
import json
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sitefleet.hosting.uwsgi.ini import CACHE

if TYPE_CHECKING:
    from pathlib import Path

#: Seconds: what hangs must not hang us. An Emperor whose database is away answers between two looks
#: for it, so this is more than those may take (`query.CONNECT_TIMEOUT`, `query.QUERY_TIMEOUT`).
PATIENCE = 6.0
#: The plugin for caches, and its command with a name for each value (``plugins/cache/cache.c``).
CACHES, MAGIC = 111, 17
HEADER = struct.Struct("<BHB")


async def read_stats(path: Path) -> dict[str, Any]:
    """Return what a process tells on its statistics socket; nothing when it does not answer.

    The Emperor looks for changes as soon as somebody asks it.
    """
    with suppress(OSError, ValueError):
        data = await _exchange(path, b"")
        # What the Emperor was told to read stands in it as it is, and need not be valid JSON.
        found = json.loads(b"\n".join(line for line in data.split(b"\n") if b"pg://" not in line))
        return found if isinstance(found, dict) else {}
    return {}


async def remember(path: Path, host: str, address: str) -> bool:
    """Let the fastrouter lead a host to an address; return whether it has room for that.

    Raises OSError where it does not answer.
    """
    return b"ok" in await _exchange(path, cache_request("update", host, address.encode()))


async def forget(path: Path, host: str) -> None:
    """Let the fastrouter know a host no more. Raises OSError where it does not answer."""
    await _exchange(path, cache_request("del", host))


def cache_request(command: str, key: str, value: bytes = b"") -> bytes:
    """Return a request to the plugin for caches, in the uwsgi protocol."""
    words = {"cmd": command, "key": key, "cache": CACHE}
    if value:
        words["size"] = str(len(value))
    body = b"".join(map(_word, (word for pair in words.items() for word in pair)))
    return HEADER.pack(CACHES, len(body), MAGIC) + body + value


def _word(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<H", len(data)) + data


async def _exchange(path: Path, request: bytes) -> bytes:
    """Return what is answered to a request. Raises OSError where nothing is."""
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_unix_connection(str(path))
        try:
            writer.write(request)
            await writer.drain()
            return await reader.read()
        finally:
            writer.close()
