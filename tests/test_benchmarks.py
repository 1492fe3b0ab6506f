"""The benchmarks run and write their pages. Times are never asserted: machines differ."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import figures, report, workers
from benchmarks.environments import clean_environ
from benchmarks.serving import asking, choosing, starting, wrk

ROOT = Path(__file__).parent.parent
#: The measures of servers.
SERVING = ("processes", "crowd", "routers", "shared", "live")
FEW = {"crowd": {"sites": 5}}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The cheap measures, once, with databases of their own."""
    patch = pytest.MonkeyPatch()
    patch.setattr(workers, "DATA", tmp_path_factory.mktemp("data"))
    found = {
        name: report.stamped(report.measure(name).run(quick=True))
        for name in ("hot", "cold", "start", "polling")
    }
    yield found
    patch.undo()


def test_a_quick_run_gives_the_queries_that_are_promised(results):
    for case in results["hot"]["figures"]["cases"]:
        assert case["configurations"]["sitefleet"]["queries"] == 0
    for found in results["cold"]["figures"]["databases"]:
        assert found["queries"] == 1


def test_every_figure_is_written_to_the_page(results):
    page = report.render(results)
    for name in results:
        assert f"`python -m benchmarks {name}`" in page
        for what, figure, _, _ in report.measure(name).headline(results[name]["figures"]):
            assert f"| {what} | {figure} |" in page


def test_results_survive_the_file_they_are_kept_in(results):
    again = json.loads(json.dumps(results))
    assert report.render(again) == report.render(results)


def test_pages_are_changed_between_the_marks_only(results, tmp_path, monkeypatch):
    page, unmarked = tmp_path / "marked.md", tmp_path / "unmarked.md"
    page.write_text(f"before\n{report.START}\nold\n{report.END}\nafter\n")
    unmarked.write_text("nothing to fill in\n")
    monkeypatch.setattr(report, "RESULTS", tmp_path / "results.json")
    monkeypatch.setattr(report, "PAGE", tmp_path / "README.md")
    monkeypatch.setattr(report, "SHOWN_IN", {page: True, unmarked: True})
    details = tmp_path / "details.md"
    details.write_text("<!-- benchmarks:hot:start -->\nold\n<!-- benchmarks:hot:end -->\nafter\n")
    monkeypatch.setattr(report, "DETAILS", details)

    report.write(results)
    report.write(results)

    text = page.read_text()
    assert text.startswith(f"before\n{report.START}\n| what |")
    assert text.endswith(f"|\n{report.END}\nafter\n")
    assert "old" not in text
    assert unmarked.read_text() == "nothing to fill in\n"
    found = "\n\n".join(report.details("hot", results))
    marked = f"<!-- benchmarks:hot:start -->\n{found}\n<!-- benchmarks:hot:end -->\nafter\n"
    assert details.read_text() == marked
    assert report.load() == json.loads(json.dumps(results))


def test_the_pages_that_are_kept_say_what_the_kept_results_say():
    results = report.load()
    assert set(results) == set(report.MEASURES)
    assert report.PAGE.read_text() == report.render(results)
    for page, whole in report.SHOWN_IN.items():
        text = page.read_text()
        if report.START in text:
            assert report.summarise(results, whole=whole) in text
    details = report.DETAILS.read_text()
    assert report.with_details(details, results) == details
    for name in ("choosing", *SERVING):
        assert f"<!-- benchmarks:{name}:end -->" in details


