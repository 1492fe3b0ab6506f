import io
import os
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path

import pytest

from sitefleet.hosting.cli.terminal import Terminal
from sitefleet.terminal import (
    UNREAD,
    Progress,
    columns,
    ending_with_its_reader,
    open_standard_streams,
    printable,
)


class Screen(io.StringIO):
    def isatty(self):
        return True


def test_a_name_is_seen_as_what_it_is_and_writes_to_no_other_line():
    evil = "a\x1b[2J\nb\u202ec"
    assert printable(evil) == "a\\x1b[2J\\nb\\u202ec"
    assert printable(evil, kept="\n") == "a\\x1b[2J\nb\\u202ec"


def test_columns_are_as_wide_as_their_widest_cell():
    assert columns(("id", "name"), [("1", "a"), ("1000", "b")]) == [
        "id    name",
        "1     a",
        "1000  b",
    ]
    assert columns(("id",), []) == ["id"]


def test_a_bar_is_drawn_and_taken_away():
    screen = Screen()
    bar = Progress(stream=screen)
    bar.clear()
    assert screen.getvalue() == ""
    bar(1, 4, "servers")
    assert screen.getvalue() == "\r\x1b[K[######..................] 1/4 servers"
    bar.clear()
    bar.clear()
    assert screen.getvalue().endswith("servers\r\x1b[K")


@pytest.mark.parametrize(
    ("quiet", "stream"), [(True, Screen()), (False, io.StringIO())], ids=["quiet", "no terminal"]
)
def test_a_bar_is_for_terminals_whose_owner_wants_it(quiet, stream):
    bar = Progress(quiet=quiet, stream=stream)
    bar(0, 0)
    bar.clear()
    assert stream.getvalue() == ""


@pytest.fixture
def unread():
    """A stream to a pipe that nobody reads."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "w") as stream:
        yield stream


@pytest.mark.parametrize("size", [1, 1_000_000], ids=["at its end", "on the way"])
def test_who_writes_to_a_closed_pipe_ends_quietly(unread, monkeypatch, capsys, size):
    monkeypatch.setattr(sys, "stdout", unread)
    with pytest.raises(SystemExit) as ended, ending_with_its_reader():
        sys.stdout.write("x" * size)
    assert ended.value.code == UNREAD
    unread.flush()  # as Python does at its end: there is nothing left that fails
    assert capsys.readouterr().err == ""


def test_it_does_so_without_a_stream_for_errors_too(unread, monkeypatch):
    monkeypatch.setattr(sys, "stdout", unread)
    monkeypatch.setattr(sys, "stderr", None)
    with pytest.raises(SystemExit) as ended, ending_with_its_reader():
        sys.stdout.write("x")
    assert ended.value.code == UNREAD


@pytest.mark.parametrize("arguments", [["--help"], ["--wrong"]], ids=["done", "refused"])
def test_who_writes_to_a_full_disk_ends_with_the_reason_and_no_traceback(monkeypatch, arguments):
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        full.write("x")
        with pytest.raises(SystemExit) as ended, ending_with_its_reader():
            ArgumentParser().parse_args(arguments)
        full.flush()  # as Python does at its end
    assert ended.value.code == "Standard output took no more: No space left on device."


def test_the_help_to_a_closed_pipe_ends_quietly_too(unread, monkeypatch):
    monkeypatch.setattr(sys, "stdout", unread)
    with pytest.raises(SystemExit) as ended, ending_with_its_reader():
        ArgumentParser().parse_args(["--help"])
    assert ended.value.code == UNREAD


def test_a_command_that_goes_on_though_nobody_reads_says_the_rest_to_nobody(unread):
    terminal = Terminal(unread)
    with pytest.raises(BrokenPipeError):
        terminal.line("one")
    terminal.goes_on = True
    terminal.line("two")
    terminal.line("three")


def test_streams_that_are_there_stay_as_they_are():
    streams = sys.stdin, sys.stdout, sys.stderr
    open_standard_streams()
    assert (sys.stdin, sys.stdout, sys.stderr) == streams


@pytest.mark.acceptance
def test_the_numbers_of_closed_streams_are_nobody_elses():
    code = (
        "import os; from sitefleet.terminal import open_standard_streams as do; do();"
        " print('lost'); assert os.open('/dev/null', 0) > 2"
    )
    close = f"exec '{sys.executable}' -c \"{code}\" <&- >&- 2>&-"
    assert subprocess.run(["sh", "-c", close], check=False).returncode == 0
