"""The client's side of a connection: one request after the other, each led to its instance."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from sitefleet.hosting.proxy.bodies import BadChunk, Chunks, Sized
from sitefleet.hosting.proxy.connection import Connection
from sitefleet.hosting.proxy.forwarded import Peer, is_in
from sitefleet.hosting.proxy.pages import page
from sitefleet.hosting.proxy.requests import BadRequest, Request, parse_request, split_head
from sitefleet.hosting.proxy.state import Stage
from sitefleet.hosting.proxy.tunnel import GOING_AWAY
from sitefleet.hosting.proxy.upstream import Upstream, encode

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from sitefleet.hosting.proxy.state import State

#: Bytes of later requests that are taken while one is answered.
MOST_AHEAD = 64 * 1024
#: Bytes of a body that are read before its instance is asked, so that slow senders hold no thread.
FIRST = 64 * 1024
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Client(Connection):
    """One connection of a client."""

    __slots__ = (
        "_active",
        "_body",
        "_buffer",
        "_busy",
        "_clients",
        "_first",
        "_has_begun",
        "_is_new",
        "_on_gone",
        "_upstream",
        "peer",
        "request",
        "since",
        "stage",
    )

    peer: Peer

    def __init__(self, state: State, clients: set[Client], on_gone: Callable[[], None]) -> None:
        super().__init__(state)
        self._clients = clients
        self._on_gone = on_gone
        self.stage = Stage.HEAD
        self.request: Request | None = None
        self._upstream: Upstream | None = None
        self._body: Sized | Chunks = Sized(0)
        self._first = bytearray()
        """The beginning of the body, until the instance is asked."""
        self._buffer = b""
        """What came and was not looked at yet."""
        self._busy = self._has_begun = False
        self._is_new = True
        self.since = self._active = state.now()
        """Since when it waits for a request, for the rest of its head, or to be closed."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        name = transport.get_extra_info("peername") or ("unknown", 0)
        own = transport.get_extra_info("sockname") or ("", 0)
        trusted = is_in(name[0], self._state.routes.trusted)
        self.peer = Peer(name[0], own[:2], is_trusted=trusted)
        self._clients.add(self)

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        self._advance()

    def eof_received(self) -> None:
        # Nothing tells a client that shuts down its side from one that has left.
        self.cut()

    def connection_lost(self, exc: Exception | None) -> None:
        self._drop_upstream()
        self._buffer = b""
        self._clients.discard(self)
        self._on_gone()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._upstream is not None:
            self._upstream.pause()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._upstream is not None:
            self._upstream.resume()
        elif self.stage is Stage.HEAD:
            self.since = self._state.now()
            self.read_on()
        self._advance()

    @property
    def may_keep_alive(self) -> bool:
        """Whether another request can follow the one that is answered now."""
        good = self.request is not None and self.request.keep_alive
        return good and self.stage is Stage.ANSWER and not self._state.is_stopping

    def answer(self, status: int, text: str) -> None:
        """Answer the request with a page of the router's own."""
        head = self.request is not None and self.request.method == b"HEAD"
        self.send(page(status, text, head=head))
        self.finish(keep_alive=False)

    def finish(self, *, keep_alive: bool) -> None:
        """Go on after a response that is complete."""
        self._drop_upstream()
        is_whole = self.stage is Stage.ANSWER and not self._buffer
        self.request = None
        if keep_alive:
            self.stage = Stage.HEAD
            self.since = self._state.now()
            self.read_on()
            self._advance()
        elif is_whole:
            self.cut()
        else:
            self._linger()

    def cut(self) -> None:
        """Close it; a response that is not complete is seen to be so."""
        self._drop_upstream()
        self.stage = Stage.CLOSING
        self.since = self._state.now()
        self.transport.close()

    def begin_tunnel(self) -> None:
        """From now on pass on whatever comes."""
        self.stage = Stage.TUNNEL
        self.want_body()

    def want_body(self) -> None:
        """Take more: the instance has taken what it was sent."""
        self.read_on()
        self._active = self._state.now()
        self._advance()

    def check(self, now: float) -> None:
        """Give up on a client that takes too long."""
        limits = self._state.limits
        waited = now - self.since
        if self.stage is Stage.CLOSING:
            is_sent = not self.transport.get_write_buffer_size()
            if waited > (limits.linger if is_sent else limits.stalled):
                self.transport.abort()
        elif self.is_blocked:
            if self.is_stuck(now):
                self._drop_upstream()
                self.transport.abort()
        elif self.stage is Stage.HEAD:
            if waited > self._patience():
                self._give_up(408, "The head of the request took too long.")
        elif self.stage is not Stage.TUNNEL:
            self._check_request(now - self._active)

    def _check_request(self, waited: float) -> None:
        upstream = self._upstream
        if self.stage is Stage.BODY and (upstream is None or upstream.wants_body):
            if waited > self._state.limits.stalled:
                self._give_up(408, "The body of the request took too long.")
        elif upstream is not None and upstream.is_late(waited):
            self._give_up(504, "The server of this site took too long.")

    def stop(self) -> None:
        """End it now: the time for requests under way is over."""
        if self.stage is Stage.TUNNEL:
            if self._upstream is not None:
                self._upstream.say_going_away()
            self.send(GOING_AWAY)
        self.cut()

    @property
    def is_idle(self) -> bool:
        """Whether it can be closed without a loss."""
        return self.stage is Stage.HEAD and not self._has_begun

    def _patience(self) -> float:
        limits = self._state.limits
        if self._state.is_stopping and not self._has_begun:
            return limits.last_call
        return limits.head if self._is_new or self._has_begun else limits.idle

    def _give_up(self, status: int, why: str) -> None:
        if self.is_idle or (self._upstream is not None and self._upstream.has_answered):
            self.cut()
        else:
            self._drop_upstream()
            self.answer(status, why)

    def _advance(self) -> None:
        if self._busy:  # a caller further up goes on
            return
        self._busy = True
        try:
            while self._buffer and not self.transport.is_closing() and self._step():
                pass
        except BadRequest as error:
            self._refuse(error)
        finally:
            self._busy = False

    def _step(self) -> bool:
        match self.stage:
            case Stage.HEAD if not self.is_blocked:
                return self._take_head()
            case Stage.BODY:
                return self._take_body()
            case Stage.TUNNEL:
                data, self._buffer = self._buffer, b""
                if self._upstream is not None:
                    self._upstream.send(data)
            case Stage.CLOSING:
                self._buffer = b""
            case _ if len(self._buffer) > MOST_AHEAD:
                self.hold()
        return False

    def _take_head(self) -> bool:
        head, self._buffer = split_head(self._buffer)
        if not head:
            if self._buffer and not self._has_begun:
                self._has_begun = True
                self.since = self._state.now()
            return False
        self.request = request = parse_request(head)
        self._has_begun = self._is_new = False
        self._active = self._state.now()
        if not request.has_body:
            self.stage = Stage.ANSWER
            self._ask(request)
            return True
        self.stage = Stage.BODY
        self._body = Chunks() if request.chunked else Sized(request.length)
        if request.expects and not self._buffer:
            self.send(CONTINUE)
        return True

    def _ask(self, request: Request, first: bytes = b"") -> None:
        self._upstream = Upstream(self._state, self, request, first)
        self._upstream.start(self._state.routes.find(request.name))

    def _take_body(self) -> bool:
        upstream, request = self._upstream, self.request
        if upstream is not None and not upstream.wants_body:
            if len(self._buffer) > MOST_AHEAD:
                self.hold()
            return False
        try:
            pieces = self._body.feed(self._buffer)
        except BadChunk as error:
            raise BadRequest(400, f"The body of the request cannot be read: {error}.") from None
        self._buffer, done = self._body.rest, self._body.done
        if done:
            self.stage = Stage.ANSWER
        if upstream is not None:
            self._active = self._state.now()
            upstream.send_body(pieces, done=done)
        elif request is not None:
            self._first += b"".join(pieces)
            if done or len(self._first) >= FIRST:
                first, self._first = bytes(self._first), bytearray()
                self._active = self._state.now()
                self._ask(request, encode(request, [first], done=done))
        return True

    def _refuse(self, error: BadRequest) -> None:
        if self._upstream is not None and self._upstream.has_answered:
            self.cut()
        else:
            self._drop_upstream()
            self.answer(error.status, error.reason)

    def _linger(self) -> None:
        # Closing at once, with data unread, would take the response away from the client.
        self.stage = Stage.CLOSING
        self.since = self._state.now()
        self._buffer = b""
        self.read_on()
        if not self.transport.is_closing():
            with suppress(OSError):  # it has left: asyncio tells of that when it reads on
                self.transport.write_eof()

    def _drop_upstream(self) -> None:
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.close()
