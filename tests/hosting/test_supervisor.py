"""The order in which things are changed, with drivers and routers that write down their calls."""

import asyncio
import os
import socket
from dataclasses import replace
from types import SimpleNamespace

import pytest

from sitefleet.exceptions import SiteError
from sitefleet.hosting.context import Status
from sitefleet.hosting.planning.plan import make_plan
from sitefleet.hosting.processes.leftovers import BELONGS_TO
from sitefleet.hosting.processes.logs import Logs
from sitefleet.hosting.processes.process import Process
from sitefleet.hosting.processes.project import Project
from sitefleet.hosting.processes.run_dir import RunDir
from sitefleet.hosting.routers.asyncio_ import AsyncioRouter, Running
from sitefleet.hosting.servers.counts import Tally, Writer
from sitefleet.hosting.supervising import supervisor as module
from sitefleet.hosting.supervising.supervisor import Supervisor, override
from sitefleet.hosting.supervising.telling import tell_status
from sitefleet.hosting.supervising.trial import Found
from tests.hosting.fleets import fleet, site


class Part:
    """A driver or a router."""

    def __init__(self, name, calls):
        self.name, self.calls = name, calls
        self.broken = 0
        self.busy = 0

    async def start(self, plan):
        await self.apply(plan)

    async def apply(self, plan):
        assert not self.busy, "two changes at once"
        self.busy += 1
        await asyncio.sleep(0)
        self.busy -= 1
        keys = plan.routes().values() if self.name == "router" else self._own(plan)
        self.calls.append((self.name, "apply", tuple(keys)))
        if self.broken:
            self.broken -= 1
            raise OSError("no space left")

    def _own(self, plan):
        return [one.key for one in (plan.shared if self.name == "shared" else plan.dedicated)]

    async def status(self):
        if self.broken:
            raise OSError("gone")
        return [Status(self.name, "running")]

    async def stop(self):
        self.calls.append((self.name, "stop"))
        if self.broken:
            raise OSError("gone")

    async def reload(self, key=""):
        self.calls.append((self.name, "reload", key))


@pytest.fixture
def calls():
    return []


@pytest.fixture
def running(tmp_path, monkeypatch, calls):
    """A supervisor of sites 1 and 2, which speaks to parts that write down their calls."""
    parts = {name: Part(name, calls) for name in ("router", "shared", "driver")}
    monkeypatch.setattr(module, "make_router", lambda _name, _context: parts["router"])
    monkeypatch.setattr(module, "make_driver", lambda _name, _context: parts["driver"])
    monkeypatch.setattr(module, "make_shared", lambda _context: parts["shared"])
    run_dir = RunDir(tmp_path)
    run_dir.logs.mkdir()
    run_dir.counts.mkdir()
    made = Supervisor(None, run_dir, Logs(run_dir), make_plan(fleet(site(1), site(2))))
    made.context.sockets.tcp = True  # the paths of a test are too long
    made.reader = FakeReader()
    yield made
    made.context.sockets.close()


class FakeReader:
    def __init__(self):
        self.coming = asyncio.Queue()
        self.restarts = 0
        self.is_away = False
        self.started = False

    def restart(self):
        self.restarts += 1

    async def start(self):
        self.started = True

    async def next(self):
        return await self.coming.get()

    async def stop(self):
        pass


async def change(running, *fleets, until):
    """Let it follow these fleets until something is so."""
    following = asyncio.create_task(running.follow())
    for made in fleets:
        running.reader.coming.put_nowait(made)
    for _ in range(2000):
        if until():
            break
        await asyncio.sleep(0.001)
    following.cancel()
    await asyncio.wait((following,))
    assert until()


def dedicated_in(running):
    return {one.key for one in running.plan.dedicated}


async def test_a_new_site_listens_before_it_is_led_to(running, calls):
    await change(running, fleet(site(1), site(2), site(3)), until=lambda: len(calls) == 3)
    assert calls[-1] == ("router", "apply", ("site-1", "site-2", "site-3"))
    assert ("driver", "apply", ("site-1", "site-2", "site-3")) in calls[:2]


async def test_a_site_that_goes_loses_its_route_before_its_process(running, calls):
    await change(running, fleet(site(1)), until=lambda: dedicated_in(running) == {"site-1"})
    assert [call for call in calls if call[0] != "shared"] == [
        ("driver", "apply", ("site-1", "site-2")),
        ("router", "apply", ("site-1",)),
        ("driver", "apply", ("site-1",)),
    ]


