"""``manage.py forsites``: which sites, what is told apart, and how it ends."""

import json
import os
import re

import pytest
from django.contrib.sites.models import Site

from sitefleet.current import active_site_id
from sitefleet.registry import add_site, set_state

#: It goes through all that a command can be told, for seconds: the default tests have a minute.
pytestmark = pytest.mark.acceptance


@pytest.fixture
def world(fleet):
    """The sites de (below a prefix), one, two (in maintenance)."""
    set_state(fleet[1], "maintenance")
    return fleet


def names(results):
    return [result["slug"] for result in results]


# --- selection ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        (["--all"], ["de", "one", "two"]),
        (["--site", "two", "--site", "one.example.org"], ["one", "two"]),
        (["--site=two", "--site=2"], ["two"]),
        (["--state", "active"], ["de", "one"]),
        (["--state", "active", "--state", "maintenance"], ["de", "one", "two"]),
        (["--state", "active", "--site", "two"], ["de", "one", "two"]),
        (["--all", "--exclude", "one"], ["de", "two"]),
        (["--all", "--exclude=one", "--exclude=de"], ["two"]),
    ],
    ids=" ".join,
)
def test_the_sites_are_those_that_are_named(manage, world, words, chosen):
    words = [str(world[1].pk).join(word.rsplit("2", 1)) for word in words]
    assert names(manage("forsites", *words, "--json", "--", "tell").json) == chosen


