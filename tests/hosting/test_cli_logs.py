"""`sitefleet logs`: which log is shown, and that what is old is not shown as if it were new."""

import io
from argparse import Namespace

import pytest

from sitefleet.hosting.cli import logs as module
from sitefleet.hosting.cli.terminal import Terminal
from sitefleet.hosting.planning.plan import make_plan
from sitefleet.hosting.processes.run_dir import RunDir
from sitefleet.hosting.supervising.naming import find_key, log_of
from tests.hosting.fleets import fleet, site


@pytest.fixture
def terminal():
    return Terminal(io.StringIO(), io.StringIO())


def show_logs(terminal, run_dir, monkeypatch, *, site="", everything=False):
    """Run `sitefleet logs` on a fleet that runs since the year 2026; return the lines."""

    def ask(_run_dir, action, **asked):
        if action == "find":
            key, speakers = log_of(SHARED_SERVER, find_key(SHARED_SERVER, *asked.values()))
            return {"key": key, "speakers": speakers}
        return {"names": ["site-1", "fleet"], "since": "2026-01-01T00:00:00.000Z"}

    monkeypatch.setattr(module, "ask", ask)
    monkeypatch.setattr(module, "running_dir", lambda _options: run_dir)
    options = Namespace(site=site, lines=20, follow=False, all=everything)
    assert module.logs(options, terminal) == 0
    lines = terminal.stream.getvalue().splitlines()
    terminal.stream.truncate(0)
    terminal.stream.seek(0)
    return lines


SHARED_SERVER = make_plan(fleet(site(1), site(2), site(3), serving={"driver": "gunicorn"}))
GROUP = log_of(SHARED_SERVER, "site-1")[0]
OLD, NEW = "2025-12-31T23:59:59.999Z of another driver", "2026-01-01T00:00:00.001Z of this one"


@pytest.fixture
def run_dir(tmp_path):
    made = RunDir(tmp_path)
    made.logs.mkdir()
    (made.logs / "site-1.log").write_text(f"{OLD}\n")
    (made.logs / f"{GROUP}.log").write_text(f"{OLD}\n{NEW}\n")
    return made


@pytest.mark.parametrize("word", ["s1", "1", "site-1"])
def test_a_site_of_a_server_of_several_speaks_in_the_log_of_that(
    terminal, run_dir, monkeypatch, word
):
    hint, *lines = show_logs(terminal, run_dir, monkeypatch, site=word)
    assert hint == f"{word} is one of 3 sites in {GROUP}, which all speak here:"
    assert lines == [NEW]
    assert show_logs(terminal, run_dir, monkeypatch, site=word, everything=True)[1:] == [OLD, NEW]


def test_what_was_said_before_a_fleet_was_started_is_not_shown_as_if_it_were_said_by_it(
    terminal, run_dir, monkeypatch
):
    assert show_logs(terminal, run_dir, monkeypatch) == []
    (line,) = show_logs(terminal, run_dir, monkeypatch, everything=True, site="shared")
    assert "has no log of its own" in line
    (run_dir.logs / "fleet.log").write_text(f"{OLD}\n")
    (line,) = show_logs(terminal, run_dir, monkeypatch, site="fleet")
    assert line == (
        "fleet has said nothing since the fleet was started: --all shows what it said before."
    )
    assert len(show_logs(terminal, run_dir, monkeypatch, everything=True)) == 4


def test_a_router_that_is_a_program_speaks_in_the_log_of_that():
    plan = make_plan(fleet(serving={"router": "nginx"}))
    assert log_of(plan, "router") == ("nginx", 1)
    assert log_of(plan, "reader") == ("reader", 1)
