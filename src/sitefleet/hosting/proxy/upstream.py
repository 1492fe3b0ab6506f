"""The instance's side of one request: a connection of its own, and the answer that comes by it."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Protocol

from sitefleet.hosting.proxy.bodies import END, BadChunk, Body, Chunks, Sized, UntilEnd, chunk
from sitefleet.hosting.proxy.forwarded import rewrite
from sitefleet.hosting.proxy.requests import REPEATABLE
from sitefleet.hosting.proxy.responses import (
    LARGEST_HEAD,
    SWITCHING,
    BadResponse,
    Response,
    parse_response,
    render,
)
from sitefleet.hosting.proxy.tunnel import GOING_AWAY_MASKED
from sitefleet.hosting.proxy.wire import Wire

if TYPE_CHECKING:
    from sitefleet.hosting.proxy.forwarded import Peer
    from sitefleet.hosting.proxy.requests import Request
    from sitefleet.hosting.proxy.routes import Target
    from sitefleet.hosting.proxy.state import State

#: Seconds in which a child that was about to end does so: it has not begun with the request.
ENDS_IN = 1.0
BUSY = "This site has as many requests as it can take. Try again in a few seconds."


class Asker(Protocol):
    """Who asks, and is sent the answer."""

    peer: Peer
    is_blocked: bool

    @property
    def may_keep_alive(self) -> bool:
        """Whether another request can follow."""

    def send(self, data: bytes) -> None:
        """Send a part of the response."""

    def answer(self, status: int, text: str) -> None:
        """Answer with a page of the router's own."""

    def finish(self, *, keep_alive: bool) -> None:
        """Go on: the response is complete."""

    def cut(self) -> None:
        """End a response that cannot be completed."""

    def begin_tunnel(self) -> None:
        """Pass on whatever comes."""

    def want_body(self) -> None:
        """Take more of the body."""

    def hold(self) -> None:
        """Take no more for now."""


def encode(request: Request, pieces: list[bytes], *, done: bool) -> bytes:
    """Return pieces of a body, which is complete when ``done``, as an instance gets them."""
    if not request.chunked:
        return b"".join(pieces)
    return chunk(pieces) + END if done else chunk(pieces)


