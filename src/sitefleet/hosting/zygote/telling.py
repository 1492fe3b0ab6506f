"""What a parent tells of its sites."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sitefleet.hosting.processes.logs import marked
from sitefleet.hosting.zygote.channel import split

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sitefleet.hosting.zygote.rules import Held
    from sitefleet.hosting.zygote.slots import Slots

Row = dict[str, Any]


def say(text: str, held: Held) -> None:
    """Say something about a site, in its log."""
    for line in text.splitlines():
        with suppress(OSError):
            os.write(2, f"{marked(held.served.key, line)}\n".encode())


def statuses(all_held: Sequence[Held], slots: Slots) -> Iterator[list[Row]]:
    """Return rows for `sitefleet.hosting.context.Status`, in messages of a size that is sent."""
    return split(row for held in all_held for row in _rows(held, slots))


def _rows(held: Held, slots: Slots) -> list[Row]:
    shift = time.time() - time.monotonic()
    rows = []
    common = {"instance": held.served.key, "restarts": held.restarts, "note": held.why[:300]}
    for child in list(held.children.values()):
        load = slots.load(child.row, child.threads)
        rows.append(
            common
            | {
                "state": child.state,
                "pid": child.pid,
                "requests": load.requests,
                "last_request": load.last + shift if load.last else None,
            }
        )
    if not rows and held.descriptor >= 0:
        rows.append(
            common
            | {
                "state": "failing" if held.why else "idle",
                "requests": held.requests,
                "last_request": held.last + shift if held.last else None,
            }
        )
    return rows
