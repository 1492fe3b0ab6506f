"""The fastrouter, which leads hosts to vassals for nginx; its cache is written from here."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from sitefleet.exceptions import SiteError
from sitefleet.hosting.uwsgi import ini, talk
from sitefleet.hosting.uwsgi.addresses import backlog
from sitefleet.hosting.uwsgi.files import write
from sitefleet.hosting.uwsgi.quiet import Quiet

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from sitefleet.hosting.context import Context
    from sitefleet.hosting.processes.process import Process
    from sitefleet.hosting.uwsgi.program import Program

#: Seconds in which it has to take its first host.
PATIENCE = 10.0
PAUSE = 0.05


class Fastrouter:
    """One fastrouter; what it knows is in a file too, so that it is there after a crash."""

    def __init__(self, context: Context, root: Path) -> None:
        self.context, self.root = context, root
        self.cache = context.run_dir.socket("cache")
        self.socket = context.run_dir.socket("fastrouter")
        self.process: Process | None = None
        self.led: dict[str, str] = {}
        """Hosts that it knows, and where it leads them."""
        self._before: Collection[str] = ()
        """Those that were wanted last."""
        self._is_full = False
        self._store = root / "hosts.cache"

    async def start(self, program: Program) -> None:
        """Start it, if it does not run. Raises SiteError where it cannot be."""
        if self.process is not None:
            return
        if missing := [name for name in ("fastrouter", "cache") if not program.has(name)]:
            message = f"{program.path} has no plugin {missing[0]}, which nginx leads to."
            raise SiteError(message)
        self._store.unlink(missing_ok=True)
        path = self.root / "fastrouter.ini"
        write(path, self.text(program))
        argv = [program.path, "--ini", str(path)]
        self.process = self.context.process("fastrouter", argv)
        self.process.logs = Quiet(self.context.logs)
        await self.process.start()
        try:
            async with asyncio.timeout(PATIENCE):
                while not await self._answers():  # noqa: ASYNC110 - it starts
                    await asyncio.sleep(PAUSE)
        except TimeoutError:
            message = "The fastrouter does not start: sitefleet logs fastrouter."
            raise SiteError(message) from None

    async def _answers(self) -> bool:
        with suppress(OSError):
            return await talk.remember(self.cache, "-", "-")
        return False

    def text(self, program: Program) -> str:
        """Return its configuration."""
        return ini.fastrouter(
            program.plugins("fastrouter", "cache"),
            str(self.socket),
            str(self.cache),
            str(self._store),
            backlog(),
        )

    async def lead(self, wanted: Mapping[str, str]) -> None:
        """Lead hosts to these addresses; others are forgotten at the change after this one.

        Raises OSError where it does not answer. nginx, which asks for a host, hears of a change
        later, and then asks for it no more.
        """
        if self.process is None:
            return
        for host, address in wanted.items():
            if self.led.get(host) == address:
                continue
            if await talk.remember(self.cache, host, address):
                self.led[host] = address
            elif not self._is_full:
                self._is_full = True
                self.context.say(f"The fastrouter takes no more hosts: {host} is answered 502.")
        for host in self.led.keys() - wanted.keys() - set(self._before):
            await talk.forget(self.cache, host)
            del self.led[host]
        self._before = tuple(wanted)

    async def stop(self) -> None:
        """Stop it."""
        if self.process is not None:
            await self.process.stop()
            self.process = None
            self.led, self._before = {}, ()
        for path in (self.socket, self.cache):
            path.unlink(missing_ok=True)
