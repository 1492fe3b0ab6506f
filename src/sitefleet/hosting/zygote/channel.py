"""Messages between the supervisor and a parent: JSON, with the sockets that they are about.

A pair of unix sockets of the kind that keeps messages apart (``SOCK_SEQPACKET``, see unix(7)), so
that a parent which is killed in the middle of one leaves no half of it to the next parent.
"""

from __future__ import annotations

import json
import os
import socket
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: Items in one message: the kernel passes at most 253 descriptors at once (SCM_MAX_FD).
AT_ONCE = 100
#: The longest message, in bytes: well below what such a socket takes by default (212,992).
LONGEST = 150_000
#: Bytes of that for all but the items.
ENVELOPE = 1000

Message = dict[str, Any]
Item = TypeVar("Item")


class BadMessage(ValueError):
    """A message is longer than can be sent, or is not what was sent; it is to be skipped."""


def make_pair() -> tuple[socket.socket, socket.socket]:
    """Return both ends of a channel; neither is inherited by itself."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(end: socket.socket, message: Message, descriptors: list[int] | None = None) -> None:
    """Send one message. Raises BadMessage, BlockingIOError where it would have to wait, OSError."""
    data = encode(message)
    if len(data) > LONGEST:
        text = f"a message of {len(data)} bytes is too long"
        raise BadMessage(text)
    if descriptors:
        socket.send_fds(end, [data], descriptors)
    else:
        end.send(data)


def receive(end: socket.socket) -> tuple[Message, list[int]] | None:
    """Return the next message and its descriptors; None when the other end is gone.

    Raises BlockingIOError where it would have to wait; BadMessage, with its descriptors closed.
    """
    try:
        data, descriptors, flags, _ = socket.recv_fds(end, LONGEST, AT_ONCE)
    except ConnectionError:
        return None
    if not data:
        return None
    try:
        if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):  # see recvmsg(2)
            text = "a message was cut off, or its descriptors were"
            raise BadMessage(text)
        message = json.loads(data)
    except ValueError as error:
        close_all(descriptors)
        raise BadMessage(str(error)) from error
    return message, descriptors


def split(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Yield items in lists of which each fits into one message, by number and by encoded size."""
    some: list[Item] = []
    room = LONGEST - ENVELOPE
    for item in items:
        size = len(encode(item)) + 1
        if some and (len(some) == AT_ONCE or size > room):
            yield some
            some, room = [], LONGEST - ENVELOPE
        some.append(item)
        room -= size
    if some:
        yield some


def encode(value: Any) -> bytes:
    """Return a value as it is in a message."""
    return json.dumps(value, separators=(",", ":")).encode()


def close_all(descriptors: Iterable[int]) -> None:
    """Close what came with a message that is skipped."""
    for descriptor in descriptors:
        os.close(descriptor)
