"""The end of one `sitefleet up`."""

import asyncio
from contextlib import suppress

from sitefleet.hosting.supervising import running as module
from sitefleet.hosting.supervising.running import Run, Wishes


class Stoppable:
    """A supervisor of nothing."""

    is_stopped = False

    async def stop(self):
        self.is_stopped = True


class Listening:
    """A control socket of nothing."""

    def stop(self):
        pass


async def deaf():
    """Lose the first cancellation, as `asyncio.wait_for` of Python 3.11 may."""
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(60)
    await asyncio.sleep(60)


async def test_a_part_that_has_lost_its_cancellation_does_not_keep_the_fleet_from_stopping(
    monkeypatch,
):
    monkeypatch.setattr(module, "CANCELLED_AGAIN", 0.01)
    run = Run(None, Wishes(), None)
    run.supervisor = Stoppable()
    run._go_on(deaf())
    await asyncio.sleep(0)
    async with asyncio.timeout(2):
        await run._end(Listening())
    assert run.supervisor.is_stopped
