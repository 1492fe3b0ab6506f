"""The listening thread: only where it can listen. What it hears: acceptance/test_freshness."""

import logging
import os
from threading import Event, Thread

import pytest
from django.db import InterfaceError, OperationalError, connections
from django.test import override_settings

from sitefleet import listener as module
from sitefleet.listener import Listener


@pytest.fixture
def listener():
    listener = Listener()
    yield listener
    thread = listener.thread
    listener.stop()
    if thread is not None and thread is not Thread:
        thread.join(10)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(module, "RETRY", 0.01)
    monkeypatch.setattr(module, "PATIENCE", 0.01)


class PostgreSQL:
    vendor = "postgresql"

    def close(self):
        pass


def test_nothing_listens_unless_the_settings_say_so(listener):
    listener.ensure_running()
    assert listener.thread is None


@override_settings(SITEFLEET={"LISTEN": True})
def test_nothing_listens_to_other_databases(listener, monkeypatch):
    monkeypatch.setattr(module, "connections", {"default": connections["default"]})
    if connections["default"].vendor == "postgresql":
        pytest.skip("this is about the other ones")
    listener.ensure_running()
    assert listener.thread is None


@override_settings(SITEFLEET={"LISTEN": True})
@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_a_lost_connection_is_tried_again_and_told(listener, quick, monkeypatch, caplog, error):
    asked, again = Event(), Event()
    tries = []

    def listen(self, alias, me):
        asked.wait(10)  # else it may be over before it is looked at
        tries.append(alias)
        if len(tries) > 2:
            again.set()
            self.stop()
            return
        message = "terminated"
        raise error(message)

    monkeypatch.setattr(module, "connections", {"default": PostgreSQL()})
    monkeypatch.setattr(Listener, "_listen", listen)
    with caplog.at_level(logging.WARNING, "sitefleet"):
        listener.ensure_running()
        first = listener.thread
        listener.ensure_running()
        assert listener.thread is first, "one thread, however often it is asked for"
        asked.set()
        assert again.wait(10)
        first.join(10)
    assert caplog.text.count("trying again: terminated") == 2


@override_settings(SITEFLEET={"LISTEN": True})
def test_a_thread_that_ended_is_started_again(listener, monkeypatch):
    monkeypatch.setattr(module, "connections", {"default": PostgreSQL()})
    monkeypatch.setattr(Listener, "_run", lambda *_: None)
    listener.ensure_running()
    first = listener.thread
    first.join(10)
    listener.ensure_running()
    assert listener.thread is not first
    listener.thread.join(10)


@override_settings(SITEFLEET={"LISTEN": True})
def test_a_forked_process_starts_its_own_thread(listener, monkeypatch):
    done = Event()
    monkeypatch.setattr(module, "connections", {"default": PostgreSQL()})
    monkeypatch.setattr(Listener, "_run", lambda *_: done.wait(20))
    listener.ensure_running()
    assert listener.thread.is_alive()
    child = os.fork()
    if not child:
        before = listener.thread
        listener.ensure_running()
        # Threads do not survive a fork: 0 says that there is a new one.
        os._exit(int(before is listener.thread or not listener.thread.is_alive()))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    done.set()
    listener.thread.join(10)
