"""Asks whether somebody accepts connections."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from time import monotonic

from sitefleet.hosting.planning.settings import local_host, parse_bind

#: Seconds for a router that has been started to listen.
PATIENCE = 30.0


async def wait_until_it_accepts(bind: str, patience: float = PATIENCE) -> bool:
    """Wait until a connection to ``host:port`` is accepted; return whether one is."""
    host, port = parse_bind(bind) or ("", 0)
    local = local_host(host)
    deadline = monotonic() + patience
    while (left := deadline - monotonic()) > 0:
        with suppress(OSError, TimeoutError):
            _, writer = await asyncio.wait_for(asyncio.open_connection(local, port), left)
            writer.close()
            return True
        await asyncio.sleep(0.05)
    return False