async def test_the_socket_of_a_site_that_is_gone_is_closed(running):
    for key in ("site-1", "site-2"):
        running.context.sockets.get(key)
    await change(running, fleet(site(1)), until=lambda: dedicated_in(running) == {"site-1"})
    assert set(running.context.sockets._held) == {"shared", "site-1"}


async def test_a_change_of_nothing_that_runs_disturbs_nobody(running, calls):
    same = replace(fleet(site(1), site(2), shared=9), generation=2)
    await change(running, same, until=lambda: running.plan.fleet.generation == 2)
    assert calls == []


async def test_what_could_not_be_changed_is_said_and_tried_again(running, calls, monkeypatch):
    monkeypatch.setattr(module, "AGAIN", (0.001,))
    running.driver.broken = 2
    wanted = fleet(site(1), site(2), site(3))
    await change(running, wanted, until=lambda: len(dedicated_in(running)) == 3)
    assert sum(call[0] == "driver" for call in calls) == 3
    said = (running.context.run_dir.logs / "fleet.log").read_text()
    assert "could not be made, it is tried again: OSError: no space left" in said


async def test_a_change_that_failed_is_taken_back_when_it_is_not_wanted_any_more(running, calls):
    running.driver.broken = 1
    wanted = [fleet(site(1), site(2), site(3)), fleet(site(1), site(2))]
    again = "router", "apply", ("site-1", "site-2")
    await change(running, *wanted, until=lambda: again in calls)
    assert calls[-3:-1].count(("driver", "apply", ("site-1", "site-2"))) == 1
    assert "site-3" not in running.context.sockets._held


async def test_a_change_is_not_tried_again_before_all_of_it_has_ended(running, monkeypatch):
    monkeypatch.setattr(module, "AGAIN", (0.001,))
    apply, done = running.driver.apply, []

    async def slow(plan):
        assert not running.driver.busy, "two changes at once"
        running.driver.busy = 1
        await asyncio.sleep(0.02)
        running.driver.busy = 0
        await apply(plan)
        done.append(plan)

    monkeypatch.setattr(running.driver, "apply", slow)
    running.shared.broken = 2
    wanted = fleet(site(1), site(2), site(3))
    await change(running, wanted, until=lambda: len(dedicated_in(running)) == 3)
    assert len(done) == 3


async def test_a_change_that_does_not_end_is_told_and_goes_on(running, monkeypatch):
    monkeypatch.setattr(module, "LATE", 0.01)
    apply, free = running.driver.apply, asyncio.Event()

    async def stuck(plan):
        await free.wait()
        await apply(plan)

    monkeypatch.setattr(running.driver, "apply", stuck)
    asyncio.get_running_loop().call_later(0.05, free.set)
    wanted = fleet(site(1), site(2), site(3))
    await change(running, wanted, until=lambda: len(dedicated_in(running)) == 3)
    said = (running.context.run_dir.logs / "fleet.log").read_text()
    assert said.count("A change has taken 0.01 seconds so far, and others wait") == 1


async def test_settings_that_count_at_start_alone_are_told_once(running):
    other = {"driver": "uwsgi"}
    fleets = [fleet(site(pk), serving=other) for pk in (1, 2)]
    await change(running, *fleets, until=lambda: dedicated_in(running) == {"site-2"})
    said = (running.context.run_dir.logs / "fleet.log").read_text()
    assert said.count("Takes effect at the next sitefleet up: driver.") == 1
    assert running.plan.fleet.serving.driver == "zygote"


async def test_what_a_program_has_read_at_its_start_is_told_to_count_later(running):
    at_start = running.plan.fleet.serving
    running.plan = make_plan(override(running.plan.fleet, {"router": "nginx"}))
    running.overridden = {"router": "nginx"}
    raw = {"nginx": "lines", "gunicorn": "backlog = 9"}
    wanted = fleet(site(1), serving={"trusted_proxies": ("10.0.0.0/8",), "raw": raw})
    await change(running, wanted, until=lambda: dedicated_in(running) == {"site-1"})
    said = (running.context.run_dir.logs / "fleet.log").read_text()
    assert "Takes effect at the next sitefleet up: raw, trusted_proxies." in said
    serving = running.plan.fleet.serving
    assert serving.trusted_proxies == at_start.trusted_proxies
    assert serving.raw == {"gunicorn": "backlog = 9"}


