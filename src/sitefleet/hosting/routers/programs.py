"""What nginx, HAProxy and Traefik have in common as routers: programs that run beside the fleet.

The supervisor holds the socket that they listen on and hands it down: a port in use is told at
once, and while a program that was killed starts again, clients wait in the backlog.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from sitefleet.exceptions import SiteError
from sitefleet.hosting.context import Status
from sitefleet.hosting.planning.settings import local_host, parse_bind
from sitefleet.hosting.processes.memory import private_bytes
from sitefleet.hosting.processes.once import run_once
from sitefleet.hosting.processes.open_files import descriptor_limit
from sitefleet.hosting.processes.sockets import listen

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from sitefleet.hosting.context import Context
    from sitefleet.hosting.planning.plan import Plan
    from sitefleet.hosting.processes.process import Process

#: Debian keeps servers out of the PATH of users.
MORE_PATHS = ("/usr/local/sbin", "/usr/sbin", "/sbin")
#: Seconds in which a program has to answer after its start.
PATIENCE = 15.0
#: Seconds for requests under way when it is stopped.
GRACE = 8
#: Connections under way for one host: one more is refused, so that none takes them all. Less
#: than the backlog of a site's socket, which then never is full.
MOST_OF_A_HOST = 2000
MOST_FILES = 65_536
#: Headers in which only proxies are to speak: a client's own are taken away. A list, for programs
#: that cannot take away all that begins with ``X-Forwarded-``. See also ``secure_scheme_headers``
#: of gunicorn, which believes some of them, and the documentation of oauth2-proxy and Traefik.
FORWARDED = (
    "Forwarded",
    "X-Forwarded-For",
    *(
        f"X-Forwarded-{name}"
        for name in (
            *("Access-Token", "By", "Client-Cert", "Client-IP", "Email", "Groups", "Host"),
            *("Method", "Path", "Port", "Preferred-Username", "Prefix", "Proto", "Protocol"),
            *("Roles", "Scheme", "Server", "Ssl", "Tls-Client-Cert", "Tls-Client-Cert-Info"),
            *("Uri", "Url", "User"),
        )
    ),
)
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_KEY = re.compile(r"[a-z]+(?:-[a-z0-9]+)*")
LONGEST_NAME = 253
TEMPLATES = Path(__file__).parent / "templates"


class Program:
    """A router that is a program; subclasses say which, and write its configuration."""

    name = ""
    """Of the program, of its process and of its log."""
    package = ""
    """What to install where there is none, as a command."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.root = context.run_dir.root
        self.program = ""
        self.listener: socket.socket | None = None
        self.process: Process | None = None

    async def start(self, plan: Plan) -> None:
        """Start it, and return when it answers. Raises SiteError with what the program says."""
        self.program = find_program(self.name, self.package)
        self.listener = listen(plan.fleet.serving.bind)
        try:
            await self.prepare(plan)
            self.process = self.make_process(self.listener.fileno())
            await self.process.start()
            await self._wait()
        except BaseException:
            await self.stop()
            raise

    async def prepare(self, plan: Plan) -> None:
        """Write what the program needs. Raises SiteError for a configuration that it refuses."""
        raise NotImplementedError

    def make_process(self, descriptor: int) -> Process:
        """Return its process, which listens on a descriptor."""
        raise NotImplementedError

    async def is_ready(self) -> bool:
        """Whether it answers; any answer will do, and its own is the quickest."""
        return await ask(self.address, "!") != ""

    async def status(self) -> list[Status]:
        """Return what runs."""
        process = self.process
        if process is None:
            return []
        state = "running" if process.is_running else "starting"
        memory = private_bytes(process.pid)
        return [Status(self.name, state, process.pid, memory, restarts=process.restarts)]

    async def stop(self) -> None:
        """Stop; requests under way are answered, within some seconds."""
        if self.process is not None:
            await self.end(self.process)
            self.process = None
        if self.listener is not None:
            self.listener.close()
            self.listener = None

    async def end(self, process: Process) -> None:
        """End its process, with time for what it is doing."""
        await process.stop(GRACE + 2)

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens, by its socket."""
        assert self.listener is not None  # noqa: S101 - for the type
        host, port = self.listener.getsockname()[:2]
        return host, port

    def bind(self, plan: Plan) -> str:
        """Return where it listens as configurations have it."""
        bound = self.address if self.listener else parse_bind(plan.fleet.serving.bind)
        host, port = bound or ("127.0.0.1", 0)
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def check(self, *arguments: str, descriptors: tuple[int, ...] = ()) -> None:
        """Let the program look at its configuration. Raises SiteError with what it says."""
        command = (self.program, *arguments)
        status, said = await run_once(command, cwd=self.root, descriptors=descriptors)
        if status:
            message = (
                f"{self.name} refuses its configuration (lines of SERVING['raw'] are part of it):"
                f"\n{said.strip()}"
            )
            raise SiteError(message)

    def in_run_dir(
        self,
        argv: Sequence[str],
        *,
        environment: dict[str, str] | None = None,
        descriptors: tuple[int, ...] = (),
    ) -> Process:
        """Return a process in the run directory: relative paths have room in a socket's name."""
        process = self.context.process(
            self.name, argv, environment=environment, descriptors=descriptors
        )
        process.cwd = str(self.root)
        return process

    def routes(self, plan: Plan) -> dict[str, str]:
        """Return the routes that may be written anywhere; tell those that may not."""
        routes = plan.routes()
        safe = safe_routes(routes)
        refused = [name for name in routes if name not in safe]
        if refused:
            self.context.say(f"No host names, the shared server gets them: {refused[:5]!a}")
        return safe

    async def _wait(self) -> None:
        assert self.process is not None  # noqa: S101 - for the type
        deadline = monotonic() + PATIENCE
        while not await self.is_ready():
            if self.process.restarts > 1 or monotonic() > deadline:
                message = f"{self.name} does not answer. It says:\n{self._last_lines()}"
                raise SiteError(message)
            await asyncio.sleep(0.05)

    def _last_lines(self) -> str:
        with suppress(OSError):
            text = (self.context.run_dir.logs / f"{self.name}.log").read_text(errors="replace")
            return "\n".join(text.splitlines()[-10:])
        return ""


