"""A parent, as the supervisor sees it: its process, what was said to it, what it says."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any

from sitefleet.hosting.processes.run_dir import make_prefix
from sitefleet.hosting.servers.variables import ASKING
from sitefleet.hosting.zygote import channel

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sitefleet.hosting.context import Context
    from sitefleet.hosting.zygote.program import Served

MODULE = "sitefleet.serving.zygote"
#: Seconds for which the answer of a parent is awaited.
PATIENCE = 2.0


class Handle:
    """One parent process, started again when it ends, and what it is to serve."""

    def __init__(
        self,
        context: Context,
        group: str,
        environment: Mapping[str, str],
        arguments: Iterable[str] = (),
    ) -> None:
        self.context = context
        self.name = f"zygote-{group}" if group else "zygote"
        self.why = ""
        """Why the project cannot be loaded; empty when it can."""
        self.is_ready = False
        self._wanted: dict[str, Served] = {}
        self._end, self._other = channel.make_pair()
        self._end.settimeout(0.0)
        self._loading = context.run_dir.files / f"{self.name}-{self._other.fileno()}.loading"
        asking = make_prefix(context.run_dir.files, f"{self._loading.stem}.asking")
        given = ["--fd", str(self._other.fileno()), "--loading", str(self._loading)]
        given += ["--group", group, *arguments]
        self._process = context.process(
            self.name,
            context.python(MODULE, *given),
            environment={**environment, ASKING: str(asking)},
            descriptors=(self._other.fileno(),),
        )
        self._settled = asyncio.Event()
        self._outbox: asyncio.Queue[tuple[channel.Message, list[str]]] = asyncio.Queue()
        self._sending: asyncio.Task[None] | None = None
        self._numbers = count(1)
        self._answers: dict[int, tuple[asyncio.Future[list[Any]], list[Any]]] = {}

    @property
    def keys(self) -> set[str]:
        """The sites that it is to serve."""
        return set(self._wanted)

    @property
    def longest_timeout(self) -> int:
        """Seconds that a request may take."""
        return max((served.options.timeout for served in self._wanted.values()), default=0)

    async def start(self) -> bool:
        """Start it; return whether it was, what is wrong is said."""
        try:
            self._loading.unlink(missing_ok=True)
            await self._process.start()
        except OSError as error:
            self.context.say(f"{self.name} cannot be started: {error}.")
            self._end.close()
            self._other.close()
            return False
        self._sending = asyncio.create_task(self._send(), name=f"tell {self.name}")
        asyncio.get_running_loop().add_reader(self._end.fileno(), self._read)
        return True

    async def settled(self, seconds: float) -> bool:
        """Wait until the project is loaded, or could not be; return whether that was in time."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._settled.wait(), seconds)
        return self._settled.is_set()

    def serve(self, wanted: dict[str, Served]) -> None:
        """Serve these sites and no others; those that are as before are not disturbed."""
        before, self._wanted = self._wanted, wanted
        self._process.speaks_for = {*before, *wanted}  # who leaves has something to say yet
        if not self._settled.is_set():
            return  # it does not listen yet, and is told of all of them when it does
        changed = [key for key, served in wanted.items() if before.get(key) != served]
        gone = [key for key in before if key not in wanted]
        for keys in channel.split(gone):
            self._outbox.put_nowait(({"do": "forget", "keys": keys}, []))
        self._hand_over(changed)

    async def has_all(self) -> None:
        """Wait until it has answered, after all that was said to it before."""
        await self.status()

    def reload(self, key: str) -> None:
        """Let one site have fresh processes."""
        self._outbox.put_nowait(({"do": "reload", "key": key}, []))

    async def status(self) -> list[dict[str, Any]]:
        """Return a row for each child, and for each site without one."""
        if not self._settled.is_set():
            return []
        number = next(self._numbers)
        future = asyncio.get_running_loop().create_future()
        self._answers[number] = future, []
        self._outbox.put_nowait(({"do": "status", "id": number}, []))
        try:
            return await asyncio.wait_for(future, PATIENCE)
        except TimeoutError:
            return []
        finally:
            self._answers.pop(number, None)

    async def stop(self, patience: float) -> None:
        """Let it end when its children have."""
        await self._process.stop(patience)
        asyncio.get_running_loop().remove_reader(self._end.fileno())
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.gather(self._sending, return_exceptions=True)
        self._end.close()
        self._other.close()

    def _hand_over(self, keys: list[str]) -> None:
        for some in channel.split(keys):
            self._outbox.put_nowait(({"do": "serve"}, some))

    async def _send(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            message, keys = await self._outbox.get()
            while not self._write(message, keys):
                writable = asyncio.Event()
                loop.add_writer(self._end.fileno(), writable.set)
                try:
                    await writable.wait()
                finally:
                    loop.remove_writer(self._end.fileno())

    def _write(self, message: channel.Message, keys: list[str]) -> bool:
        """Tell it something; return whether that is done with, and need not be tried again."""
        # As it is wanted now: a site may have changed, or gone, since this was put into the outbox.
        found = {key: self._number(key) for key in keys if key in self._wanted}
        numbers = {key: number for key, number in found.items() if number is not None}
        if keys:
            message = {**message, "sites": [self._wanted[key].as_json() for key in numbers]}
        try:
            channel.send(self._end, message, list(numbers.values()))
        except BlockingIOError:
            return False
        except (channel.BadMessage, OSError) as error:
            self.context.say(f"{self.name} cannot be told something: {error}.")
        return True

    def _number(self, key: str) -> int | None:
        """Return the descriptor of a site's listening socket; None where there can be none."""
        try:
            return self.context.sockets.get(key).fileno()
        except OSError as error:
            self.context.say(f"{key} has no socket: {error}.")
            return None

    def _read(self) -> None:
        with suppress(BlockingIOError):
            while True:
                try:
                    received = channel.receive(self._end)
                    if received is None:
                        return
                    self._hear(received[0])
                except channel.BadMessage as error:
                    self.context.say(f"{self.name} has said what cannot be understood: {error}.")

    def _hear(self, message: channel.Message) -> None:
        if message["is"] == "status":
            future, rows = self._answers.get(message["id"], (None, []))
            rows += message["rows"] or []
            if message["rows"] is None and future is not None and not future.done():
                future.set_result(rows)
            return
        if message["is"] == "problems":
            for problem in message["problems"]:
                self.context.say(problem)
            return
        # A parent that was just started, perhaps not the first one, and knows of nothing.
        self.why = message.get("why", "")
        self.is_ready = not self.why
        if self.why:
            self.context.say(f"{self.name}: {self.why}.")
        self._settled.set()
        self._hand_over(list(self._wanted))
