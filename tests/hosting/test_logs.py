import io
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from sitefleet.hosting.processes import logs
from sitefleet.hosting.processes.logs import (
    Logs,
    MarkedOutput,
    install_marked_output,
    marked,
    speaker_of,
    stamp,
)
from sitefleet.hosting.processes.run_dir import RunDir


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


def said(path):
    """Return the lines of a log without their times."""
    return [line[len(stamp()) + 1 :] for line in path.read_text().splitlines()]


def test_each_process_has_a_log(written, run_dir):
    written.write("router", "one")
    written.write("router", "two")
    assert said(run_dir.logs / "router.log") == ["one", "two"]
    (last,) = written.last("router", 1)
    assert last.endswith(" two")


def test_each_line_has_its_time_and_lines_sort_by_it(written, run_dir):
    before = stamp()
    written.write("router", "one")
    time, _ = (run_dir.logs / "router.log").read_text().split()
    assert before <= time <= stamp()
    assert abs(datetime.fromisoformat(time) - datetime.now(UTC)).total_seconds() < 60


def test_a_marked_line_goes_to_the_log_of_its_site(written, run_dir, shown):
    written.write(*speaker_of(marked("site-3", "hello"), "zygote", {"site-3"}))
    assert said(run_dir.logs / "site-3.log") == ["hello"]
    assert shown == [("site-3", "hello")]


@pytest.mark.parametrize("key", ["../evil", "router", "site-", "site-" + "9" * 400, "site-٣"])
def test_a_mark_can_name_the_log_of_a_site_and_no_other_file(written, run_dir, key):
    written.write(*speaker_of(marked(key, "hello"), "zygote", {key, "site-3"}))
    assert [path.name for path in run_dir.logs.iterdir()] == ["zygote.log"]


@pytest.mark.parametrize("keys", [(), {"site-3"}], ids=["shared", "of-others"])
def test_a_process_marks_lines_of_the_sites_that_it_serves_and_of_no_others(keys):
    assert speaker_of(marked("site-4", "hello"), "zygote", keys) == ("zygote", "site-4hello")


def test_a_full_disk_costs_lines_and_is_told_once(written, run_dir, shown):
    away = run_dir.logs.rename(run_dir.root / "away")
    for number in range(3):
        written.write("router", str(number))
    assert written.lost == 3
    assert len([line for name, line in shown if name == "fleet"]) == 1
    away.rename(run_dir.logs)
    written.write("router", "again")
    assert written.lost == 0
    assert said(run_dir.logs / "fleet.log")[0].startswith("3 lines could not be written")


def test_a_short_line_that_still_fits_is_no_sign_of_room(written, run_dir, monkeypatch):
    away = run_dir.logs.rename(run_dir.root / "away")
    written.write("router", "one")
    away.rename(run_dir.logs)
    full = SimpleNamespace(f_bavail=0, f_files=9, f_favail=9)
    with monkeypatch.context() as patch:
        patch.setattr(os, "statvfs", lambda _: full)
        written.write("router", "two")
    assert (written.lost, (run_dir.logs / "fleet.log").exists()) == (1, False)
    written.write("router", "three")
    assert written.lost == 0


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
    assert said(run_dir.logs / "router.log") == ["one"]


def test_a_large_log_is_put_aside(written, run_dir, monkeypatch):
    monkeypatch.setattr(logs, "LARGEST", 30)
    for text in ("long enough", "new"):
        written.write("router", text)
    assert said(run_dir.logs / "router.log.1") == ["long enough"]
    assert said(run_dir.logs / "router.log") == ["new"]


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


def test_bytes_are_marked_as_text_is():
    read_end, write_end = os.pipe()
    output = MarkedOutput("site-3", write_end)
    assert output.buffer.write("schön\n".encode()) == 7
    output.buffer.write(b"\xff")
    output.buffer.flush()
    assert (output.buffer.fileno(), output.buffer.isatty()) == (write_end, False)
    os.close(write_end)
    with os.fdopen(read_end, encoding="utf-8") as reader:
        lines = reader.read().split("\n")
    assert lines == [marked("site-3", "schön"), marked("site-3", "\\xff"), ""]


def test_it_is_a_file_as_that_of_other_processes_is():
    read_end, write_end = os.pipe()
    output = MarkedOutput("site-3", write_end)
    output.writelines(["one\n", "two\n"])
    output.buffer.writelines([b"three\n"])
    print("four", file=io.TextIOWrapper(output.buffer, "utf-8"), flush=True)
    assert (output.writable(), output.readable(), output.closed) == (True, False, False)
    os.close(write_end)
    with os.fdopen(read_end, encoding="utf-8") as reader:
        lines = reader.read().split("\n")
    assert lines == [*(marked("site-3", text) for text in ("one", "two", "three", "four")), ""]


def test_output_is_marked_where_a_process_becomes_that_of_a_site(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    install_marked_output("site-3")
    assert (sys.stdout.fileno(), sys.stderr.fileno()) == (1, 2)
    assert not sys.stdout.isatty()


def test_a_log_that_was_taken_away_is_made_again(written, run_dir):
    path = run_dir.logs / "router.log"
    written.write("router", "one")
    path.rename(run_dir.logs / "moved")
    written.write("router", "two")
    path.unlink()
    written.write("router", "three")
    assert (said(run_dir.logs / "moved"), said(path)) == (["one"], ["three"])


def test_logs_are_not_opened_for_each_line_and_not_all_at_once(written, run_dir, monkeypatch):
    opened, closed, really_open, really_close = [], [], os.open, os.close
    monkeypatch.setattr(logs, "MOST_OPEN", 3)
    monkeypatch.setattr(os, "open", lambda *how: opened.append(how[0]) or really_open(*how))
    monkeypatch.setattr(os, "close", lambda number: closed.append(number) or really_close(number))
    for name in ("a", "b", "c", "a", "d", "a", "b"):
        written.write(name, "line")
    assert [Path(path).stem for path in opened] == ["a", "b", "c", "d", "b"]
    assert len(closed) == 2
    assert len(said(run_dir.logs / "a.log")) == 3
