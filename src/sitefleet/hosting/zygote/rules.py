"""When a child is started and when one has to end: decided without touching anything."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sitefleet.hosting.zygote.program import Served
    from sitefleet.hosting.zygote.slots import Load

STARTING, RUNNING, STOPPING = "starting", "running", "stopping"
#: Seconds for which a site that cannot start is answered for, before it is tried again.
PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
#: Two processes in a row that end sooner than this, without a request: the site does not start.
SHORT = 1.0
#: Seconds after which others have their turn to start, beside one that is still about it.
SLOW = 2.0
#: Seconds beyond its timeout that a process which is to end may take.
GRACE = 5.0
#: Seconds that a process has after SIGABRT, to say where it stands.
LAST_WORDS = 1.0
#: Seconds between two looks: at children; at connections that nobody takes.
TICK, GLANCE = 1.0, 0.05
#: How far beyond its memory limit a process is killed, instead of let answer what it has begun.
FAR_OVER = 2.0
MEGABYTE = 1024 * 1024
NEVER = float("inf")
END, ABORT, KILL = "end", "abort", "kill"


@dataclass(slots=True, eq=False)
class Child:
    """One forked process."""

    pid: int
    row: int
    threads: int
    started: float
    state: str = STARTING
    kill_at: float = 0.0
    """When it is killed if it has not ended by then; 0: it is not to end."""
    why: str = ""
    """Why it was ended; empty when there was nothing wrong with it."""
    unstarted: bool = False
    """Whether it was ended because it did not start."""


@dataclass(slots=True, eq=False)
class Held:
    """A site whose listening socket the parent holds."""

    served: Served
    descriptor: int
    children: dict[int, Child] = field(default_factory=dict)
    armed: bool = False
    """Whether the parent hears of connections that wait."""
    queued: bool = False
    """Whether it waits for its turn to start a child."""
    waited: bool = False
    """Whether connections waited at the last look, although it has children."""
    died_young: bool = False
    failures: int = 0
    retry_at: float = 0.0
    why: str = ""
    """Why it does not start; empty when it does."""
    restarts: int = 0
    requests: int = 0
    """Those of children that have ended."""
    last: float = 0.0

    @property
    def serving(self) -> int:
        """How many children take connections, or will."""
        return sum(child.state != STOPPING for child in self.children.values())

    def may_grow(self) -> bool:
        """Return whether one more child is allowed while others serve."""
        serving = self.serving
        starting = any(child.state == STARTING for child in self.children.values())
        return 0 < serving < self.served.options.workers and not starting and not self.queued

    def failed(self, why: str, now: float) -> float:
        """Take note that it did not start; return the seconds until it is tried again."""
        pause = PAUSES[min(self.failures, len(PAUSES) - 1)]
        self.failures += 1
        self.why, self.retry_at = why, now + pause
        return pause

    def started_well(self) -> None:
        """Take note that it starts."""
        self.failures, self.why, self.retry_at = 0, "", 0.0


def has_failed_to_start(held: Held, child: Child, load: Load, now: float) -> bool:
    """Return whether the end of a child, which nobody wanted, means that the site does not start.

    A process that was killed once is replaced at once.
    """
    if child.state == STARTING or child.unstarted:
        return True
    before, held.died_young = held.died_young, not load.requests and now - child.started < SHORT
    return before and held.died_young


def judge(child: Child, load: Load, held: Held, now: float, memory: int) -> tuple[str, str] | None:
    """Return what is to be done with a child and why; None when it may go on.

    ``memory`` is what it owns, in bytes. Without a reason there is nothing wrong with the child.
    """
    options = held.served.options
    limit = options.memory_limit * MEGABYTE
    owned = f"it owns {memory // MEGABYTE} MB, the limit is {options.memory_limit} MB"
    if limit and memory > FAR_OVER * limit:
        return KILL, owned
    if child.kill_at:
        return (KILL, "it did not end in time") if now >= child.kill_at else None
    if child.state == STARTING:
        late = now - child.started > options.timeout
        return (ABORT, f"it did not start in {options.timeout} s") if late else None
    if any(seen and now - seen > options.timeout for seen in (load.since, load.beat)):
        return ABORT, f"a request took more than {options.timeout} s"
    if limit and memory > limit:
        return END, owned
    enough = options.max_requests and load.requests >= options.max_requests
    quiet = not load.in_flight and now - max(load.last, child.started) >= options.idle
    return (END, "") if enough or (options.idle and quiet) else None