def test_a_rehearsal_lists_the_sites_and_runs_nothing(manage, world):
    ended = manage("forsites", "--all", "--dry-run", "--", "misbehave", "every", "raise")
    assert ended.status == 0
    assert ended.out.splitlines() == [
        f"[{slug}] misbehave every raise" for slug in ("de", "one", "two")
    ]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--", "tell"], "Say which sites: --all, --site SITE or --state STATE."),
        (["--site", "twoo", "--", "tell"], "Did you mean two"),
        (["--all", "--exclude", "twoo", "--", "tell"], "Did you mean two"),
        (["--site", "two", "--exclude", "two", "--", "tell"], "No site is left to run on."),
        (["--state", "archived", "--", "tell"], "No site is left to run on."),
        (["--state", "asleep", "--", "tell"], "invalid choice"),
        (["--all", "--", "tel"], "Unknown command: 'tel'"),
        (["--all", "--", ""], "Unknown command: ''"),
        (["--all"], "COMMAND"),
        (["--all", "--parallel", "0", "--", "tell"], "at least 1"),
        (["--all", "--parallel", "-2", "--", "tell"], "at least 1"),
        (["--all", "--parallel", "many", "--", "tell"], "invalid int value"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_when_nothing_can_be_run_the_status_is_2(manage, world, words, reason):
    ended = manage("forsites", *words)
    assert (ended.status, ended.out) == (2, "")
    assert reason in ended.err
    assert "Traceback" not in ended.err


# --- one after the other -----------------------------------------------------


def test_each_site_is_the_current_one_with_its_prefix(manage, world):
    results = manage("forsites", "--all", "--json", "--", "tell", "--", "--x").json
    assert [result["status"] for result in results] == [0, 0, 0]
    told = [result["stdout"] for result in results]
    assert [json.loads(text)["site"] for text in told] == ["DE", "One", "Two"]
    assert ['"reverse": "/de/site/"' in text for text in told] == [True, False, False]
    assert all('"words": ["--x"]' in text for text in told)
    assert active_site_id() is None
    assert "SITEFLEET_SITE" not in os.environ


def test_the_output_is_told_apart_line_by_line(manage, world):
    ended = manage("forsites", "--site=one", "--site=two", "--", "misbehave", "nobody")
    assert ended.out.splitlines() == [
        "[one] printed on One",
        "[one] written",
        "[one] in two lines",
        "[two] printed on Two",
        "[two] written",
        "[two] in two lines",
    ]
    assert ended.err.splitlines() == ["[one] warned", "[two] warned", "2 sites, 2 succeeded."]


@pytest.mark.parametrize(
    ("way", "status", "said"),
    [
        ("raise", 1, "RuntimeError: on purpose"),
        ("refuse", 7, "CommandError: refused"),
        ("exit", 3, "warned"),
        ("exit-text", 1, "last words"),
    ],
)
def test_a_failure_stops_the_others_and_is_summed_up(manage, world, way, status, said):
    ended = manage("forsites", "--all", "--", "misbehave", "One", way)
    assert ended.status == 1
    assert f"[one] {said}" in ended.err.splitlines()
    last = f"3 sites, 1 succeeded, 1 failed (one: exit {status}), 1 not run."
    assert ended.err.splitlines()[-1] == f"CommandError: {last}"
    assert "Two" not in ended.out


def test_exit_without_a_status_is_no_failure(manage, world):
    assert manage("forsites", "--all", "--", "misbehave", "every", "exit-nothing").status == 0


def test_keep_going_goes_on_and_fails_in_the_end(manage, world):
    ended = manage("forsites", "--all", "--keep-going", "--", "misbehave", "One", "exit")
    assert ended.status == 1
    assert "[two] written" in ended.out
    assert ended.err.splitlines()[-1].endswith("3 sites, 2 succeeded, 1 failed (one: exit 3).")


def test_json_has_everything_on_standard_output(manage, world):
    ended = manage("forsites", "--all", "--json", "--keep-going", "--", "misbehave", "One", "exit")
    assert ended.status == 1
    result = ended.json[1]
    assert result.pop("seconds") >= 0
    assert result == {
        "id": world[0].pk,
        "slug": "one",
        "status": 3,
        "stdout": "printed on One\nwritten\nin two lines\n",
        "stderr": "warned\n",
    }
    assert "[one]" not in ended.err


def test_a_site_that_goes_meanwhile_is_a_failure_of_that_site(manage, world, monkeypatch):
    two = Site.objects.filter(pk=world[1].pk)
    monkeypatch.setattr("sitefleet.management.fleet._call", lambda _: two.delete()[0] * 0)
    ended = manage("forsites", "--all", "--keep-going", "--", "tell")
    assert "[two] sitefleet.exceptions.UnknownSite" in ended.err
    assert "1 failed (two: exit 1)" in ended.err


# --- in parallel, in real processes ------------------------------------------


def test_parallel_runs_all_and_stops_handing_out_after_a_failure(project):
    for number in range(4):
        add_site(f"s{number}", name=f"S{number}", domain=f"s{number}.example.org")
    good = project.start("forsites", "--all", "--parallel", "2", "--json", "--", "tell")
    out, err = good.communicate(timeout=60)
    assert good.returncode == 0, err
    sites = set(re.findall(r'\\"site\\": \\"(\w+)\\"', out))
    assert sites == {"One", "Two", "Three", "S0", "S1", "S2", "S3"}
    bad = project.start("forsites", "--all", "--parallel", "2", "--", "misbehave", "every", "exit")
    out, err = bad.communicate(timeout=60)
    assert bad.returncode == 1
    assert err.count("warned") == 2, "two were under way, no other was started"
    assert "2 failed" in err
    assert "5 not run" in err


def test_a_process_that_dies_is_an_error_and_no_traceback(project):
    words = ("--all", "--parallel", "2", "--", "misbehave", "every", "die")
    ended = project.run("forsites", *words)
    assert ended.status == 1
    assert "could not start, or died" in ended.err
    assert "Traceback" not in ended.err


def test_a_bar_is_drawn_on_a_terminal_and_nowhere_else(project):
    ours, theirs = os.openpty()
    process = project.start("forsites", "--all", "--", "misbehave", "x", stderr=theirs)
    out, _ = process.communicate(timeout=60)
    os.close(theirs)
    terminal = os.read(ours, 100_000).decode()
    os.close(ours)
    assert "[########................] 1/3 one" in terminal
    assert "[########################] 3/3" in terminal
    assert terminal.rstrip().endswith("3 sites, 3 succeeded.")
    assert "#" not in out
    plain = project.run("forsites", "--all", "--", "misbehave", "x")
    assert "#" not in plain.out + plain.err
    assert "\x1b" not in plain.out + plain.err
