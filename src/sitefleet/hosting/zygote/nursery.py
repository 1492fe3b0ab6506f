"""The children of all sites: forked where a connection waits, looked after, replaced.

A site's socket stays open here, and with the supervisor, while its children come and go: whoever
connects meanwhile waits in the backlog. What happens to one child is nothing to the others.
"""

from __future__ import annotations

import os
import re
import select
import signal
from collections import deque
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

from sitefleet.hosting.processes.memory import private_bytes
from sitefleet.hosting.processes.process import describe_exit
from sitefleet.hosting.zygote.child import ENOUGH, READY, Birth, run_child
from sitefleet.hosting.zygote.limits import leave_cgroup
from sitefleet.hosting.zygote.rules import (
    ABORT,
    END,
    GLANCE,
    GRACE,
    LAST_WORDS,
    NEVER,
    RUNNING,
    SLOW,
    STARTING,
    STOPPING,
    TICK,
    Child,
    Held,
    has_failed_to_start,
    judge,
)
from sitefleet.hosting.zygote.slots import Slots
from sitefleet.hosting.zygote.telling import say
from sitefleet.hosting.zygote.waiting import with_connections

if TYPE_CHECKING:
    from collections.abc import Collection

    from sitefleet.hosting.zygote.descriptors import Descriptors
    from sitefleet.hosting.zygote.program import Program

#: Children at most, of all sites together.
MOST_CHILDREN = 8192
#: Children that may start at the same time: more would only make each of them slower.
AT_ONCE = 2 * (os.cpu_count() or 1)
#: Children whose memory is looked at each time, about: the kernel takes its time to tell.
WEIGHED = 100
#: What children say by the bell; code of sites can write there, too, and that is left out.
_RINGS = re.compile(rb"([%b%b])([0-9]{1,10})\n" % (READY, ENOUGH))
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


