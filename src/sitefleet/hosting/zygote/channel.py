"""Messages between the supervisor and a parent: JSON, with the sockets that they are about.

A pair of unix sockets of the kind that keeps messages apart (``SOCK_SEQPACKET``, see unix(7)), so
that a parent which is killed in the middle of one leaves no half of it to the next parent.
"""

from __future__ import annotations

import json
import socket
from typing import Any

#: Sites in one message: the kernel passes at most 253 descriptors at once (SCM_MAX_FD).
AT_ONCE = 100
#: The longest message, in bytes: well below what such a socket takes by default (212,992).
LONGEST = 150_000

Message = dict[str, Any]


def make_pair() -> tuple[socket.socket, socket.socket]:
    """Return both ends of a channel; neither is inherited by itself."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(end: socket.socket, message: Message, descriptors: list[int] | None = None) -> None:
    """Send one message. Raises BlockingIOError where it would have to wait, OSError."""
    data = json.dumps(message, separators=(",", ":")).encode()
    if descriptors:
        socket.send_fds(end, [data], descriptors)
    else:
        end.send(data)


def receive(end: socket.socket) -> tuple[Message, list[int]] | None:
    """Return the next message and its descriptors; None when the other end is gone.

    Raises BlockingIOError where it would have to wait.
    """
    try:
        data, descriptors, _, _ = socket.recv_fds(end, LONGEST, AT_ONCE)
    except ConnectionError:
        return None
    if not data:
        return None
    return json.loads(data), descriptors
