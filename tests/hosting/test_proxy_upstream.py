"""The instance's side of the asyncio router, without a connection: who is asked, and how often."""

import time
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from sitefleet.hosting.proxy import upstream as module
from sitefleet.hosting.proxy.requests import parse_request
from sitefleet.hosting.proxy.routes import Target
from sitefleet.hosting.proxy.state import Limits, State
from sitefleet.hosting.proxy.upstream import Upstream
from tests.hosting.proxy_heads import head


@pytest.fixture
def wires(monkeypatch):
    """Give the connections that were made to instances."""
    made = []
    monkeypatch.setattr(module, "Wire", lambda *_: made.append(Mock()) or made[-1])
    monkeypatch.setattr(module, "rewrite", lambda *_: b"")
    return made


@pytest.fixture
def clock():
    clock = SimpleNamespace(now=1000.0)
    clock.time = lambda: clock.now
    return clock


@pytest.fixture
def asked(wires, clock):
    state = State(clock, Limits())
    made = Upstream(state, Mock(is_blocked=False), parse_request(head()))
    made.start(Target("site-1"))
    return made


@pytest.mark.parametrize(("seconds", "tries"), [(0.9, 2), (1.1, 1)])
def test_what_an_instance_had_for_long_is_not_asked_again(asked, wires, clock, seconds, tries):
    clock.now += 30  # at the backlog
    asked.on_connected()
    clock.now += seconds
    asked.on_end(None)
    assert len(wires) == tries
    assert asked._client.answer.called is (tries == 1)


def test_what_an_instance_has_not_read_is_asked_again_at_any_time(asked, wires, clock):
    asked.on_connected()
    clock.now += 30
    asked.on_end(ConnectionResetError())
    assert len(wires) == 2


def test_a_request_counts_once_whoever_gets_it(asked, wires):
    asked.on_unreachable()
    asked.on_connected()
    asked.on_end(None)
    asked.on_connected()
    new, last = asked._state.take_count()
    assert (new, abs(last - time.time()) < 60) == (1, True)
    assert asked._state.take_count() == (0, last)