class Nursery:
    """All children of one parent."""

    def __init__(self, poll: select.epoll, descriptors: Descriptors, cgroup: str) -> None:
        self.slots = Slots(MOST_CHILDREN)
        self.forgotten: list[Held] = []
        """Sites that are served no more, and still have children."""
        self.program: Program | None = None
        self._poll, self._descriptors = poll, descriptors
        self._cgroup, self._pid = cgroup, os.getpid()
        self._queue: deque[Held] = deque()
        self._children: dict[int, tuple[Held, Child]] = {}
        self._starting: set[int] = set()
        """Children for which others wait that are to be started."""
        self._draining = False
        self._turn, self._tick, self._glance = 0, 0.0, 0.0
        self._growing: set[Held] = set()
        """Sites that have children, and may have more."""
        self._lacking: set[Held] = set()
        """Sites that are always to have a child, and have none."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing runs."""
        return not self._children

    @property
    def due(self) -> float:
        """When `look` is to be called at the latest."""
        if self._queue and len(self._starting) < AT_ONCE:
            return 0.0
        glance = self._glance if self._growing else NEVER
        return min(glance, self._tick if self._children or self._lacking else NEVER)

    # Sites

    def replace(self, held: Held) -> None:
        """Let its children end when they have answered what they have begun; go on with others."""
        for child in list(held.children.values()):
            self._end(held, child)
        self._rest(held)

    def forget(self, held: Held) -> None:
        """Its socket is closed: let its children end."""
        self._lacking.discard(held)
        self._growing.discard(held)
        for child in list(held.children.values()):
            self._end(held, child)
        if held.children:
            self.forgotten.append(held)
        elif self._cgroup:
            leave_cgroup(self._cgroup, held.served.key)

    def drain(self, all_held: Collection[Held]) -> None:
        """Start nothing any more; let all children end."""
        self._draining = True
        self._growing, self._lacking = set(), set()
        for held in all_held:
            self.disarm(held)
            for child in list(held.children.values()):
                self._end(held, child)

    def connection(self, held: Held) -> None:
        """Start a child for a connection that waits, when none is there."""
        self.disarm(held)
        if held.serving == 0:
            self._enqueue(held)

    def arm(self, held: Held) -> None:
        """Hear of connections that wait."""
        if not held.armed and held.descriptor >= 0 and not self._draining:
            held.armed = True
            self._poll.register(held.descriptor, select.EPOLLIN)

    def disarm(self, held: Held) -> None:
        """Hear of connections no more: children are there for them."""
        if held.armed:
            held.armed = False
            self._poll.unregister(held.descriptor)

    def _rest(self, held: Held) -> None:
        """Nothing runs for it, or nothing that takes connections: wait for the next one."""
        if held.serving or self._draining or held.descriptor < 0:
            return
        self._growing.discard(held)
        self.arm(held)
        if not held.served.options.idle:
            self._lacking.add(held)
            self._tick = 0.0 if held.retry_at <= monotonic() else self._tick

    def _enqueue(self, held: Held) -> None:
        if not held.queued and not self._draining:
            held.queued = True
            self._queue.append(held)

    # Children

    def look(self, now: float) -> None:
        """Do what is due."""
        if now >= self._tick:
            self._tick = now + TICK
            self._judge_all(now)
            for held in [held for held in self._lacking if held.retry_at <= now]:
                self._lacking.discard(held)
                self._enqueue(held)
        if self._growing and now >= self._glance:
            self._glance = now + GLANCE
            self._grow()
        while self._queue and len(self._starting) < AT_ONCE:
            held = self._queue.popleft()
            held.queued = False
            room = held.serving < held.served.options.workers
            if room and held.descriptor >= 0 and not self._draining:
                self._fork(held, now)

    def hear(self) -> None:
        """Hear what children say of themselves."""
        with suppress(BlockingIOError):
            for what, pid in _RINGS.findall(os.read(self._descriptors.heard, 65536)):
                held, child = self._children.get(int(pid), (None, None))
                if held is None or child is None:
                    continue
                if what == ENOUGH:
                    self._end(held, child)
                    self._rest(held)
                elif child.state == STARTING:
                    self._starting.discard(child.pid)
                    child.state = RUNNING
                    held.started_well()
                    if held.served.options.workers > 1:
                        self._growing.add(held)

    def bury(self, now: float) -> None:
        """Take note of children that have ended."""
        with suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                if child := self._children.pop(found[0], None):
                    self._bury(*child, os.waitstatus_to_exitcode(found[1]), now)

    def _bury(self, held: Held, child: Child, code: int, now: float) -> None:
        load = self.slots.load(child.row, child.threads)
        self.slots.give_back(child.row)
        self._starting.discard(child.pid)
        del held.children[child.pid]
        held.requests, held.last = held.requests + load.requests, max(held.last, load.last)
        if child.state != STOPPING or child.why:
            held.restarts += 1
        if child.state != STOPPING or child.unstarted:
            how = child.why or describe_exit(code)
            if has_failed_to_start(held, child, load, now):
                self._failed(held, f"it does not start ({how})", now)
            else:
                say(f"Process {child.pid} has ended ({how}).", held)
        if held in self.forgotten and not held.children:
            self.forgotten.remove(held)
            if self._cgroup:
                leave_cgroup(self._cgroup, held.served.key)
        self._rest(held)

    def _failed(self, held: Held, why: str, now: float) -> None:
        pause = held.failed(why, now)
        say(f"No process of it: {why}. The next try is in {pause:g} s.", held)
        self._rest(held)

    def _fork(self, held: Held, now: float) -> None:
        if self.program is None:
            return
        row = self.slots.take()
        if row is None:
            self._failed(held, f"{MOST_CHILDREN} processes run already", now)
            return
        own = self._descriptors, self.slots
        birth = Birth(held.served, held.descriptor, *own, row, self._pid, self._cgroup)
        # What is sent to a child before it is ready for signals must reach it all the same.
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            pid = os.fork()
            if pid == 0:
                run_child(birth, self.program)
        except OSError as error:
            self.slots.give_back(row)
            self._failed(held, f"no process could be forked: {error.strerror}", now)
            return
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        self.disarm(held)
        self._lacking.discard(held)
        child = Child(pid, row, birth.threads, now)
        held.children[pid] = child
        self._children[pid] = held, child
        self._starting.add(pid)

    def _judge_all(self, now: float) -> None:
        self._turn += 1
        parts = 2 + len(self._children) // WEIGHED
        for held, child in list(self._children.values()):
            if now - child.started > SLOW:
                self._starting.discard(child.pid)
            turn = (child.row + self._turn) % parts == 0 and held.served.options.memory_limit
            memory = (turn and private_bytes(child.pid)) or 0
            load = self.slots.load(child.row, child.threads)
            verdict = judge(child, load, held, now, memory)
            if verdict is None:
                continue
            what, child.why = verdict
            if child.why:
                say(f"Process {child.pid} is ended: {child.why}.", held)
            if what == END:
                self._end(held, child)
            else:
                number = signal.SIGABRT if what == ABORT else signal.SIGKILL
                child.unstarted |= child.state == STARTING
                self._end(held, child, number, LAST_WORDS)
            self._rest(held)

    def _grow(self) -> None:
        """Fork one more for sites at which connections wait, although children are there.

        Seen twice in a row: whoever is not busy would have taken them by then.
        """
        waiting = with_connections(self._growing)
        for held in self._growing:
            seen, held.waited = held.waited, held in waiting
            if seen and held.waited and held.may_grow():
                held.waited = False
                self._enqueue(held)

    def _end(
        self, held: Held, child: Child, number: int = signal.SIGTERM, patience: float = 0.0
    ) -> None:
        if child.state == STOPPING and number == signal.SIGTERM:
            return
        self._starting.discard(child.pid)
        child.state = STOPPING
        child.kill_at = monotonic() + (patience or held.served.options.timeout + GRACE)
        with suppress(ProcessLookupError):
            os.kill(child.pid, number)