def test_an_unknown_measure_is_refused_with_the_names_of_those_there_are():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "hotter"],
        cwd=ROOT,
        env=clean_environ(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "no such measure: hotter (there are hot, cold, " in done.stderr


@pytest.mark.parametrize(
    ("value", "text"),
    [(2.5, "2.5 s"), (0.0123, "12.3 ms"), (0.00005, "50 us"), (0.0000004, "0.4 us"), (0, "0 us")],
)
def test_times_are_written_in_the_unit_that_fits(value, text):
    assert figures.seconds(value) == text


def test_a_measure_that_has_not_run_is_told_by_the_command_that_runs_it():
    assert report.details("crowd", {}) == ["Not measured yet: `python -m benchmarks crowd`."]
    assert choosing.render({}).count(choosing.UNKNOWN) == 10


def test_modes_are_told_apart_by_what_was_measured():
    cases = [
        {"engine": engine, "one": [used], "many": [used], "seconds": [seconds]}
        for engine, used, seconds in (
            ("driver `zygote`", {"private": 7.0, "pss": 20.0}, 0.012),
            ("driver `gunicorn`", {"private": 9.0, "pss": 30.0}, 0.8),
            ("uWSGI", {"private": 50.0, "pss": 110.0}, 0.9),
        )
    ]
    newer = {"engine": "driver `zygote` on Python 3.13", "python": "3.13", "seconds": [0.01]}
    cases.append({**newer, "one": [{"private": 3.0}], "many": [{"private": 4.0}]})
    found = {
        "processes": {"cases": cases},
        "crowd": {"pss": 6144.0},
        "shared": {"cases": [{"case": "sitefleet, gunicorn", "ratio": {"median": 0.97}}]},
        "live": {"seconds": {"shared": [0.4, 0.9], "dedicated": [0.5, 1.0]}},
    }
    rows = choosing.render({name: {"figures": each} for name, each in found.items()}).splitlines()
    assert "| 7 to 7 MB; on Python 3.13 3 to 4 MB | 9 to 9 MB | 110 to 110 MB |" in rows[2]
    assert "6.0 GB" in rows[4]
    assert "| 12 ms | as any other | 900 ms |" in rows[5]
    assert "| within 900 ms | within 1 s |" in rows[6]
    assert "| 0.97 |" in rows[7]


def test_what_wrk_writes_is_understood_and_failures_are_counted():
    found = wrk.read(WRK)
    assert (found.rate, found.median, found.failed) == (2421.07, 0.00655, 10)
    assert wrk.read(WRK.replace("6.55ms", "655.00us")).median == 0.000655


WRK = """Running 2s test @ http://127.0.0.1:8000/
  1 threads and 16 connections
  Latency Distribution
     50%    6.55ms
     99%   11.10ms
  4873 requests in 2.01s, 1.26MB read
  Socket errors: connect 1, read 2, write 0, timeout 4
  Non-2xx or 3xx responses: 3
Requests/sec:   2421.07
Transfer/sec:    640.72KB
"""


@pytest.mark.acceptance
def test_nothing_of_what_was_started_is_left_whatever_happens(tmp_path):
    code = "import os, time; os.fork() or os.setsid(); time.sleep(60)"
    pids = []

    def fail():
        command, log = [sys.executable, "-c", code], tmp_path / "log"
        with starting.started(command, starting.environ(), log) as one:
            while len(pids) < 2:
                pids[:] = starting.family(one.pid)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    starting.wait_for_end(pids, 5)


def test_memory_of_a_process_is_what_the_kernel_says():
    found = starting.memory([os.getpid()])
    assert 0 < found["private"] <= found["pss"]
    assert starting.memory([2**30]) == {"private": 0, "pss": 0}


def test_no_answer_is_an_answer_that_counts_as_failed():
    answer = asking.ask(f"127.0.0.1:{asking.free_port()}", "example.org")
    assert (answer.status, answer.good, answer.process) == (0, False, 0)
    with pytest.raises(TimeoutError, match="status 0"):
        asking.wait_until(lambda: answer, patience=0)


@pytest.mark.acceptance
@pytest.mark.parametrize("name", SERVING)
def test_a_quick_run_of_servers_loses_nothing_and_is_written_to_the_page(name):
    found = report.measure(name).run(quick=True, **FEW.get(name, {}))
    assert found["notes"] == []
    page = report.render({name: report.stamped(found)})
    lines = report.measure(name).headline(found)
    assert lines
    for what, figure, _, _ in lines:
        assert f"| {what} | {figure} |" in page
    for case in found.get("cases", ()):
        assert not case.get("failed")
    assert not found.get("forks", {}).get("failed")
    for when in ("first", "again"):
        assert not found.get(when, {}).get("failed")
