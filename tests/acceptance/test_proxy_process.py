"""The asyncio router as the supervisor runs it: a process, its socket, its line for routes."""

import asyncio
import hashlib
import os
import re
import signal
import socket
import time
from pathlib import Path

import pytest

from sitefleet.exceptions import SiteError
from sitefleet.hosting.processes.memory import private_bytes
from sitefleet.hosting.processes.sockets import listen
from sitefleet.hosting.routers import asyncio_
from sitefleet.hosting.routers.asyncio_ import AsyncioRouter
from tests.acceptance.fleet_tools import wait_for
from tests.acceptance.load import Load
from tests.acceptance.routing import Routed, plan_of

pytestmark = pytest.mark.acceptance

SITES = {1: ("one.example.org",), 2: ("two.example.org",)}


@pytest.fixture
def routed():
    with Routed("asyncio", plan_of(SITES)) as made:
        yield made


@pytest.fixture(scope="module")
def shared():
    with Routed("asyncio", plan_of(SITES)) as made:
        yield made


def row(routed):
    (found,) = routed.run(routed.router.status())
    return found


def test_routes_change_at_once_and_without_a_loss(routed):
    with Load(routed, ["one.example.org"]) as load:
        pid = row(routed).pid
        for number in range(3, 13):
            routed.apply(plan_of({**SITES, number: ("new.example.org",)}))
            assert routed.get("new.example.org").told["server"] == f"site-{number}"
            load.go_on(3)
        routed.apply(plan_of(SITES))
        assert routed.get("new.example.org").told["server"] == "shared"
    assert load.done > 20
    assert load.failed == []
    assert row(routed).pid == pid


def test_a_killed_router_is_replaced_and_who_waits_is_answered(routed):
    routed.apply(plan_of({**SITES, 3: ("three.example.org",)}))
    os.kill(row(routed).pid, signal.SIGSTOP)
    pid = row(routed).pid
    with socket.create_connection(("127.0.0.1", routed.port), timeout=20) as waiting:
        waiting.sendall(b"GET / HTTP/1.1\r\nHost: three.example.org\r\nConnection: close\r\n\r\n")
        os.kill(pid, signal.SIGKILL)
        data = b""
        while part := waiting.recv(65536):
            data += part
    assert b'"site-3"' in data
    found = row(routed)
    assert found.pid != pid
    assert (found.state, found.restarts) == ("running", 1)


def test_a_router_is_replaced_by_a_new_one_without_a_loss(routed):
    pid = row(routed).pid
    with Load(routed, ["one.example.org"]) as load:
        routed.run(routed.router.reload())
        before = load.done
        while load.done < before + 20 and not load.failed:
            time.sleep(0.01)
    assert load.failed == []
    assert row(routed).pid != pid


def test_a_table_larger_than_a_pipe_is_taken_in_one_step(routed):
    many = {number: (f"host-{number}.example.org",) for number in range(3, 40)}
    aliases = tuple(f"alias-{number}.example.org" for number in range(20_000))
    routed.apply(plan_of({**SITES, **many, 50: aliases}))
    assert routed.get("alias-19999.example.org").told["server"] == "site-50"


def test_requests_are_counted(routed):
    routed.get("one.example.org")
    routed.get("one.example.org")
    routed.get("other.example.org")
    assert wait_for(lambda: row(routed).requests == 3)
    assert abs(row(routed).last_request - time.time()) < 10


def test_large_bodies_pass_in_little_memory(shared):
    size = 40_000_000
    before = private_bytes(row(shared).pid)
    body = os.urandom(1_000_000) * (size // 1_000_000)
    told = shared.get("one.example.org", method="POST", body=body).told
    assert told["length"] == size
    assert hashlib.sha256(body).hexdigest() in told.values()
    assert private_bytes(row(shared).pid) - before < 8_000_000


def test_the_process_ends_with_its_supervisor(shared):
    plan = plan_of(SITES)

    async def start_and_vanish():
        router = AsyncioRouter(shared.context)
        await router.start(plan)
        process = router._running.process
        process._stopping.set()  # nobody starts it again
        router._running.channel.close()
        router._running._theirs.close()
        async with asyncio.timeout(10):
            await process._task
        router._listening.close()
        return process.is_running

    assert shared.run(start_and_vanish()) is False


def test_the_process_uses_few_descriptors_and_a_high_limit(shared):
    proc = Path(f"/proc/{row(shared).pid}")
    text = (proc / "limits").read_text()
    soft, hard = re.search(r"Max open files\s+(\d+)\s+(\d+)", text).groups()
    assert soft == hard
    assert len(list((proc / "fd").iterdir())) < 30


def test_a_port_in_use_is_told_with_a_way_out():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(SiteError, match=f"{bind} already.*--bind"):
            listen(bind)


@pytest.mark.parametrize("bind", ["192.0.2.1:80", "no.such.host.invalid:80", "nonsense"])
def test_an_address_that_is_none_is_told(bind):
    with pytest.raises(SiteError, match=re.escape(bind)):
        listen(bind)


def test_ipv6_is_listened_on():
    with listen("[::1]:0") as made:
        host, port = made.getsockname()[:2]
        assert host == "::1"
        assert port


def test_what_is_missing_is_told(shared, monkeypatch):
    monkeypatch.setattr(asyncio_, "find_spec", {}.get)
    with pytest.raises(SiteError, match=r'pip install "django-sitefleet\[serve\]"'):
        shared.run(AsyncioRouter(shared.context).start(plan_of(SITES)))