class Upstream:
    """One request to an instance, and the answer to it."""

    __slots__ = (
        "_body",
        "_buffer",
        "_client",
        "_connected",
        "_first",
        "_is_second_try",
        "_request",
        "_sent_body",
        "_since",
        "_state",
        "_target",
        "_tunnel",
        "_wire",
        "has_answered",
    )

    def __init__(self, state: State, client: Asker, request: Request, first: bytes = b"") -> None:
        self._state = state
        self._client = client
        self._request = request
        self._first = first
        """The beginning of its body."""
        self._target: Target | None = None
        self._wire = Wire(state.loop, self)
        self._connected = self._is_second_try = self._sent_body = self._tunnel = False
        self._since = 0.0
        """When it was connected."""
        self._buffer = b""
        """The beginning of the answer, until its head is complete."""
        self._body: Body = Sized(0)
        self.has_answered = False
        """Whether the head of the answer has gone to the client."""

    def start(self, target: Target) -> None:
        """Send the request to an instance."""
        if target.open >= self._state.limits.per_instance:
            self._client.answer(503, BUSY)
            return
        self._target = target
        target.open += 1
        self._connect(target)

    def close(self) -> None:
        """Leave the instance at once."""
        self._wire.close()
        target, self._target = self._target, None
        if target is not None:
            target.open -= 1

    @property
    def wants_body(self) -> bool:
        """Whether more of the body can be sent now."""
        return self._connected and self._wire.has_room

    def is_late(self, waited: float) -> bool:
        """Tell whether the answer should have begun, this long after all was sent."""
        target = self._target
        return target is not None and not self.has_answered and waited > target.patience

    def send_body(self, pieces: list[bytes], *, done: bool) -> None:
        """Send pieces of the body, which is complete when ``done``."""
        if data := encode(self._request, pieces, done=done):
            self.send(data)

    def send(self, data: bytes) -> None:
        """Send data, and stop the client when the instance does not keep up."""
        self._wire.write(data)
        if not self._wire.has_room:
            self._client.hold()

    def pause(self) -> None:
        """Read no more of the answer for now: the client does not keep up."""
        self._wire.pause()

    def resume(self) -> None:
        """Read on."""
        if self._connected:
            self._wire.resume()

    def say_going_away(self) -> None:
        """Tell a WebSocket server that its client goes away."""
        if self._tunnel:
            self._wire.write(GOING_AWAY_MASKED)

    def on_connected(self) -> None:
        """Send the head; the body follows."""
        self._connected = True
        self._since = self._state.now()
        if not self._is_second_try:
            self._state.count()
        first, self._first = self._first, b""
        self._sent_body = bool(first)
        self._wire.write(rewrite(self._request, self._client.peer) + first)
        if not self._client.is_blocked:
            self._wire.resume()
        if self._request.has_body:
            self._client.want_body()

    def on_unreachable(self) -> None:
        """Ask the shared server, which answers for every host."""
        shared = self._state.routes.shared
        if self._target is shared:
            self._client.answer(503, "The server cannot be reached. Try again in a few seconds.")
            return
        self.close()
        self._wire = Wire(self._state.loop, self)
        self.start(shared)

    def on_drained(self) -> None:
        """Take more of the body."""
        self._client.want_body()

    def on_data(self, data: bytes) -> None:
        """Pass the answer on."""
        if self._tunnel:
            self._client.send(data)
        elif self.has_answered:
            self._pass(b"", data)
        else:
            self._take_head(self._buffer + data if self._buffer else data)

    def on_end(self, error: OSError | None) -> None:
        """End the response as the instance did."""
        if not self.has_answered:
            self._ask_again(error)
        elif isinstance(self._body, UntilEnd) and error is None:
            self._client.finish(keep_alive=False)
        else:
            self._client.cut()

    def _take_head(self, data: bytes) -> None:
        try:
            while (end := data.find(b"\r\n\r\n")) >= 0:
                response = parse_response(data[:end])
                data = data[end + 4 :]
                if not response.is_interim:
                    self._answer(response, data)
                    return
                if not self._request.is_old:
                    self._client.send(render(response, self._request, keep_alive=True))
        except BadResponse as error:
            self._bad(str(error))
            return
        self._buffer = data
        if len(data) > LARGEST_HEAD:
            self._bad("its headers are too long")

    def _answer(self, response: Response, data: bytes) -> None:
        request, client = self._request, self._client
        if response.status == SWITCHING:
            if not request.websocket or response.upgrade.lower() != b"websocket":
                raise BadResponse("it changes the protocol unasked")
            self.has_answered = self._tunnel = True
            client.send(render(response, request, keep_alive=True) + data)
            client.begin_tunnel()
            return
        self._body = response.body(request)
        ends_itself = isinstance(self._body, Sized) or not (
            request.is_old or isinstance(self._body, UntilEnd)
        )
        # What the head says of the connection is kept to.
        request.keep_alive = ends_itself and client.may_keep_alive
        self.has_answered = True
        self._pass(render(response, request, keep_alive=request.keep_alive), data)

    def _pass(self, head: bytes, data: bytes) -> None:
        body = self._body
        try:
            pieces = body.feed(data)
        except BadChunk:
            self._client.cut()
            return
        if isinstance(body, Chunks) and not self._request.is_old:
            data = chunk(pieces) + (END if body.done else b"")
        else:
            data = b"".join(pieces)
        if head or data:
            self._client.send(head + data)
        if body.done:
            self._client.finish(keep_alive=self._client.may_keep_alive)

    def _ask_again(self, error: OSError | None) -> None:
        """Ask once more where that is harmless: it may have been a child that just ended."""
        target = self._target
        assert target is not None  # noqa: S101 - for the type
        # On a unix socket a reset says that not all of the head was read: nothing was done.
        unread = isinstance(error, ConnectionResetError) and target.family == socket.AF_UNIX
        # One that the instance had for longer may be what has ended it, or took all of its time.
        is_short = self._state.now() - self._since <= ENDS_IN
        is_harmless = unread or (is_short and self._request.method in REPEATABLE)
        if self._is_second_try or self._sent_body or self._buffer or not is_harmless:
            self._fail("has closed the connection without an answer")
            return
        self._is_second_try = True
        self._connected = False
        self._wire.close()
        self._wire = Wire(self._state.loop, self)
        self._connect(target)

    def _connect(self, target: Target) -> None:
        self._wire.connect(target, self._state.limits.connect)

    def _bad(self, what: str) -> None:
        self._fail(f"gave an answer that cannot be passed on: {what}")

    def _fail(self, what: str) -> None:
        self._client.answer(502, f"The server of this site {what}.")
