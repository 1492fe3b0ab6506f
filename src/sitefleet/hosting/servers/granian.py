"""granian on a listening socket that it inherits: ``python -m sitefleet.hosting.servers.granian``.

granian makes its sockets itself, and its command has no option for one that is there already. Here
it makes one, and before anything is accepted its descriptor is made to mean the inherited socket.
All else is granian's own command, with its options. The one module that knows granian's internals.
"""

from __future__ import annotations

import os
import socket
import sys
import tempfile
import threading
import time
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sitefleet.exceptions import SiteError
from sitefleet.hosting.servers import ending
from sitefleet.hosting.servers.variables import READY

if TYPE_CHECKING:
    from collections.abc import Callable

    from sitefleet.hosting.planning.options import Options

INSTALL = 'pip install --upgrade "django-sitefleet[granian]"'
#: The module to run, for ``python -m``.
COMMAND = ("sitefleet.hosting.servers.granian",)
#: Seconds in which requests are read that were accepted last.
LAST_ACCEPTED = 0.3


def arguments(options: Options, descriptor: int) -> list[str]:
    """Return granian's arguments for the options of a server, its socket first.

    Its ways to limit requests in number and in time are others than ours, and are not used.
    """
    given = [
        str(descriptor),
        f"--interface={options.interface}",
        f"--workers={options.workers}",
        f"--workers-kill-timeout={options.timeout}",
        "--respawn-failed-workers",
        "--no-http1-keep-alive",
        "--log-level=error",
    ]
    if options.interface == "wsgi":
        given.append(f"--blocking-threads={options.threads}")
    if options.memory_limit:
        given.append(f"--workers-max-rss={options.memory_limit}")
    return given


def check_version() -> None:
    """Raise SiteError unless granian is installed, in a version that can be served by here."""
    try:
        kind: Any = getattr(import_module("granian.server"), "Server", None)
    except ImportError as error:
        message = f"granian, which is to answer the requests, is not installed: {INSTALL}."
        raise SiteError(message) from error
    if not all(hasattr(kind, name) for name in ("_init_shared_socket", "_spawn_worker")):
        message = f"This version of granian cannot be handed a socket: {INSTALL}."
        raise SiteError(message)


def why_not_arguments(given: list[str]) -> str:
    """Return why granian would not take arguments, its socket first; empty where it would."""
    cli: Any = import_module("granian.cli")
    click: Any = import_module("click")
    try:
        cli.cli.make_context("granian", [*given[1:], "x:x"], auto_envvar_prefix="GRANIAN")
    except (click.exceptions.Exit, click.exceptions.Abort):
        return "they ask for something else than to serve"
    except click.ClickException as error:
        return str(error.format_message())
    return ""


def main() -> None:
    """Run granian's command on the socket that the first argument names."""
    descriptor = int(sys.argv.pop(1))
    check_version()
    cli: Any = import_module("granian.cli")
    cli.Server = partial(_make_server, cli.Server, descriptor)
    cli.entrypoint()


def _make_server(kind: Any, descriptor: int, *given: Any, **named: Any) -> Any:
    class Handed(kind):  # type: ignore[misc]
        """A server on a socket that is there already."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._hush, self._hushing = os.pipe()

        def _init_shared_socket(self) -> None:
            holder = _holder(descriptor)
            self._ssp, self._shd, self._sfd = None, holder, holder.get_fd()
            self._sso = socket.socket(fileno=os.dup(self._sfd))

        def _spawn_worker(self, idx: int, target: Any, callback_loader: Any) -> Any:
            load = partial(_load, callback_loader, os.fstat(descriptor).st_ino, self._hush)
            return super()._spawn_worker(idx, target, load)

        def shutdown(self, exit_code: int = 0) -> None:
            # A worker that ends drops what it has accepted and not begun to read.
            os.write(self._hushing, b"1" * len(self.wrks))
            time.sleep(LAST_ACCEPTED)
            super().shutdown(exit_code)

    return Handed(*given, **named)


def _holder(descriptor: int) -> Any:
    """Return granian's own holder of a socket, for the inherited one."""
    net = import_module("granian.net")
    family = socket.socket(fileno=os.dup(descriptor)).family
    if family == socket.AF_UNIX:
        with tempfile.TemporaryDirectory() as folder:
            holder = net.UnixSocketSpec(str(Path(folder) / "s"), 128, None).build()
    else:
        holder = net.SocketSpec("127.0.0.1", 0, 128).build()
    os.dup2(descriptor, holder.get_fd())
    return holder


def _load(load: Callable[[], Any], inode: int, hush: int) -> Any:
    application = load()
    ending.still_accepts = 0.0  # see `_accept_until`; and it ends soon
    threading.Thread(target=_accept_until, args=(hush, inode), daemon=True).start()
    with suppress(OSError, KeyError):
        os.write(int(os.environ[READY]), b"%d 0\n" % os.getpid())
    return application


def _accept_until(hush: int, inode: int) -> None:
    """Wait for a word, then put a socket that nobody knows in place of the inherited one."""
    os.read(hush, 1)
    numbers = [int(path.name) for path in Path("/proc/self/fd").iterdir()]
    same = [number for number in numbers if _inode(number) == inode]
    unknown = socket.socket(socket.socket(fileno=os.dup(same[0])).family)
    unknown.bind("" if unknown.family == socket.AF_UNIX else ("127.0.0.1", 0))
    unknown.listen(1)
    unknown.settimeout(0)
    for number in same:
        os.dup2(unknown.fileno(), number)


def _inode(descriptor: int) -> int | None:
    try:
        return os.fstat(descriptor).st_ino
    except OSError:
        return None


if __name__ == "__main__":
    main()
