"""The zygote without a process: what goes wrong in one place stays there."""

import logging
import os
import select
import signal
import socket
import sys
from types import ModuleType, SimpleNamespace

import pytest

from sitefleet.hosting.planning.options import make_options
from sitefleet.hosting.zygote import before_fork, channel, child, descriptors, nursery
from sitefleet.hosting.zygote.counting import Counter
from sitefleet.hosting.zygote.nursery import Nursery
from sitefleet.hosting.zygote.parent import Parent
from sitefleet.hosting.zygote.program import Served
from sitefleet.hosting.zygote.rules import KILL, NEVER, SLOW, STARTING, STOPPING, Child, Held
from sitefleet.hosting.zygote.slots import Slots

NOW = 1000.0


def served(number, **options):
    return Served(f"site-{number}", number, make_options(options))


def told(number, **options):
    return served(number, **options).as_json()


class Late:
    """An answer that is made when it is iterated over, as Django's asynchronous streams are."""

    def __init__(self, make):
        self.make, self.is_closed = make, False

    def __iter__(self):
        return iter(self.make())

    def close(self):
        self.is_closed = True


@pytest.fixture
def count():
    """Answer a request by what an application returns; give what iterates, and what is counted."""
    slots = Slots(1)
    row = slots.take()

    def ask(result):
        counter = Counter(slots.cells, row, make_options({"threads": 1}), lambda: None)
        return counter.wrap(lambda *_: result, "wsgi")({}, None), lambda: slots.load(row, 1)

    return ask


def test_the_clock_runs_while_an_answer_is_made_in_one_go(count):
    answer, load = count(Late(lambda: [load()]))
    (seen,) = answer
    assert seen.since > 0
    assert load().since == 0


def test_an_answer_that_cannot_be_iterated_over_is_closed_and_ends(count):
    late = Late(lambda: 1 / 0)
    answer, load = count(late)
    try:
        with pytest.raises(ZeroDivisionError):
            list(answer)
    finally:
        answer.close()  # as servers do
    assert late.is_closed
    assert load().in_flight == 0


def test_a_child_ends_whatever_its_project_does_at_the_end(monkeypatch):
    class Ended(BaseException):
        pass

    def end(status):
        raise Ended(status)

    def broken():
        raise OSError("a handler of the project")

    monkeypatch.setattr(os, "_exit", end)
    monkeypatch.setattr(logging, "shutdown", broken)
    monkeypatch.setattr(child, "_run", lambda *_: 7)
    with pytest.raises(Ended, match="7"):
        child.run_child(None, None)


def test_a_module_that_cannot_be_asked_is_no_reason_to_end(tmp_path):
    class Lazy(ModuleType):
        def __getattr__(self, name):
            raise ImportError(name)

    changed = ModuleType("changed")
    changed.__file__ = str(tmp_path / "changed.py")
    (tmp_path / "changed.py").touch()
    strange = ModuleType("strange")
    strange.__file__ = b"x"
    modules = [Lazy("lazy"), None, object(), strange, changed, sys]
    assert before_fork.changed_files(modules, 0.0) == [changed.__file__]


@pytest.fixture
def own(monkeypatch):
    """A nursery whose children are numbers, and the signals that they were sent."""
    sent = []
    monkeypatch.setattr(nursery.os, "kill", lambda pid, number: sent.append((pid, number)))
    with select.epoll() as poll:
        made = Nursery(poll, SimpleNamespace(), "")
        made.sent = sent
        yield made


def starting(own, pid, started):
    held = Held(served(pid, timeout=60), descriptor=-1)
    held.children[pid] = made = Child(pid, own.slots.take(), 1, started)
    own._children[pid] = held, made
    own._starting.add(pid)
    return held, made


def test_who_is_slow_to_start_holds_up_nobody_else(own, monkeypatch):
    forked = []
    monkeypatch.setattr(own, "_fork", lambda held, _now: forked.append(held))
    for pid in range(nursery.AT_ONCE):
        starting(own, pid, NOW)
    other = Held(served(99), descriptor=99)
    own._enqueue(other)
    own.look(NOW + SLOW / 2)
    assert forked == []
    own.look(NOW + SLOW + 1.1)
    assert forked == [other]
    assert own.sent == []  # they have their time all the same


def test_who_did_not_start_and_had_to_be_killed_is_a_failure_to_start(own, monkeypatch):
    held, made = starting(own, 5, NOW)
    own._judge_all(NOW + 61)
    assert own.sent == [(5, signal.SIGABRT)]
    assert made.state == STOPPING
    monkeypatch.setattr(nursery, "judge", lambda *_: (KILL, "it did not end in time"))
    own._judge_all(NOW + 70)
    assert own.sent[-1] == (5, signal.SIGKILL)
    own._bury(held, made, -signal.SIGKILL, NOW + 71)
    assert held.why.startswith("it does not start")
    assert made.state != STARTING


@pytest.fixture
def parent(monkeypatch):
    """A parent in this process, and the end of the supervisor."""
    monkeypatch.setattr(descriptors, "raise_limit", lambda: None)
    one, other = channel.make_pair()
    other.settimeout(0)
    made = Parent(one)
    yield made, other
    own = made.descriptors - {one.fileno(), made._poll.fileno()}
    made._poll.close()
    channel.close_all(own)
    one.close()
    other.close()


def test_a_site_that_there_is_no_descriptor_for_does_not_end_the_parent(parent, capsys):
    made, other = parent
    move, moved = made._descriptors.own, []

    def own(descriptor):
        moved.append(descriptor)
        if len(moved) == 1:
            os.close(descriptor)  # as the real one does
            raise OSError(24, "Too many open files")
        return move(descriptor)

    made._descriptors.own = own
    with socket.socket() as listener:
        message = {"do": "serve", "sites": [told(1), told(2)]}
        channel.send(other, message, [listener.fileno()] * 2)
    made._messages()
    assert set(made.held) == {"site-2"}
    assert "site-1 is not served: [Errno 24]" in capsys.readouterr().err


def test_who_waits_for_a_parent_that_ends_is_answered(parent, monkeypatch):
    made, other = parent
    monkeypatch.setattr(signal, "set_wakeup_fd", lambda *_, **__: None)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    made.why = "the project cannot be loaded"
    accept = made._apologies.accept

    def accept_last(*given):
        accept(*given)
        made.draining = True

    made._apologies.accept = accept_last
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        channel.send(other, {"do": "serve", "sites": [told(1)]}, [listener.fileno()])
        with socket.create_connection(listener.getsockname()) as client:
            client.settimeout(5)
            made.run(None)
            assert made._apologies.due == NEVER
            assert client.recv(100).startswith(b"HTTP/1.1 503")
