"""Servers that are replaced, with processes that are none."""

import asyncio
import os
import socket
import threading
from types import SimpleNamespace

import pytest

from sitefleet.exceptions import SiteError
from sitefleet.hosting.drivers.gunicorn import GunicornDriver
from sitefleet.hosting.drivers.shared import SharedDriver
from sitefleet.hosting.planning.options import Options
from sitefleet.hosting.planning.plan import Instance, make_plan
from sitefleet.hosting.processes.project import Project
from sitefleet.hosting.processes.run_dir import RunDir
from sitefleet.hosting.servers import granian, masters, trial
from sitefleet.hosting.servers.masters import Master, Server
from tests.hosting.fleets import fleet, site


class FakeServer:
    """Comes up, or does not."""

    comes_up = True
    is_ready = False

    def __init__(self, *_):
        self.process = SimpleNamespace(is_running=False, failures=masters.HOPELESS, restarts=0)
        self.told = SimpleNamespace(failing=set())

    async def start(self):
        return self.comes_up

    async def stop(self):
        pass

    def pids(self, _site):
        return [-1]

    def restarts(self, _instance):
        return 0


SHARED = Instance("shared", None, "", (), Options())


@pytest.fixture
def context(tmp_path):
    run_dir = RunDir(tmp_path)
    run_dir.files.mkdir()
    return SimpleNamespace(run_dir=run_dir, say=lambda _text: None, python=lambda *words: words)


@pytest.fixture
async def master(context, monkeypatch):
    monkeypatch.setattr(masters, "Server", FakeServer)
    monkeypatch.setattr(masters, "APOLOGY", 0.005)
    made = Master(context, "shared")
    yield made
    await made.stop()


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as made:
        made.setblocking(False)
        yield made


async def run(master, *descriptors):
    await master.run([], {}, descriptors, patience=1)


async def test_a_server_that_does_not_come_up_leaves_the_file_of_the_one_that_runs(
    master, context, monkeypatch
):
    async def run_with(text):
        given = master.configure("shared.gunicorn.py", text)
        assert given.read_text() == text
        await run(master)
        return [path.read_text() for path in context.run_dir.files.glob("*.py")]

    assert await run_with("one") == ["one"]
    monkeypatch.setattr(FakeServer, "comes_up", False)
    assert await run_with("two") == ["one"]
    assert await run_with("one") == ["one"]  # a reload: it is that of both
    monkeypatch.setattr(FakeServer, "comes_up", True)
    assert await run_with("three") == ["three"]


async def test_a_first_server_that_comes_up_late_is_no_failure_by_then(master, monkeypatch):
    monkeypatch.setattr(FakeServer, "comes_up", False)
    await run(master)
    status = master.status(SHARED)
    assert (status.state, status.note) == ("failing", "It does not come up: see its log.")
    monkeypatch.setattr(FakeServer, "is_ready", True)
    status = master.status(SHARED)
    assert (status.state, status.note) == ("running", "")
    await run(master)  # another one, which does not
    assert master.status(SHARED).note.startswith("What ran before goes on")


async def test_who_waits_for_a_server_that_only_ends_is_answered_without_a_thread(master, listener):
    before = threading.active_count()
    await run(master, listener.fileno())
    for _ in range(2):
        assert (await ask(listener)).startswith(b"HTTP/1.1 503")
    assert threading.active_count() == before


async def test_a_socket_that_is_closed_or_another_by_now_ends_no_apologies(master, listener):
    other = socket.socket()
    numbers = other.fileno(), os.dup(other.fileno())
    await run(master, *numbers, listener.fileno())
    other.close()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        os.dup2(taken.fileno(), numbers[1])  # another site's
        try:
            assert (await ask(listener)).startswith(b"HTTP/1.1 503")
            client = socket.create_connection(taken.getsockname())
            with client:
                await asyncio.sleep(0.03)
                client.setblocking(False)
                with pytest.raises(BlockingIOError):
                    client.recv(1)
        finally:
            os.close(numbers[1])


async def test_who_is_being_answered_when_it_is_stopped_is_answered(master, listener, monkeypatch):
    monkeypatch.setattr(masters, "APOLOGY", 0.05)
    await run(master, listener.fileno())
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    async with asyncio.timeout(2):
        while listener_waits(listener):  # noqa: ASYNC110 - the kernel has no events for it
            await asyncio.sleep(0.001)
    await master.stop()
    assert (await reader.read()).startswith(b"HTTP/1.1 503")
    writer.close()


