"""Pipes that other processes write lines to."""

from __future__ import annotations

import asyncio
import os


async def open_pipe(limit: int) -> tuple[asyncio.StreamReader, asyncio.BaseTransport, int]:
    """Return what reads lines of at most ``limit`` bytes, its transport, and the end to write to.

    The transport is to be closed, and so is that end where it is not needed any more: once it has
    been inherited, or never, where another process is to go on with it.
    """
    read_end, write_end = os.pipe()
    lines = asyncio.StreamReader(limit=limit)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), os.fdopen(read_end, "rb", buffering=0)
    )
    return lines, transport, write_end
