"""A WebSocket that can be closed from outside of its application."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    Message = MutableMapping[str, Any]

#: Seconds in which an application may still send into a socket that was closed.
GRACE = 5.0
#: Tasks that close sockets: an event loop itself does not keep them.
_tasks: set[asyncio.Task[None]] = set()


class SocketClosed(OSError):
    """What an application gets that sends into a closed socket, as the ASGI specification says."""


class Closable:
    """Stands between a server and an application."""

    def __init__(
        self,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        self.closed: float | None = None
        self._code = 0
        self._receive, self._send = receive, send

    async def receive(self) -> Message:
        message = await self._receive()
        if self.closed is not None and message["type"] == "websocket.receive":
            return {"type": "websocket.disconnect", "code": self._code}
        return message

    async def send(self, message: Message) -> None:
        if self.closed is None:
            await self._send(message)
        elif monotonic() - self.closed > GRACE:
            raise SocketClosed

    def close_soon(self, code: int, reason: str) -> None:
        """Close the socket, and wait for nobody: a client may take its time to say good-bye."""
        task = asyncio.create_task(self.close(code, reason))
        _tasks.add(task)
        task.add_done_callback(_tasks.discard)

    async def close(self, code: int, reason: str) -> None:
        """Close the socket. The server tells the application, as when a client leaves."""
        if self.closed is not None:
            return
        self.closed, self._code = monotonic(), code
        with suppress(Exception):  # of the server: the socket is gone already
            message = {"type": "websocket.close", "code": code, "reason": reason}
            await self._send(message)
