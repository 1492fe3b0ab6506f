"""The listening sockets of all instances, held by the supervisor.

Servers come and go, these stay: what connects meanwhile waits in the backlog, so that neither a
restart nor a crash of a server loses a request.
"""

from __future__ import annotations

import errno
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from sitefleet.exceptions import SiteError
from sitefleet.hosting.planning.settings import parse_bind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sitefleet.hosting.processes.run_dir import RunDir

BACKLOG = 2048


class Sockets:
    """One listening socket per instance: a unix socket, or for Traefik a port on loopback."""

    def __init__(self, run_dir: RunDir, *, tcp: bool = False) -> None:
        self.run_dir = run_dir
        self.tcp = tcp
        self.elsewhere: Callable[[str], str] = lambda _key: ""
        """Returns the address of an instance whose server binds its socket itself, as uWSGI's
        Emperor does; empty for those that are held here."""
        self._held: dict[str, socket.socket] = {}

    def get(self, key: str) -> socket.socket:
        """Return the listening socket of an instance, made when there is none. Raises OSError."""
        held = self._held.get(key)
        if held is None:
            self._held[key] = held = self._listen(key)
        return held

    def address(self, key: str) -> str:
        """Return where an instance listens: ``unix:/path`` or ``127.0.0.1:port``."""
        if address := self.elsewhere(key):
            return address
        name = self.get(key).getsockname()
        return f"{name[0]}:{name[1]}" if self.tcp else f"unix:{name}"

    def keep_only(self, keys: Iterable[str]) -> None:
        """Close the sockets of instances that are gone."""
        for key in set(self._held) - set(keys):
            self._held.pop(key).close()
            self.run_dir.socket(key).unlink(missing_ok=True)

    def close(self) -> None:
        """Close all of them."""
        self.keep_only(())

    def _listen(self, key: str) -> socket.socket:
        if self.tcp:
            made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        else:
            made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            if self.tcp:
                made.bind(("127.0.0.1", 0))
            else:
                path = self.run_dir.socket(key)
                with suppress(FileNotFoundError):
                    path.unlink()
                made.bind(str(path))
            made.listen(BACKLOG)
            made.setblocking(False)  # noqa: FBT003 - its name says what is false
        except OSError:
            made.close()
            raise
        return made


def listen(bind: str) -> socket.socket:
    """Return a socket that listens on ``host:port``. Raises SiteError, which says what to do."""
    host, port = parse_bind(bind) or ("", -1)
    if port < 0:
        message = f'{bind!r} is no host and port, such as "127.0.0.1:8000".'
        raise SiteError(message)
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        made = socket.socket(family, kind, protocol)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            made.bind(address)
            made.listen(BACKLOG)
            made.setblocking(False)  # noqa: FBT003 - its name says what is false
        except OSError:
            made.close()
            raise
    except (OSError, UnicodeError) as error:  # UnicodeError: what cannot be the name of a host
        raise SiteError(_why_not(bind, error)) from error
    return made


def _why_not(bind: str, error: OSError | UnicodeError) -> str:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return (
            f"Something listens on {bind} already. Stop it (`ss -ltnp` shows which process it"
            " is), or name another address by --bind."
        )
    reason = error.strerror if isinstance(error, OSError) else "that is no name of a host"
    return f"Cannot listen on {bind}: {reason}. Name another address by --bind."
