"""The order in which things are changed, with drivers and routers that write down their calls."""

import asyncio
from dataclasses import replace

import pytest

from sitefleet.hosting import supervisor as module
from sitefleet.hosting.context import Status
from sitefleet.hosting.logs import Logs
from sitefleet.hosting.plan import make_plan
from sitefleet.hosting.run_dir import RunDir
from sitefleet.hosting.supervisor import Supervisor, override
from tests.hosting.fleets import fleet, site


class Part:
    """A driver or a router."""

    def __init__(self, name, calls):
        self.name, self.calls = name, calls
        self.broken = 0
        self.busy = 0

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
    made = Supervisor(None, run_dir, Logs(run_dir), make_plan(fleet(site(1), site(2))))
    made.reader = FakeReader()
    yield made
    made.context.sockets.close()


class FakeReader:
    def __init__(self):
        self.coming = asyncio.Queue()

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
    running.context.sockets.tcp = True  # the paths of a test are too long
    for key in ("site-1", "site-2"):
        running.context.sockets.get(key)
    await change(running, fleet(site(1)), until=lambda: dedicated_in(running) == {"site-1"})
    assert list(running.context.sockets._held) == ["site-1"]


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


async def test_settings_that_count_at_start_alone_are_told_once(running):
    other = {"driver": "uwsgi"}
    fleets = [fleet(site(pk), serving=other) for pk in (1, 2)]
    await change(running, *fleets, until=lambda: dedicated_in(running) == {"site-2"})
    said = (running.context.run_dir.logs / "fleet.log").read_text()
    assert said.count("Takes effect at the next sitefleet up: driver.") == 1
    assert running.plan.fleet.serving.driver == "zygote"


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
    monkeypatch.setattr(module, "find_mistake", no_mistake)
    monkeypatch.setattr(running.reader, "restart", lambda: None, raising=False)
    assert await running.reload(key) == ""
    assert {(call[0], call[2]) for call in calls} == reloaded


async def test_code_with_a_mistake_is_not_run(running, calls, monkeypatch):
    async def mistake(_project):
        return "SyntaxError: invalid syntax"

    monkeypatch.setattr(module, "find_mistake", mistake)
    assert await running.reload() == "SyntaxError: invalid syntax"
    assert calls == []


async def no_mistake(_project):
    return ""
