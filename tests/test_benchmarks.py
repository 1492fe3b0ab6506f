"""The benchmarks run and write their pages. Times are never asserted: machines differ."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import figures, report, workers
from benchmarks.environments import clean_environ

ROOT = Path(__file__).parent.parent


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

    report.write(results)
    report.write(results)

    text = page.read_text()
    assert text.startswith(f"before\n{report.START}\n| what |")
    assert text.endswith(f"|\n{report.END}\nafter\n")
    assert "old" not in text
    assert unmarked.read_text() == "nothing to fill in\n"
    assert report.load() == json.loads(json.dumps(results))


def test_the_pages_that_are_kept_say_what_the_kept_results_say():
    results = report.load()
    assert set(results) == set(report.MEASURES)
    assert report.PAGE.read_text() == report.render(results)
    for page, whole in report.SHOWN_IN.items():
        text = page.read_text()
        if report.START in text:
            assert report.summarise(results, whole=whole) in text


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
