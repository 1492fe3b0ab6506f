"""A connection to an instance, on a plain socket.

Not an asyncio transport, for two reasons: a transport throws an answer away that came before its
last write failed, which is what happens when an instance refuses an upload; and it costs a task
and two turns of the loop per request.
"""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio

    from sitefleet.hosting.proxy.routes import Target

READ = 64 * 1024
#: Times that this is read in one turn of the loop; then others get theirs.
READS = 4
MOST_UNSENT = 64 * 1024
#: Seconds before another try when the backlog of an instance is full.
PAUSE = 0.05


class Owner(Protocol):
    """Who is told what happens."""

    def on_connected(self) -> None:
        """Go on: it is connected."""

    def on_unreachable(self) -> None:
        """Do without: nobody listens there, or nobody has taken the connection in time."""

    def on_data(self, data: bytes) -> None:
        """Take what came."""

    def on_end(self, error: OSError | None) -> None:
        """End: the other side has closed it, or it broke."""

    def on_drained(self) -> None:
        """Write more, if there is any: there is room."""


class Wire:
    """One connection; nothing is read until `resume`."""

    __slots__ = (
        "_is_read",
        "_is_watched",
        "_loop",
        "_out",
        "_owner",
        "_socket",
        "_timer",
        "broken",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, owner: Owner) -> None:
        self._loop = loop
        self._owner = owner
        self._socket: socket.socket | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._out = b""
        self._is_read = self._is_watched = False
        self.broken = False
        """Whether the other side takes nothing any more; what it has said can still be read."""

    def connect(self, target: Target, patience: float) -> None:
        """Connect, within so many seconds; the owner is told, often before this returns."""
        self._timer = None
        try:
            made = self._socket = socket.socket(target.family, socket.SOCK_STREAM)
            made.settimeout(0)
            code = made.connect_ex(target.address)
        except (OSError, ValueError):  # no descriptors; a path that is too long
            code = errno.ENOENT
        if not code:
            self._owner.on_connected()
        elif code == errno.EAGAIN and target.family == socket.AF_UNIX and patience > 0:
            # The backlog is full. (It is not "in progress", as asyncio takes it.)
            self.close()
            self._timer = self._loop.call_later(PAUSE, self.connect, target, patience - PAUSE)
        elif code == errno.EINPROGRESS:
            self._watch()
            self._timer = self._loop.call_later(patience, self._owner.on_unreachable)
        else:
            self._owner.on_unreachable()

    @property
    def has_room(self) -> bool:
        """Whether more should be written now."""
        return len(self._out) < MOST_UNSENT

    def write(self, data: bytes) -> None:
        """Send data, or keep it until it can be sent."""
        if self._socket is None or self.broken:
            return
        if self._out:
            self._out += data
            return
        try:
            count = self._socket.send(data)
        except BlockingIOError:
            count = 0
        except OSError:
            self.broken = True
            return
        if count < len(data):
            self._out = data[count:]
            self._watch()

    def pause(self) -> None:
        """Read no more for now."""
        if self._is_read and self._socket is not None:
            self._loop.remove_reader(self._socket)
            self._is_read = False

    def resume(self) -> None:
        """Read on."""
        if not self._is_read and self._socket is not None:
            self._loop.add_reader(self._socket, self._on_readable)
            self._is_read = True

    def close(self) -> None:
        """Close it at once; the owner is told nothing more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.pause()
        self._unwatch()
        made, self._socket = self._socket, None
        if made is not None:
            made.close()

    def _watch(self) -> None:
        if not self._is_watched and self._socket is not None:
            self._loop.add_writer(self._socket, self._on_writable)
            self._is_watched = True

    def _unwatch(self) -> None:
        if self._is_watched and self._socket is not None:
            self._loop.remove_writer(self._socket)
            self._is_watched = False

    def _on_writable(self) -> None:
        if self._timer is not None:
            self._on_connected()
            return
        data, self._out = self._out, b""
        self.write(data)
        if not self._out:
            self._unwatch()
            self._owner.on_drained()

    def _on_connected(self) -> None:
        assert self._socket is not None  # noqa: S101 - for the type
        assert self._timer is not None  # noqa: S101 - for the type
        self._timer.cancel()
        self._timer = None
        self._unwatch()
        if self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._owner.on_unreachable()
        else:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._owner.on_connected()

    def _on_readable(self) -> None:
        assert self._socket is not None  # noqa: S101 - for the type
        for _ in range(READS):
            try:
                data = self._socket.recv(READ)
            except BlockingIOError:
                return
            except OSError as error:
                self._owner.on_end(error)
                return
            if not data:
                self._owner.on_end(None)
                return
            self._owner.on_data(data)
            if not self._is_read:
                return
        # A connection that was reset is told by uvloop once: another time when it is asked again.
        self.pause()
        self.resume()
