"""``python -m sitefleet.hosting.proxy --fd N --routes M``: the process of the asyncio router.

The supervisor starts it, with its listening socket and its end of the line for routes.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import os
import secrets
import signal
import socket
import sys
from functools import partial
from typing import Any

from sitefleet.hosting.processes.open_files import raise_limit
from sitefleet.hosting.proxy.channel import Channel
from sitefleet.hosting.proxy.server import Server
from sitefleet.hosting.proxy.state import limits_for

TELL_EVERY = 1.0


class Router:
    """A server, and its line to the supervisor."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._word = secrets.token_hex(8)
        self._started = False
        self.ended = asyncio.Event()
        self.channel = Channel(self._receive, self.ended.set)

    def greet(self) -> None:
        """Ask for the table."""
        self.channel.send({"hello": self._word, "pid": os.getpid()})

    def tell(self) -> None:
        """Tell how many requests there were since the last time."""
        new, last = self._server.take_count()
        if new:
            self.channel.send({"requests": new, "last": last})

    async def tell_on(self) -> None:
        """Tell each second."""
        while True:
            await asyncio.sleep(TELL_EVERY)
            self.tell()

    def _receive(self, table: dict[str, Any]) -> None:
        if table.get("for") != self._word:
            return
        try:
            self._server.routes.replace(table)
        except (KeyError, ValueError) as error:
            print(f"a table of routes cannot be used: {error!r}", flush=True)  # noqa: T201 - the log
            return
        if not self._started:
            self._started = True
            self._server.start()
        self.channel.send({"applied": table["number"]})


async def serve(listening: socket.socket, line: socket.socket) -> None:
    """Route until SIGTERM, or until the supervisor is gone."""
    loop = asyncio.get_running_loop()
    router = Router(server := Server(listening, limits_for(raise_limit())))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, router.ended.set)
    await loop.create_unix_connection(lambda: router.channel, sock=line)
    router.greet()
    telling = asyncio.create_task(router.tell_on())
    await router.ended.wait()
    await server.stop()
    telling.cancel()
    router.tell()
    await asyncio.sleep(0)
    router.channel.close()


def main(arguments: list[str] | None = None) -> int:
    """Run the process."""
    parser = argparse.ArgumentParser(prog="sitefleet.hosting.proxy", description=__doc__)
    parser.add_argument("--fd", type=int, required=True, help="the listening socket")
    parser.add_argument("--routes", type=int, required=True, help="the line to the supervisor")
    options = parser.parse_args(arguments)
    listening = socket.socket(fileno=options.fd)
    line = socket.socket(fileno=options.routes)
    line.settimeout(0)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(serve(listening, line))
    return 0


def loop_factory() -> partial[asyncio.AbstractEventLoop] | None:
    """Return what makes uvloop's loop, where it is installed."""
    try:
        uvloop = importlib.import_module("uvloop")
    except ImportError:
        return None
    return partial(uvloop.new_event_loop)


if __name__ == "__main__":
    sys.exit(main())
