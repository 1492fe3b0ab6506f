"""What the supervisor asks of the process that tells it of changes, and what that does first."""

import json
import os
from types import SimpleNamespace

import pytest

from sitefleet.hosting.supervising.reader import Reader
from sitefleet.serving import reader as module
from tests.hosting.fleets import fleet


async def test_each_reader_but_the_first_knows_that_another_was_before_it():
    started = []

    class Process:
        def __init__(self, _name, argv, descriptors):
            self.argv, self.descriptors = argv, descriptors

        async def start(self):
            started.append(list(self.argv))

        async def stop(self, _patience):
            pass

    reader = Reader(SimpleNamespace(process=Process, python=lambda *words: list(words)))
    await reader.start()
    await reader.process.start()  # as it is started again
    assert started[1] == [*started[0], "--again"]
    assert module._parser().parse_args(started[1][1:]).again
    await reader.stop()


@pytest.mark.parametrize(("again", "told_after"), [(False, 0.0), (True, 7.0)])
def test_what_a_reader_finds_after_another_is_told_when_all_servers_know_it(
    monkeypatch, again, told_after
):
    now, told = [100.0], []
    monkeypatch.setattr(module, "monotonic", lambda: now[0])
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    made = module.Reader(write_end)
    made._load = lambda: fleet(freshness=7.0)
    made._waiting = SimpleNamespace(generation=lambda: 1, wait=None)

    def wait(seconds):
        now[0] += seconds
        try:
            told.append((now[0] - 100.0, json.loads(os.read(read_end, 65536))))
        except BlockingIOError:
            return now[0] < 120
        return False

    made._waiting.wait = wait
    made.run(again=again)
    os.close(read_end)
    os.close(write_end)
    ((after, _),) = told
    assert told_after <= after <= told_after + 0.5
