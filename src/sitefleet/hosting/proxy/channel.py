"""The line between the supervisor and its router: JSON, one value per line, both ways.

The router says ``hello`` with a word of its own; tables that are not for this word were written
for one that is gone, and are passed over. It answers each table by its number, so that the
supervisor knows when hosts are led as it says, and tells each second what was asked for.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable

#: Bytes in which a table of all sites must have room.
LONGEST = 256 * 1024 * 1024


class Channel(asyncio.Protocol):
    """One end of the line."""

    def __init__(self, receive: Callable[[dict[str, Any]], None], end: Callable[[], None]) -> None:
        self._receive = receive
        self._end = end
        self._parts: list[bytes] = []
        self._length = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        *lines, rest = data.split(b"\n")
        for line in lines:
            whole = b"".join((*self._parts, line))
            self._parts, self._length = [], 0
            self._take(whole)
        self._parts.append(rest)
        self._length += len(rest)
        if self._length > LONGEST:
            self._parts, self._length = [], 0

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()

    def send(self, value: dict[str, Any]) -> None:
        """Send a value; it begins on a line of its own, whatever a killed process has left."""
        if self._transport is not None and not self._transport.is_closing():
            text = json.dumps(value, separators=(",", ":"))
            self._transport.write(b"\n%b\n" % text.encode())

    def close(self) -> None:
        """Close this end."""
        if self._transport is not None:
            self._transport.close()

    def _take(self, line: bytes) -> None:
        if not line:
            return
        try:
            value = json.loads(line)
        except ValueError:  # the end of a line whose beginning a killed process has taken along
            return
        if isinstance(value, dict):
            self._receive(value)
