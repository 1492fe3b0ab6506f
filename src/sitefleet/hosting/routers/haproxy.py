"""HAProxy as the router: a server per instance, a map from hosts to servers, changed as it runs.

Its files hold the same as the running program, so that it comes back as it was after a crash.
Dedicated servers have the weight 0: nothing but the map leads to them. The shared server alone has
a weight, so what cannot be connected to is tried there, once.
"""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

from sitefleet.exceptions import SiteError
from sitefleet.hosting.processes.run_dir import write_file
from sitefleet.hosting.routers.programs import (
    GRACE,
    Program,
    most_files,
    most_of_a_host,
    safe_routes,
    template,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sitefleet.hosting.planning.plan import Plan
    from sitefleet.hosting.processes.process import Process

FILE, MAP, API = "etc/haproxy.cfg", "etc/haproxy.map", "haproxy.sock"
BACKEND = "sites"
MOST_CONNECTIONS = 16_384
#: Lines of the map in one command: it is to fit into a buffer of HAProxy, of 32 KB.
CHUNK = 12_000
#: Times that a change is tried, a fifth of a second apart: the program may be starting again.
ATTEMPTS = 25
#: Seconds for each answer: whoever waits for it holds up all other changes.
ANSWERS_IN = 2.0
#: Servers in one command, for the same reason.
MANY = 50
#: What it answers to commands that have worked, besides nothing.
FINE = ("New server registered.", "Server deleted.", "New version created:")
#: A server that still answers cannot be deleted: it stays, out of use, until a later change.
IN_USE = "Server still has connections"


class HaproxyRouter(Program):
    """Runs HAProxy, and changes it by its runtime interface."""

    name = "haproxy"
    package = "apt install haproxy"

    async def prepare(self, plan: Plan) -> None:
        """Write configuration and map. Raises SiteError with what ``haproxy -c`` says."""
        self._write(plan)
        assert self.listener is not None  # noqa: S101 - for the type
        descriptors = (self.listener.fileno(),)
        await self.check("-c", "-f", FILE, descriptors=descriptors)

    def make_process(self, descriptor: int) -> Process:
        """Return HAProxy, in the foreground and in one process."""
        argv = (self.program, "-q", "-db", "-f", FILE)
        return self.in_run_dir(argv, descriptors=(descriptor,))

    async def apply(self, plan: Plan) -> None:
        """Lead hosts as the plan has it. Raises SiteError with what HAProxy objects to."""
        self._write(plan)
        for attempt in range(ATTEMPTS):
            try:
                await self._change(plan)
            except OSError as error:
                if attempt == ATTEMPTS - 1:
                    message = f"haproxy cannot be told of changes: {error}"
                    raise SiteError(message) from error
                await asyncio.sleep(0.2)
            else:
                return

    async def end(self, process: Process) -> None:
        """End it: SIGUSR1 lets it answer what it has begun."""
        await process.stop(GRACE + 2, signal.SIGUSR1)

    def render(self, plan: Plan) -> dict[str, str]:
        """Return configuration and map, by names of their files."""
        bind = f"fd@{self.listener.fileno()}" if self.listener else self.bind(plan)
        return {
            "haproxy.cfg": render_haproxy(plan, bind),
            "haproxy.map": "".join(_map_lines(safe_routes(plan.routes()))),
        }

    def _write(self, plan: Plan) -> None:
        for name, text in self.render(plan).items():
            write_file(self.context.run_dir.files / name, text)

    async def _change(self, plan: Plan) -> None:
        """Servers first, then all of the map in one step, then what nothing leads to."""
        wanted = _keys(plan)
        present = await self._servers()
        new = [key for key in wanted if key not in present]
        resting = [key for key in wanted if present.get(key)]
        await self._call(f"add server {BACKEND}/{key} {_address(key)}" for key in new)
        await self._call(f"enable server {BACKEND}/{key}" for key in (*new, *resting))
        await self._swap_map(plan)
        gone = [key for key in present if key not in wanted]
        await self._call(f"set server {BACKEND}/{key} state maint" for key in gone)
        await self._call((f"del server {BACKEND}/{key}" for key in gone), fine=(*FINE, IN_USE))

    async def _servers(self) -> dict[str, bool]:
        """Return the servers that it has, and whether each rests (is in maintenance)."""
        lines = (await self._ask(f"show servers state {BACKEND}")).splitlines()
        rows = [line.split() for line in lines if f" {BACKEND} " in line]
        return {row[3]: row[6] != "0" for row in rows if row[3] != "shared"}

    async def _swap_map(self, plan: Plan) -> None:
        said = await self._ask(f"prepare map {MAP}")
        version = said.rpartition(":")[2].strip()
        if not version.isdigit():
            raise SiteError(_objection(said))
        for lines in _chunks(_map_lines(self.routes(plan))):
            # What follows << is data, up to an empty line.
            await self._call([f"add map @{version} {MAP} <<\n{lines}"])
        await self._call([f"commit map @{version} {MAP}"])

    async def _call(self, commands: Iterable[str], fine: tuple[str, ...] = FINE) -> None:
        """Give commands that have nothing to tell. Raises SiteError when they do."""
        given = list(commands)
        for first in range(0, len(given), MANY):
            said = await self._ask("; ".join(given[first : first + MANY]))
            for line in filter(None, map(str.strip, said.splitlines())):
                if not line.startswith(fine):
                    raise SiteError(_objection(line))

    async def _ask(self, command: str) -> str:
        """Return what it answers to a command. Raises OSError while it does not, or hangs."""
        async with asyncio.timeout(ANSWERS_IN):
            reader, writer = await asyncio.open_unix_connection(str(self.root / API))
            try:
                writer.write(f"{command}\n".encode())
                await writer.drain()
                return (await reader.read()).decode(errors="replace")
            finally:
                writer.close()


def _objection(said: str) -> str:
    return f"haproxy objects to a change: {said.strip()}"


def _keys(plan: Plan) -> list[str]:
    """Return the keys of the instances that have a server of their own."""
    return list(
        dict.fromkeys(key for key in safe_routes(plan.routes()).values() if key != "shared")
    )


def _address(key: str) -> str:
    return f"unix@s/{key}.sock weight 0"


_ERROR = (
    '    http-error status %d content-type text/plain string "This site cannot be reached'
    ' for the moment. Please try again.\\n" hdr Retry-After 5 hdr Cache-Control no-store'
)


def _map_lines(routes: dict[str, str]) -> Iterator[str]:
    return (f"{name} {key}\n" for name, key in routes.items())


def _chunks(lines: Iterable[str]) -> Iterator[str]:
    chunk = ""
    for line in lines:
        if len(chunk) + len(line) > CHUNK:
            yield chunk
            chunk = ""
        chunk += line
    if chunk:
        yield chunk


def render_haproxy(plan: Plan, bind: str) -> str:
    """Return the configuration of HAProxy; paths in it are relative to the run directory."""
    serving = plan.fleet.serving
    connections = max(16, min(most_files() // 2 - 64, MOST_CONNECTIONS))
    trusted = " ".join(("src", *serving.trusted_proxies)) if serving.trusted_proxies else ""
    return template("haproxy.cfg") % {
        "bind": bind,
        "api": API,
        "map": MAP,
        "grace": GRACE,
        "most": most_of_a_host(connections * 2),
        "connections": connections,
        "trusted": trusted or "always_false",
        "errors": "\n".join(_ERROR % status for status in (502, 503, 504)),
        "servers": "\n".join(f"    server {key} {_address(key)}" for key in _keys(plan)),
        "raw": serving.raw.get("haproxy", ""),
    }