async def test_what_the_command_line_says_stays(running):
    running.plan = make_plan(override(running.plan.fleet, {"driver": "gunicorn"}))
    running.overridden = {"driver": "gunicorn"}
    wanted = fleet(site(1), site(2), site(3))
    await change(running, wanted, until=lambda: len(dedicated_in(running)) == 3)
    assert running.plan.fleet.serving.driver == "gunicorn"
    assert not (running.context.run_dir.logs / "fleet.log").read_text().count("Takes effect")


async def test_all_parts_are_stopped_though_one_fails_and_who_leads_to_them_first(running, calls):
    running.router.broken = 1
    await running.stop()
    assert [call[0] for call in calls] == ["router", "driver", "shared"]


async def test_a_part_that_cannot_tell_its_state_hides_no_other(running):
    running.driver.broken = 1
    rows = {row.instance: row for row in await running.status()}
    assert rows["driver"].state == "failing"
    assert "gone" in rows["driver"].note
    assert rows["shared"].state == rows["router"].state == "running"


async def test_a_process_that_is_about_to_start_again_is_told_beside_idle_sites(
    running, tmp_path, monkeypatch
):
    async def idle():
        return [Status("site-1", "idle")]

    monkeypatch.setattr(running.driver, "status", idle)
    monkeypatch.setattr(Process, "is_kept", True)
    running.context.project = Project(tmp_path, "settings")
    reader = running.context.process("reader", ["reader"])
    rows = {row.instance: row.state for row in await running.status()}
    assert rows[reader.name] == "starting"


async def test_requests_are_those_that_a_driver_counts_or_else_those_of_the_files(
    running, monkeypatch
):
    shared, other = (Writer(str(running.context.run_dir.counts / name)) for name in ("shared", "g"))
    for number in (1, 9, 9, 0):
        shared.count(number)
    other.count(2)

    async def told():
        return [Status("site-1", "running", requests=3), Status("site-2", "running")]

    monkeypatch.setattr(running.driver, "status", told)
    rows = {row.instance: row for row in await running.status()}
    assert {name: row.requests for name, row in rows.items()} == {
        "router": None,
        "shared": 4,
        "site-1": 3,
        "site-2": 1,
        "site-9": 2,
    }
    assert rows["site-9"].state == "shared"
    assert [name for name, row in rows.items() if row.last_request is None] == ["router", "site-1"]


async def test_a_fleet_that_starts_begins_to_count_anew(running):
    counts = running.context.run_dir.counts
    Writer(str(counts / "shared")).count(1)
    await running.start()
    assert Tally(counts).by_site == {}
    assert {row.instance: row.requests for row in await running.status()}["shared"] == 0


def test_a_process_of_several_sites_is_not_told_as_what_each_of_them_owns(running):
    row = Status("site-1", "running", os.getpid())
    told = tell_status(running.plan, [row], 1.0, running.context)["processes"]
    assert [row["instance"] for row in told if row["memory"] is None] == ["site-1"]


async def test_settings_that_count_at_once_are_applied_though_no_site_has_changed(running, calls):
    trusted = fleet(site(1), site(2), serving={"trusted_proxies": ("10.0.0.0/8",)})
    await change(running, trusted, until=lambda: running.plan.fleet == trusted)
    assert "router" in {call[0] for call in calls}


async def test_what_was_being_started_when_it_is_stopped_ends_too(running, tmp_path):
    running.context.project = Project(tmp_path, "settings")
    left = running.context.process("left", ["sleep", "1000"])
    await left.start()
    await running.stop()
    assert not left.is_running


def test_processes_can_be_found_by_whose_they_are_whatever_they_call_themselves(running, tmp_path):
    """`setproctitle`, which gunicorn uses where it is installed, would write over variables."""
    running.context.project = Project(tmp_path, "settings")
    variables = running.context.process("p", ["p"]).environment
    assert variables[BELONGS_TO] == str(running.context.run_dir.root)
    assert variables["SPT_NOENV"] == "1"


async def test_a_reload_waits_until_all_is_started(running, calls, monkeypatch):
    monkeypatch.setattr(module, "try_project", good)
    await running._changing.acquire()
    reload = asyncio.create_task(running.reload("shared"))
    starting = asyncio.create_task(running.start())
    await asyncio.sleep(0.01)
    assert calls == []
    for task in (reload, starting):
        task.cancel()
    await asyncio.wait((reload, starting))


