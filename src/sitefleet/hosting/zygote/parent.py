"""The parent: one thread and one ``epoll``, in which nothing waits for anybody.

What an event costs does not depend on how many sites there are. It hears the supervisor, the
children, and the sockets of sites at which a connection is to start a process.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections import deque
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

from sitefleet.hosting.processes.apology import Apologies
from sitefleet.hosting.zygote import channel
from sitefleet.hosting.zygote.before_fork import changed_files
from sitefleet.hosting.zygote.descriptors import Descriptors
from sitefleet.hosting.zygote.nursery import SIGNALS, Nursery
from sitefleet.hosting.zygote.program import read_served
from sitefleet.hosting.zygote.rules import NEVER, Held
from sitefleet.hosting.zygote.telling import say, statuses

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable
    from types import FrameType

    from sitefleet.hosting.zygote.program import Program

#: Seconds that a client is asked to wait where nothing can be started.
RETRY_AFTER = 5.0
#: Characters of a text that the supervisor is told.
LONGEST_TEXT = 2000
#: Messages that wait for the supervisor; of more the oldest are dropped.
MOST_MESSAGES = 1000


class Parent:
    """The loop; ``why`` says why the project could not be loaded, empty when it was."""

    def __init__(self, end: socket.socket, cgroup: str = "") -> None:
        self.end = end
        self.why = ""
        self.held: dict[str, Held] = {}
        self.by_descriptor: dict[int, Held] = {}
        self.draining = False
        self._told_to_end = False
        self._loaded_at = time.time()
        self._outbox: deque[channel.Message] = deque(maxlen=MOST_MESSAGES)
        self._poll = select.epoll()
        self._descriptors = Descriptors(end.fileno(), self._poll.fileno())
        self._apologies = Apologies(self._poll, self._descriptors.own)
        self.nursery = Nursery(self._poll, self._descriptors, cgroup)
        end.settimeout(0.0)
        for descriptor in (end.fileno(), self._descriptors.woken, self._descriptors.heard):
            self._poll.register(descriptor, select.EPOLLIN)

    @property
    def descriptors(self) -> set[int]:
        """Return those that are open and none of the project's."""
        own = self._descriptors
        fixed = {self.end.fileno(), self._poll.fileno(), own.woken, own.wake, own.heard, own.bell}
        return fixed | set(self.by_descriptor)

    def tell(self, message: channel.Message) -> None:
        """Tell the supervisor, as soon as it listens."""
        self._outbox.append(message)
        self._send()

    def tell_problems(self, problems: Iterable[str]) -> None:
        """Tell the supervisor what is wrong with the project, although it serves."""
        for some in channel.split(problem[:LONGEST_TEXT] for problem in problems):
            self.tell({"is": "problems", "problems": some})

    def tell_failed(self) -> None:
        """Tell the supervisor that the project could not be loaded."""
        self.tell({"is": "failed", "why": self.why[:LONGEST_TEXT]})

    def run(self, program: Program | None, until: float = NEVER) -> None:
        """Serve until told to end and all children have, or until a time (`monotonic`).

        Without a program, since there is none: ask clients to come again.
        """
        self.nursery.program = program
        signal.set_wakeup_fd(self._descriptors.wake, warn_on_full_buffer=False)
        for number in SIGNALS:
            signal.signal(number, self._signalled)
        while not (self.draining and self.nursery.is_empty) and monotonic() < until:
            events = self._poll.poll(self._pause(until))
            now = monotonic()
            for descriptor, _ in events:
                self._event(descriptor, now)
            if self._told_to_end and not self.draining:
                self.drain()
            self._apologies.end_late(now)
            self.nursery.look(now)
        self._apologies.end_late(NEVER)

    def _send(self) -> None:
        with suppress(OSError):  # it has gone, and the loop hears of that
            while self._outbox:
                try:
                    channel.send(self.end, self._outbox[0])
                except BlockingIOError:
                    break
                except channel.BadMessage as error:
                    sys.stderr.write(f"The supervisor was not told something: {error}.\n")
                self._outbox.popleft()
            waits = select.EPOLLOUT if self._outbox else 0
            self._poll.modify(self.end.fileno(), select.EPOLLIN | waits)

    def _pause(self, until: float) -> float | None:
        due = min(self.nursery.due, self._apologies.due, until)
        return None if due == NEVER else max(0.0, due - monotonic())

    def _event(self, descriptor: int, now: float) -> None:
        if held := self.by_descriptor.get(descriptor):
            if held.retry_at > now:
                retry_after = RETRY_AFTER if held.retry_at == NEVER else held.retry_at - now
                self._apologies.accept(descriptor, retry_after, now)
            else:
                self.nursery.connection(held)
        elif descriptor == self._descriptors.heard:
            self.nursery.hear()
        elif descriptor == self._descriptors.woken:
            with suppress(BlockingIOError):
                os.read(descriptor, 4096)
            self.nursery.bury(now)
        elif descriptor == self.end.fileno():
            self._send()
            self._messages()
        else:
            self._apologies.end(descriptor)

    def _signalled(self, number: int, _frame: FrameType | None) -> None:
        self._told_to_end |= number != signal.SIGCHLD

    def _messages(self) -> None:
        with suppress(BlockingIOError):
            while True:
                try:
                    received = channel.receive(self.end)
                    if received is None:  # the supervisor has gone
                        self._poll.unregister(self.end.fileno())
                        self.drain()
                        return
                    self._message(*received)
                except channel.BadMessage as error:
                    sys.stderr.write(f"A message of the supervisor was skipped: {error}.\n")

    def _message(self, message: channel.Message, descriptors: list[int]) -> None:
        match message["do"]:
            case "serve":
                if len(message["sites"]) != len(descriptors):
                    channel.close_all(descriptors)
                    text = "sites and sockets are not as many"
                    raise channel.BadMessage(text)
                for values, descriptor in zip(message["sites"], descriptors, strict=True):
                    try:
                        self.serve(values, descriptor)
                    except OSError as error:  # no descriptor is left: the others go on
                        sys.stderr.write(f"{values['key']} is not served: {error}.\n")
            case "forget":
                for key in message["keys"]:
                    self.forget(key)
            case "reload":
                self.reload(message["key"])
            case "status":
                held = [*self.held.values(), *self.nursery.forgotten]
                for rows in statuses(held, self.nursery.slots):
                    self.tell({"is": "status", "id": message["id"], "rows": rows})
                self.tell({"is": "status", "id": message["id"], "rows": None})

    def serve(self, values: channel.Message, descriptor: int) -> None:
        """Serve a site at a listening socket, from now on with these options."""
        served = read_served(values)
        held = self.held.get(served.key)
        if held is not None and held.served == served:
            os.close(descriptor)  # said twice
            return
        descriptor = self._descriptors.own(descriptor)
        if held is not None:
            self._close(held)
            held.served, held.descriptor = served, descriptor
        else:
            held = self.held[served.key] = Held(served, descriptor)
        self.by_descriptor[descriptor] = held
        held.started_well()
        if self.why:
            held.why, held.retry_at = self.why, NEVER
        self.nursery.replace(held)
        if self.draining:
            self.drain()

    def forget(self, key: str) -> None:
        """Serve a site no more: what it answers now it still does."""
        if held := self.held.pop(key, None):
            self._close(held)
            self.nursery.forget(held)

    def reload(self, key: str) -> None:
        """Let a site go on with fresh processes, of the code as this parent has loaded it."""
        held = self.held.get(key)
        if held is None or self.why:
            return
        if changed := changed_files(list(sys.modules.values()), self._loaded_at):
            say(
                f"The code has changed since it was loaded ({changed[0]}): only a reload of all"
                " sites brings that.",
                held,
            )
        held.started_well()
        self.nursery.replace(held)

    def drain(self) -> None:
        """Take no more connections; end when all children have."""
        self.draining = True
        self.nursery.drain(self.held.values())

    def _close(self, held: Held) -> None:
        self.nursery.disarm(held)
        del self.by_descriptor[held.descriptor]
        os.close(held.descriptor)
        held.descriptor = -1
