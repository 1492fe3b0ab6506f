import io
import os
import sys
from pathlib import Path

import pytest

from sitefleet.hosting import logs
from sitefleet.hosting.logs import Logs, MarkedOutput, install_marked_output, marked
from sitefleet.hosting.run_dir import RunDir


@pytest.fixture
def run_dir(tmp_path):
    made = RunDir(tmp_path)
    made.logs.mkdir()
    return made


@pytest.fixture
def shown():
    return []


@pytest.fixture
def written(run_dir, shown):
    return Logs(run_dir, lambda *line: shown.append(line))


def test_each_process_has_a_log(written, run_dir):
    written.write("router", "one")
    written.write("router", "two")
    assert (run_dir.logs / "router.log").read_text() == "one\ntwo\n"
    assert written.last("router", 1) == ["two"]


def test_a_marked_line_goes_to_the_log_of_its_site(written, run_dir, shown):
    written.write("zygote", marked("site-3", "hello"))
    assert (run_dir.logs / "site-3.log").read_text() == "hello\n"
    assert shown == [("site-3", "hello")]


@pytest.mark.parametrize("key", ["../evil", "router", "site-", "site-" + "9" * 400, "site-٣"])
def test_a_mark_can_name_the_log_of_a_site_and_no_other_file(written, run_dir, key):
    written.write("zygote", marked(key, "hello"))
    assert [path.name for path in run_dir.logs.iterdir()] == ["zygote.log"]


def test_a_full_disk_costs_lines_and_is_told_once(written, run_dir, shown):
    away = run_dir.logs.rename(run_dir.root / "away")
    for number in range(3):
        written.write("router", str(number))
    assert written.lost == 3
    assert len([line for name, line in shown if name == "fleet"]) == 1
    away.rename(run_dir.logs)
    written.write("router", "again")
    assert written.lost == 0
    assert (run_dir.logs / "fleet.log").read_text().startswith("3 lines could not be written")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_disk_without_room_is_told_with_the_reason(written, run_dir, shown):
    (run_dir.logs / "router.log").symlink_to("/dev/full")
    written.write("router", "one")
    written.write("router", "two")
    assert written.lost == 2
    assert [line for name, line in shown if name == "fleet"] == [
        "The logs cannot be written (No space left on device): lines of them are lost."
    ]
    written.write("shared", "three")  # another file has room
    assert "2 lines could not" in (run_dir.logs / "fleet.log").read_text()


def test_a_terminal_that_is_gone_costs_no_line(run_dir):
    def show(*_line):
        raise BrokenPipeError

    Logs(run_dir, show).write("router", "one")
    assert (run_dir.logs / "router.log").read_text() == "one\n"


def test_a_large_log_is_put_aside(written, run_dir, monkeypatch):
    monkeypatch.setattr(logs, "LARGEST", 10)
    for text in ("long enough", "new"):
        written.write("router", text)
    assert (run_dir.logs / "router.log.1").read_text() == "long enough\n"
    assert written.last("router", 5) == ["new"]


def test_a_process_of_one_site_marks_each_of_its_lines():
    read_end, write_end = os.pipe()
    output = MarkedOutput("site-3", write_end)
    print("one\ntwo", end="", file=output, flush=True)
    print("x" * 9000, file=output)
    os.close(write_end)
    with os.fdopen(read_end) as reader:
        lines = reader.read().split("\n")
    assert lines[:2] == [marked("site-3", "one"), marked("site-3", "two")]
    assert len(lines[2]) == 4000  # one piece for the pipe: PIPE_BUF is 4096


def test_output_is_marked_where_a_process_becomes_that_of_a_site(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    install_marked_output("site-3")
    assert (sys.stdout.fileno(), sys.stderr.fileno()) == (1, 2)
    assert not sys.stdout.isatty()
