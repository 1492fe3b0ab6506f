"""The zygote as the supervisor sees it, without a process."""

import os
from types import SimpleNamespace

import pytest

from sitefleet.hosting.drivers import zygote
from sitefleet.hosting.drivers.zygote import ZygoteDriver
from sitefleet.hosting.planning.plan import make_plan
from sitefleet.hosting.processes.run_dir import RunDir
from sitefleet.hosting.zygote.handle import Handle
from tests.hosting.fleets import fleet, site


class FakeHandle:
    """A parent that has loaded the project at once."""

    why, longest_timeout = "", 0
    can_start = True

    def __init__(self, _context, group, _environment, arguments):
        self.group, self.arguments, self.served = group, list(arguments), {}
        self.has_ended = False

    async def start(self):
        return self.can_start

    async def settled(self, _seconds):
        return True

    def serve(self, wanted):
        self.served = wanted

    async def has_all(self):
        pass

    async def stop(self, _patience):
        self.has_ended = True


@pytest.fixture
def made(monkeypatch):
    made = []

    def make(*given):
        made.append(FakeHandle(*given))
        return made[-1]

    monkeypatch.setattr(zygote, "Handle", make)
    return made


def plan(**serving):
    return make_plan(fleet(site(1), site(2), serving=serving))


@pytest.mark.parametrize(
    ("changed", "arguments"),
    [
        ({"immortal": False}, ["--mortal"]),
        ({"cgroup": "/fleet"}, ["--cgroup", "/fleet"]),
        ({"idle": 1}, None),
    ],
    ids=["immortal", "cgroup", "else"],
)
async def test_a_parent_is_replaced_when_it_is_started_otherwise_and_then_alone(
    made, changed, arguments
):
    driver = ZygoteDriver(SimpleNamespace(say=print))
    await driver.apply(plan())
    await driver.apply(plan(options=changed) if arguments is None else plan(**changed))
    assert [handle.arguments for handle in made] == [[], *([arguments] if arguments else [])]
    assert set(made[-1].served) == {"site-1", "site-2"}
    await driver.stop()
    assert all(handle.has_ended for handle in made)


async def test_a_parent_that_could_not_be_started_is_started_when_that_is_tried_again(
    made, monkeypatch
):
    driver = ZygoteDriver(SimpleNamespace(say=print))
    own = site(2, options={"environment": {"FLAVOUR": "salt"}})
    both = make_plan(fleet(site(1), own))
    await driver.apply(make_plan(fleet(site(1))))
    with monkeypatch.context() as patch:
        patch.setattr(FakeHandle, "can_start", False)
        with pytest.raises(OSError, match="1 of 2 parents cannot be started"):
            await driver.apply(both)
    await driver.apply(both)
    assert [set(handle.served) for handle in made] == [{"site-1"}, set(), {"site-2"}]
    await driver.stop()


async def test_a_parent_that_cannot_be_started_keeps_nothing_open(tmp_path):
    class Broken:
        def __init__(self, *_, descriptors, **__):
            self.descriptors = descriptors

        async def start(self):
            raise FileNotFoundError("no python")

    run_dir = RunDir(tmp_path)
    run_dir.files.mkdir()
    context = SimpleNamespace(
        run_dir=run_dir, say=lambda _text: None, process=Broken, python=lambda *words: words
    )
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208 - open files
    handle = Handle(context, "", {})
    assert not await handle.start()
    assert set(os.listdir("/proc/self/fd")) <= before  # noqa: PTH208 - as above
