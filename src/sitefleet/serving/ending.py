"""WebSockets of a process that is told to end: closed soon, for clients to come again.

Else they would keep it for all its patience, and be cut off then without a word.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sitefleet.hosting.servers import ending
from sitefleet.hosting.servers.closing import Closable, SocketClosed

if TYPE_CHECKING:
    from collections.abc import Callable

    Application = Callable[..., Any]

#: In the registry that RFC 6455 (11.7) has begun: clients may come again, after a random delay.
SERVICE_RESTART = 1012
REASON = "Service Restart"


def close_at_end(application: Application) -> Application:
    """Return an ASGI application whose WebSockets are closed when their process is to end."""
    sockets = OpenSockets()

    async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await sockets.serve(application, scope, receive, send)
        else:
            await application(scope, receive, send)

    return answer


class OpenSockets:
    """Those of this process, which have all been accepted."""

    def __init__(self) -> None:
        self._open: set[Closable] = set()
        self._listens = self._told = False

    async def serve(
        self, application: Application, scope: dict[str, Any], receive: Any, send: Any
    ) -> None:
        """Serve one."""
        self._listen()
        socket = Closable(receive, send)

        async def watched(message: dict[str, Any]) -> None:
            await socket.send(message)
            if message["type"] == "websocket.accept":
                self._open.add(socket)
                if self._told:
                    self.close_all()

        try:
            with suppress(SocketClosed):
                await application(scope, socket.receive, watched)
        finally:
            self._open.discard(socket)

    def close_all(self) -> None:
        """Close those that are open, and each that is opened from now on."""
        self._told = True
        for socket in self._open:
            socket.close_soon(SERVICE_RESTART, REASON)

    def _listen(self) -> None:
        """Hear of it when the process is told to end; by now its server has set its signals."""
        if self._listens or threading.current_thread() is not threading.main_thread():
            return
        self._listens = True
        loop = asyncio.get_running_loop()

        def tell() -> None:
            with suppress(RuntimeError):  # the loop has ended
                # Who comes again at once is to find the next process, and not this one.
                loop.call_soon_threadsafe(loop.call_later, ending.still_accepts, self.close_all)

        ending.when_told_to_end(tell)
