"""An application that counts its requests in the slot of its process."""

from __future__ import annotations

import asyncio
from itertools import count
from time import monotonic
from typing import TYPE_CHECKING, Any

from sitefleet.hosting.zygote.slots import BEAT, FIRST_LANE, LANES, LAST, OPEN, SENDING, WIDTH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, MutableSequence

    from sitefleet.hosting.planning.options import Options


class Counter:
    """Writes the slot of this process; calls ``enough`` once, at ``options.max_requests``."""

    def __init__(
        self,
        cells: MutableSequence[float],
        row: int,
        options: Options,
        enough: Callable[[], None],
    ) -> None:
        self._cells, self._start = cells, row * WIDTH
        self._most, self._enough = options.max_requests, enough
        self._numbers = count(1)
        lanes = options.threads if options.interface == "wsgi" else 1
        self._lanes = list(range(min(lanes, LANES)))

    def wrap(self, application: Any, interface: str) -> Any:
        """Return the application, counted."""
        return ASGI(application, self) if interface == "asgi" else WSGI(application, self)

    def begin(self) -> int:
        """Count a request that begins; return its lane."""
        lane = self._lanes.pop() if self._lanes else 0
        cell = self._start + FIRST_LANE + 2 * lane
        now = monotonic()
        self._cells[cell] = now
        self._cells[cell + 1] += 1
        self._cells[self._start + LAST] = now
        self._count()
        return lane

    def mark(self, lane: int, *, working: bool) -> None:
        """Let the clock run from now on, since the site's code works on the answer, or stop it."""
        cell = self._start + FIRST_LANE + 2 * lane
        self._cells[cell] = monotonic() if working else SENDING

    def end(self, lane: int) -> None:
        """Take note of the end of a request."""
        self._cells[self._start + FIRST_LANE + 2 * lane] = 0.0
        self._cells[self._start + LAST] = monotonic()
        self._lanes.append(lane)

    def enter(self) -> None:
        """Count a request of an event loop, of which there may be any number."""
        self._cells[self._start + OPEN] += 1
        self._cells[self._start + FIRST_LANE + 1] += 1
        self._cells[self._start + LAST] = monotonic()
        self._count()

    def leave(self) -> None:
        """Take note of the end of a request of an event loop."""
        self._cells[self._start + OPEN] -= 1
        self._cells[self._start + LAST] = monotonic()

    def beat(self) -> None:
        """Show from now on that the event loop turns."""
        self._cells[self._start + BEAT] = monotonic()
        asyncio.get_running_loop().call_later(1.0, self.beat)

    def _count(self) -> None:
        if next(self._numbers) == self._most:
            self._enough()


class WSGI:
    """Counts a request until its answer is closed."""

    def __init__(self, application: Any, counter: Counter) -> None:
        self._application, self._counter = application, counter

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        """Answer a request (PEP 3333)."""
        lane = self._counter.begin()
        try:
            result = self._application(environ, start_response)
        except BaseException:
            self._counter.end(lane)
            raise
        self._counter.mark(lane, working=False)
        wrapper = environ.get("wsgi.file_wrapper")
        if isinstance(wrapper, type) and isinstance(result, wrapper):
            return self._counted_file(result, lane)
        return Answer(result, self._counter, lane)

    def _counted_file(self, result: Any, lane: int) -> Any:
        """Return it as it is, for the server knows it by its type and sends the file itself."""
        close = getattr(result, "close", lambda: None)
        lanes = [lane]

        def closed() -> None:
            try:
                close()
            finally:
                if lanes:  # a lane that is given back twice would be that of two requests
                    self._counter.end(lanes.pop())

        result.close = closed
        return result


class Answer:
    """What an application has answered; the clock runs while it makes more of it."""

    def __init__(self, result: Any, counter: Counter, lane: int) -> None:
        self._result, self._parts = result, iter(())
        self._counter, self._lane, self._open = counter, lane, True

    def __iter__(self) -> Iterator[bytes]:
        # Work, too: Django makes all of an asynchronous stream here.
        self._parts = self._timed(iter, self._result)
        return self

    def __next__(self) -> bytes:
        part: bytes = self._timed(next, self._parts)
        return part

    def _timed(self, work: Callable[[Any], Any], given: Any) -> Any:
        self._counter.mark(self._lane, working=True)
        try:
            return work(given)
        finally:
            self._counter.mark(self._lane, working=False)

    def close(self) -> None:
        """Close the answer (PEP 3333): the request has ended."""
        if not self._open:
            return
        self._open = False
        try:
            if hasattr(self._result, "close"):
                self._result.close()
        finally:
            self._counter.end(self._lane)


class ASGI:
    """Counts requests and connections of an ASGI application."""

    def __init__(self, application: Any, counter: Counter) -> None:
        self._application, self._counter = application, counter
        self._beats = False

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Answer a request or a WebSocket (ASGI 3)."""
        if not self._beats:
            self._beats = True
            self._counter.beat()
        if scope["type"] == "lifespan":
            await self._application(scope, receive, send)
            return
        self._counter.enter()
        try:
            await self._application(scope, receive, send)
        finally:
            self._counter.leave()