def safe_routes(routes: dict[str, str]) -> dict[str, str]:
    """Return the routes whose names can break no file, path or command: names of hosts alone.

    Names come normalised, and anything else is left out; the shared server answers for it. So do
    addresses of IPv6.
    """
    return {
        name: key
        for name, key in routes.items()
        if len(name) <= LONGEST_NAME and _NAME.fullmatch(name) and _KEY.fullmatch(key)
    }


def find_program(name: str, package: str) -> str:
    """Return the path of a program. Raises SiteError, which says how to install it."""
    # A program that came with a wheel is beside the interpreter, on the PATH or not.
    beside = os.path.dirname(sys.executable)  # noqa: PTH120 - may be empty
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), beside, *MORE_PATHS))
    found = shutil.which(name, path=path)
    if found is None:
        message = f"There is no program {name}: {package}, or choose another router by --router."
        raise SiteError(message)
    return found


async def ask(address: tuple[str, int], host: str) -> str:
    """Return the first line that is answered to a request for ``/``; empty without an answer."""
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection(local_host(address[0]), address[1])
            try:
                request = f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
                writer.write(request.encode())
                return (await reader.readline()).decode("latin-1")
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return ""


def most_of_a_host(connections: int) -> int:
    """Return how many connections one host may have, of those that a program takes at most.

    A connection of a client needs one to a server, too: the others keep half of all.
    """
    return max(1, min(MOST_OF_A_HOST, connections // 4))


def most_files() -> int:
    """Return how many files a program may open, as far as its user may ask."""
    return min(MOST_FILES, descriptor_limit())


def template(name: str) -> str:
    """Return the text of a configuration, in which ``%(name)s`` are to be filled in."""
    return (TEMPLATES / name).read_text(encoding="utf-8")
