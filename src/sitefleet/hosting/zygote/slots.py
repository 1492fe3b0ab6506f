"""What children count: in memory that they share with the parent, so that nobody is asked.

A slot is a row of floats, each written by one thread alone. Times are those of `time.monotonic`,
which is one clock for all processes.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import MutableSequence

#: Threads that a site may have, see `sitefleet.hosting.planning.options`.
LANES = 64
LAST, OPEN, BEAT, FIRST_LANE = 0, 1, 2, 3
WIDTH = FIRST_LANE + 2 * LANES
FLOAT = 8
#: A lane whose request has got an answer that is being sent: no work of the site's code.
SENDING = -1.0


@dataclass(frozen=True, slots=True)
class Load:
    """What one child has done, and does."""

    requests: int = 0
    last: float = 0.0
    """When the last request began or ended; 0 before the first."""
    in_flight: int = 0
    since: float = 0.0
    """When the oldest request that the site's code still works on began; 0 when there is none."""
    beat: float = 0.0
    """When its event loop was last seen to turn; 0 for WSGI."""


class Slots:
    """Rows for as many children as there can be; untouched ones cost no memory."""

    def __init__(self, count: int) -> None:
        self._memory = mmap.mmap(-1, count * WIDTH * FLOAT)
        # Kept as plain as this: a child must not drag in pages to count a request.
        self.cells = cast("MutableSequence[float]", memoryview(self._memory).cast("d"))
        self._free = list(range(count - 1, -1, -1))

    def take(self) -> int | None:
        """Return a free row, cleared; None when there is none."""
        if not self._free:
            return None
        row = self._free.pop()
        for index in range(row * WIDTH, (row + 1) * WIDTH):
            self.cells[index] = 0.0
        return row

    def give_back(self, row: int) -> None:
        """Let a row be used for another child."""
        self._free.append(row)

    def load(self, row: int, threads: int) -> Load:
        """Return what a child has counted that answers so many requests at once."""
        start = row * WIDTH
        values = list(self.cells[start : start + FIRST_LANE + 2 * threads])
        sinces, counts = values[FIRST_LANE::2], values[FIRST_LANE + 1 :: 2]
        return Load(
            requests=int(sum(counts)),
            last=values[LAST],
            in_flight=int(values[OPEN]) + sum(map(bool, sinces)),
            since=min((since for since in sinces if since > 0), default=0.0),
            beat=values[BEAT],
        )
