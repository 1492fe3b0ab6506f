"""The project in a process that is going to be forked: what it lets go of before."""

import gc
import socket
from types import SimpleNamespace

import pytest
from django.core.cache import caches
from django.core.cache.backends.base import BaseCache
from django.db import OperationalError

from sitefleet.hosting.planning.options import make_options
from sitefleet.hosting.planning.plan import code_group
from sitefleet.serving import program, zygote
from sitefleet.serving.program import DjangoProgram
from tests.hosting.fleets import fleet, site


class Connection:
    """One of PostgreSQL's, with a pool, which has threads."""

    def __init__(self):
        self.closed = []

    def close(self):
        self.closed.append("connection")

    def close_pool(self):
        self.closed.append("pool")


class Pool:
    """Closes its connections when it is freed, which the collector alone does."""

    open = []

    def __init__(self):
        self.itself = self
        self.open.append("a connection")

    def __del__(self):
        self.open.clear()


class Loaded:
    """A project that has left such a pool behind."""

    def __init__(self, group):
        assert group == "1f"
        Pool()

    def find_left_active(self):
        return []


class Parent:
    """Takes note of what is told."""

    draining = True

    def __init__(self, end, _cgroup):
        end.close()
        self.descriptors = set()

    def tell_problems(self, problems):
        Parent.told = [*problems]

    def tell(self, message):
        pass

    def run(self, program):
        pass


def away():
    raise OperationalError("the database is away")


@pytest.fixture
def connection(monkeypatch):
    """A connection that is open when the project was loaded, in a project without all else."""
    made = Connection()
    opened = SimpleNamespace(all=lambda *, initialized_only: [made] * initialized_only)
    monkeypatch.setattr(program, "connections", opened)
    monkeypatch.setattr(program, "load_wsgi", lambda: None)
    monkeypatch.setattr(program, "load_fleet", away)
    monkeypatch.setattr(program, "warm_project", lambda: None)
    monkeypatch.setattr(program, "resolver", SimpleNamespace())
    monkeypatch.setattr(program.workers, "preload", lambda _interface: None)
    return made


def test_connections_and_their_pools_are_closed_although_the_database_is_away(connection, capsys):
    DjangoProgram()
    assert connection.closed == ["connection", "pool"]
    assert "OperationalError: the database is away" in capsys.readouterr().err


def test_caches_are_closed_and_those_that_nobody_uses_are_not_made(
    connection, settings, monkeypatch
):
    locmem = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    settings.CACHES = {"default": locmem, "rare": {"BACKEND": "of.no.such.Library"}}
    closed = []
    monkeypatch.setattr(BaseCache, "close", lambda self, **_: closed.append(self))
    before = caches["default"]
    DjangoProgram()
    assert closed == [before]
    assert caches["default"] is not before


@pytest.mark.parametrize("environment", [{}, {"FLAVOUR": "mild"}])
def test_it_is_warmed_for_the_sites_of_its_code_group(connection, monkeypatch, environment):
    mild = {"environment": {"FLAVOUR": "mild"}}
    sites = [site(1), site(2, options=mild), site(3, mode="shared"), site(4), site(5, options=mild)]
    # Another driver than the settings name, as by --driver.
    found, warmed = fleet(*sites, serving={"driver": "uwsgi"}), []
    monkeypatch.setattr(program, "load_fleet", lambda: found)
    monkeypatch.setattr(program, "warm_for_fork", lambda *given: warmed.append(given[1:]))
    DjangoProgram(code_group(make_options({"environment": environment})))
    assert warmed == [(found, {2, 5} if environment else {1, 4})]


def test_a_connection_that_the_collector_closes_is_no_problem(monkeypatch):
    for name in ("install_marked_output", "reseed_after_fork"):
        monkeypatch.setattr(zygote, name, lambda _given: None)
    monkeypatch.setattr(zygote, "Parent", Parent)
    monkeypatch.setattr(zygote, "import_string", lambda _path: Loaded)
    monkeypatch.setattr(zygote, "find_threads", list)
    monkeypatch.setattr(zygote, "find_connections", lambda _own: [*Pool.open])
    monkeypatch.setattr(gc, "freeze", lambda: None)
    channel, other = socket.socketpair()
    gc.disable()  # until it is called
    try:
        assert zygote.main(["--fd", str(channel.detach()), "--group", "1f", "--mortal"]) == 0
    finally:
        gc.enable()
        other.close()
    assert Parent.told == []