def listener_waits(listener):
    """Whether nobody has taken the connection yet."""
    with open("/proc/net/tcp") as table:  # noqa: PTH123 - a table of the kernel
        mark = f":{listener.getsockname()[1]:04X} "
        (row,) = [line.split() for line in table if line.split()[3] == "0A" and mark in line]
    return not row[4].endswith("00000000")


async def ask(listener):
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    async with asyncio.timeout(2):
        answer = await reader.read()
    writer.close()
    return answer


DRIVERS = {
    "gunicorn": (GunicornDriver, [site(1), site(2, options={"timeout": 9})]),
    "shared": (SharedDriver, [site(1, mode="shared", options={"interface": "asgi"})]),
}


async def test_a_server_that_there_is_no_process_for_leaves_what_runs_and_keeps_nothing_open(
    master, context, monkeypatch
):
    class Broken:
        is_running, restarts = False, 0

        async def start(self):
            raise OSError(11, "Resource temporarily unavailable")

        async def stop(self, _patience):
            pass

    await run(master)
    before, files = master.server, set(os.listdir("/proc/self/fd"))  # noqa: PTH208 - open files
    monkeypatch.setattr(masters, "Server", Server)
    context.process = lambda *_, **__: Broken()
    with pytest.raises(OSError, match="temporarily unavailable"):
        await run(master)
    assert master.server is before
    await asyncio.wait(master._ending)
    assert set(os.listdir("/proc/self/fd")) <= files  # noqa: PTH208 - as above


@pytest.mark.parametrize("name", sorted(DRIVERS))
async def test_what_has_come_up_is_not_started_again_because_another_could_not_be(
    name, context, monkeypatch
):
    kind, sites = DRIVERS[name]
    driver, ran = kind(context), []

    async def run(one):
        ran.append(one)
        if len(ran) == 1:
            raise OSError("no space left")

    monkeypatch.setattr(driver, "_run", run)
    plan = make_plan(fleet(*sites, serving={"driver": "gunicorn"}, has_asgi=True))
    with pytest.raises(OSError, match="no space left"):
        await driver.apply(plan)
    assert len(await driver.status()) == 2  # it is not done, and is there
    await driver.apply(plan)
    await driver.apply(plan)
    assert len(ran) == 3
    assert ran[2] == ran[0] != ran[1]


RAW = {
    "gunicorn": (
        "backlog = 9",
        "backlog = (",
        r"\['gunicorn'\] cannot be used: '\(' was never closed",
    ),
    "granian": ("--no-ws", "--no-such", r"\['granian'\] cannot be used: No such option"),
}


@pytest.mark.parametrize("name", sorted(RAW))
async def test_lines_that_a_server_does_not_take_are_refused_and_what_runs_goes_on(
    name, context, monkeypatch
):
    pytest.importorskip(name)
    good, bad, why = RAW[name]
    monkeypatch.setattr(granian, "check_version", lambda: None)
    tried = []

    async def once(command, **_):
        assert command[:3] == (context.project.python, "-m", trial.MODULE)
        tried.append(command[-1])
        reason = trial.TRIALS[command[3]](list(command[4:]))
        return bool(reason), reason

    monkeypatch.setattr(trial, "run_once", once)
    context.project = Project(context.run_dir.root, "project.settings")
    driver, ran = SharedDriver(context), []

    async def run(one):
        ran.append(one)

    monkeypatch.setattr(driver, "_run", run)

    def plan(raw, *sites):
        serving = {"server": name, "raw": {name: raw}}
        return make_plan(fleet(*sites, serving=serving, has_asgi=True))

    await driver.apply(plan(good))
    await driver.apply(plan(good, site(1, mode="shared", options={"interface": "asgi"})))
    assert tried == [good], "it is tried once"
    with pytest.raises(SiteError, match=why):
        await driver.apply(plan(bad))
    await driver.reload()
    assert ran == ["shared", "shared-asgi"] * 2
    assert [row.instance for row in await driver.status()] == ["shared", "shared-asgi"]


async def test_arguments_that_cannot_be_read_are_refused(context, monkeypatch):
    monkeypatch.setattr(granian, "check_version", lambda: None)
    serving = {"server": "granian", "raw": {"granian": "--log '"}}
    with pytest.raises(SiteError, match=r"\['granian'\] cannot be read: No closing quotation"):
        await SharedDriver(context).apply(make_plan(fleet(serving=serving)))