@pytest.mark.parametrize(
    ("key", "reloaded"),
    [
        ("", {("shared", ""), ("driver", "")}),
        ("shared", {("shared", "shared")}),
        ("site-1", {("driver", "site-1")}),
    ],
    ids=["all", "shared", "site"],
)
async def test_what_is_named_is_reloaded_and_no_other(running, calls, monkeypatch, key, reloaded):
    monkeypatch.setattr(module, "try_project", good)
    monkeypatch.setattr(running.reader, "restart", lambda: None, raising=False)
    assert await running.reload(key) == ""
    assert {(call[0], call[2]) for call in calls} == reloaded


async def test_code_with_a_mistake_is_not_run(running, calls, monkeypatch):
    async def mistake(_project):
        return Found("SyntaxError: invalid syntax")

    monkeypatch.setattr(module, "try_project", mistake)
    assert await running.reload() == "SyntaxError: invalid syntax"
    assert calls == []


async def good(_project):
    return Found()


async def test_while_the_database_is_away_nothing_is_exchanged_that_knows_its_sites(
    running, calls, monkeypatch
):
    async def away(_project):
        return Found(trouble="the database does not answer: refused")

    monkeypatch.setattr(module, "try_project", away)
    assert await running.reload() == "the database does not answer: refused"
    running.reader.is_away = True
    assert await running.reload("site-1") == "the database does not answer"
    assert calls == []
    assert running.mistake == "", "the code is good"
    said = (running.context.run_dir.logs / "fleet.log").read_text()
    assert "Not reloaded, what runs goes on: the database does not answer" in said


async def test_where_its_address_is_taken_nothing_is_started(running, calls):
    with socket.create_server(("127.0.0.1", 0)) as other:
        bind = f"127.0.0.1:{other.getsockname()[1]}"
        running.plan = make_plan(override(running.plan.fleet, {"bind": bind}))
        with pytest.raises(SiteError, match=f"Something listens on {bind} already"):
            await running.start()
    assert calls == []
    assert not running.reader.started


async def test_a_site_that_is_forked_is_reloaded_though_new_code_is_broken(
    running, calls, monkeypatch
):
    async def mistake(_project):
        return Found("NameError: name 'x' is not defined (shop/urls.py, line 3)")

    monkeypatch.setattr(module, "try_project", mistake)
    assert await running.reload("site-1") == ""
    assert calls == [("driver", "reload", "site-1")]
    assert "NameError" in await running.reload()
    assert "line 3" in running.mistake
    monkeypatch.setattr(module, "try_project", good)
    await running.reload("shared")
    assert running.mistake == ""


async def test_a_process_beside_the_instances_can_be_reloaded(running, calls, monkeypatch):
    monkeypatch.setattr(module, "try_project", good)
    for name in ("router", "zygote", "reader"):
        assert await running.reload(name) == ""
    assert calls == [("router", "reload", ""), ("driver", "reload", "")]
    assert running.reader.restarts == 1


async def test_a_router_that_is_being_started_does_not_fail(running):
    (row,) = await AsyncioRouter(running.context).status()
    assert row.state == "starting"


@pytest.mark.parametrize("turns", range(4))
async def test_who_is_stopped_just_when_the_router_has_its_routes_stops(running, turns):
    made = Running(AsyncioRouter(running.context))
    made.process = SimpleNamespace(is_running=True, pid=0)
    applying = asyncio.create_task(made.apply())
    await asyncio.sleep(0.01)
    made._applied.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    is_told = applying.cancel()
    await asyncio.wait((applying,))
    for end in (made._ours, made._theirs):
        end.close()
    assert applying.cancelled() == is_told


def test_what_belongs_to_all_is_told_first_and_what_is_wrong_with_the_code(running):
    names = ("site-1", "zygote", "gunicorn-1f", "reader", "shared", "router")
    rows = [Status(name, "running") for name in names]
    told = tell_status(running.plan, rows, 1.0, running.context, "broken")["processes"]
    assert [row["instance"] for row in told] == [
        *("fleet", "router", "shared", "reader", "zygote", "gunicorn-1f", "site-1")
    ]
    assert told[0]["note"] == "broken"
