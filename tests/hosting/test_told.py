"""What processes of a server tell of themselves."""

import os

import pytest

from sitefleet.hosting.servers import told as module
from sitefleet.hosting.servers.told import Told, children_of


@pytest.fixture
async def told():
    made = Told()
    yield made
    made.close()


def write(told, text):
    os.write(told.write, text.encode())
    told.hear()


async def test_processes_beyond_those_that_are_wanted_are_restarts(told):
    write(told, "11 2\n12 2\n13 3\n")
    assert told.ready == 3
    assert [told.restarts(2, 2), told.restarts(3, 1), told.restarts(9, 1)] == [0, 0, 0]
    write(told, "14 2\n15 3\n16 3\n")
    assert [told.restarts(2, 2), told.restarts(3, 1)] == [1, 2]


async def test_one_that_was_replaced_after_its_number_of_requests_is_none(told):
    write(told, "11 0\n-11 0\n12 0\n-12 0\n13 0\n")
    assert told.restarts(0, 1) == 0


async def test_a_site_fails_until_a_process_of_it_starts(told):
    write(told, "0 2\n11 3\n")
    assert told.failing == {2}
    assert told.ready == 1
    write(told, "12 2\n")
    assert told.failing == set()


async def test_half_a_line_waits_for_its_end_and_what_is_no_line_is_left_out(told):
    write(told, "11 2")
    assert told.ready == 0
    write(told, "5\nnoise 1\n12\n1 2 3\n13 x\n99999999999 1\n14 3\n")
    assert told.ready == 2
    assert [told.restarts(25, 0), told.restarts(3, 0)] == [1, 1]
    write(told, "x" * 100_0)
    write(told, "\n15 3\n")
    assert told.ready == 3


async def test_of_processes_only_those_count_that_the_server_has_forked(told, monkeypatch):
    monkeypatch.setattr(module, "children_of", lambda _master: [11, 12, 14])
    write(told, "11 2\n12 3\n13 2\n14 2\n")
    assert told.pids(1, 2) == [11, 14]
    assert children_of(0) == []


async def test_processes_that_have_ended_are_not_kept_for_ever(told, monkeypatch):
    monkeypatch.setattr(module, "MANY", 3)
    monkeypatch.setattr(told, "_many", 3)
    own = os.getpid()
    beyond = 4_194_304  # the kernel gives no such number
    write(told, "".join(f"{pid} 2\n" for pid in (own, beyond + 1, beyond + 2, beyond + 3)))
    assert told._sites == {own: 2}
