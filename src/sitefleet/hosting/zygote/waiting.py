"""Whether connections wait at a listening socket."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sitefleet.hosting.zygote.rules import Held


def with_connections(some: Iterable[Held]) -> set[Held]:
    """Return those sites at whose sockets connections wait now."""
    by_descriptor = {held.descriptor: held for held in some}
    poll = select.poll()
    for descriptor in by_descriptor:
        poll.register(descriptor, select.POLLIN)
    return {by_descriptor[descriptor] for descriptor, _ in poll.poll(0)}
