"""What the supervisor asks of the process that tells it of changes, and what that does first."""

import asyncio
import json
import os
from types import SimpleNamespace

import pytest
from django.db import OperationalError

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
            lines = os.read(read_end, 65536).splitlines()
            told.extend((now[0] - 100.0, line) for line in lines if b"trouble" not in line)
        except BlockingIOError:
            pass
        return now[0] < 120 and not told

    made._waiting.wait = wait
    made.run(again=again)
    os.close(read_end)
    os.close(write_end)
    ((after, _),) = told
    assert told_after <= after <= told_after + 0.5


class Told(SimpleNamespace):
    """A reader of the supervisor, to which lines come."""

    async def next(self, *lines):
        self.reader._lines = asyncio.StreamReader()
        self.reader._lines.feed_data(b"".join(line + b"\n" for line in lines))
        return await self.reader.next()


@pytest.fixture
def told():
    reader = Reader(None)
    reader.process = SimpleNamespace(note="")
    return Told(reader=reader)


AWAY = b'{"trouble": "the database does not answer: refused", "away": true}'
FLEET = fleet().as_json().encode()


async def test_trouble_of_a_reader_is_in_its_status_with_when_it_began(told):
    assert await told.next(AWAY, FLEET) == fleet()
    note = told.reader.process.note
    assert note.startswith("the database does not answer: refused (since 2")
    assert told.reader.is_away
    await told.next(AWAY, FLEET)  # of another reader, in the same outage
    assert told.reader.process.note == note
    await told.next(b'{"trouble": "", "away": false}', FLEET)
    assert (told.reader.process.note, told.reader.is_away) == ("", False)


async def test_what_was_found_before_an_outage_does_not_end_it(told):
    await told.next(AWAY, FLEET)
    await told.next(FLEET)
    assert told.reader.is_away


def test_a_reader_tells_once_that_the_database_is_away_and_that_it_is_back():
    read_end, write_end = os.pipe()
    made = module.Reader(write_end)
    answers = iter([OperationalError("refused"), OperationalError("refused"), 1, 1])

    def generation():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    waits = iter([True, True, True, True, False])
    made._load = fleet
    made._waiting = SimpleNamespace(
        generation=generation, wait=lambda _: next(waits), reset=lambda: None
    )
    made.run()
    os.close(write_end)
    with os.fdopen(read_end) as lines:
        found = [json.loads(line) for line in lines]
    assert [line for line in found if "trouble" in line] == [
        {"trouble": "the database does not answer: refused", "away": True},
        {"trouble": "", "away": False},
    ]


def test_a_reader_that_is_started_in_an_outage_tells_that_and_ends():
    read_end, write_end = os.pipe()
    made = module.Reader(write_end)

    def load():
        raise OperationalError("refused")

    made._load = load
    with pytest.raises(OperationalError):
        made.run(again=True)
    os.close(write_end)
    with os.fdopen(read_end) as lines:
        assert json.loads(lines.read())["away"]
