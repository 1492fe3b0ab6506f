"""Requests by site: see `sitefleet.hosting.servers.counts`."""

import os
import subprocess
import sys
from threading import Thread
from time import time

import pytest

from sitefleet.hosting.servers.counts import ROW, Tally, Writer

SOON = pytest.approx(time(), abs=86_400)  # from when this is imported


@pytest.fixture
def prefix(tmp_path):
    return str(tmp_path / "shared")


def test_requests_are_told_by_site_and_by_process(tmp_path, prefix):
    one, two = Writer(prefix), Writer(str(tmp_path / "shared-asgi"))
    for site in (7, 9, 7):
        one.count(site)
    two.count(7)
    tally = Tally(tmp_path)
    assert tally.by_site == {7: (3, SOON), 9: (1, SOON)}
    assert tally.by_process == {"shared": (3, SOON), "shared-asgi": (1, SOON)}


def test_a_process_of_the_same_name_has_a_file_of_its_own(tmp_path, prefix):
    writers = [Writer(prefix) for _ in range(3)]
    for writer in writers:
        writer.count(1)
    assert len(list(tmp_path.iterdir())) == 3
    assert Tally(tmp_path).by_site == {1: (3, SOON)}


RUN = """
import os, sys
from sitefleet.hosting.servers.counts import Writer
writer = Writer(sys.argv[1])
writer.count(5)
"""
FORK = """
child = os.fork()
if child == 0:
    writer.count(5)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
writer.count(5)
"""


def run(code, *arguments):
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, timeout=60)


@pytest.mark.acceptance
def test_a_process_counts_on_where_one_before_it_has_ended(tmp_path, prefix):
    for number in range(1, 3):
        run(f"{RUN}writer.count({number})", prefix)
    assert [path.name for path in tmp_path.iterdir()] == ["shared.0"]
    assert Tally(tmp_path).by_site == {1: (1, SOON), 2: (1, SOON), 5: (2, SOON)}


@pytest.mark.acceptance
def test_what_is_forked_from_a_process_that_counts_has_a_file_of_its_own(tmp_path, prefix):
    run(RUN + FORK, prefix)
    assert len(list(tmp_path.iterdir())) == 2
    assert Tally(tmp_path).by_site == {5: (3, SOON)}


def test_threads_lose_nothing(tmp_path, prefix):
    writer = Writer(prefix)

    def count():
        for number in range(300):
            writer.count(number % 3)

    threads = [Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Tally(tmp_path).by_site == dict.fromkeys(range(3), (400, SOON))


def test_where_nothing_can_be_written_counts_are_lost_and_nothing_else(tmp_path):
    writer = Writer(str(tmp_path / "missing" / "shared"))
    writer.count(1)
    writer.count(1)
    assert Tally(tmp_path / "missing").by_site == {}


def test_a_disk_that_was_full_costs_no_counts(tmp_path, prefix, monkeypatch):
    writer = Writer(prefix)
    writer.count(1)

    def refuse(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", refuse)
        writer.count(1)
    assert Tally(tmp_path).by_site == {1: (1, SOON)}
    writer.count(1)
    assert Tally(tmp_path).by_site == {1: (3, SOON)}


def test_half_a_row_is_none(tmp_path, prefix):
    Writer(prefix).count(1)
    with (tmp_path / "shared.0").open("ab") as file:
        file.write(b"x" * (ROW.size - 1))
    assert Tally(tmp_path).by_site == {1: (1, SOON)}
