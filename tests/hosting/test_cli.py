import io
import json
import re
import time
from dataclasses import replace

import pytest

from sitefleet.exceptions import SiteError
from sitefleet.hosting.cli import client, main
from sitefleet.hosting.cli import logs as module
from sitefleet.hosting.cli.client import status_lines
from sitefleet.hosting.cli.common import port_hint
from sitefleet.hosting.cli.logs import news
from sitefleet.hosting.cli.parser import make_parser
from sitefleet.hosting.cli.plan import plan_lines
from sitefleet.hosting.cli.terminal import Terminal, ago
from sitefleet.hosting.cli.up import _ready
from sitefleet.hosting.planning.fleet import Serving
from sitefleet.hosting.planning.plan import make_plan
from sitefleet.hosting.supervising.control import USAGE, Refused
from sitefleet.hosting.supervising.naming import find_key
from sitefleet.hosting.supervising.telling import tell_plan
from tests.hosting.fleets import fleet, site

COMMANDS = ("up", "plan", "render", "status", "reload", "stop", "logs")


@pytest.fixture
def terminal():
    return Terminal(io.StringIO(), io.StringIO())


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_each_command_has_an_example(command, capsys):
    with pytest.raises(SystemExit) as ended:
        make_parser().parse_args([command, "--help"])
    assert ended.value.code == 0
    assert f"examples:\n  sitefleet {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["upp"],
        ["up", "--bind", "8000"],
        ["up", "--driver", "apache"],
        ["up", "--mode", "both"],
        ["logs", "--lines", "0"],
        ["logs", "--lines", "9" * 5000],
        ["stop", "--timeout", "soon"],
    ],
    ids=["nothing", "command", "bind", "driver", "mode", "lines", "endless", "timeout"],
)
def test_wrong_usage_has_exit_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


def test_the_version_is_told(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert re.fullmatch(r"sitefleet \d\S+\n", capsys.readouterr().out)


def test_what_is_wrong_is_one_line_and_no_traceback(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE", raising=False)
    assert main(["up", "--project", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert said.startswith("sitefleet: There is no manage.py in")
    assert said.count("\n") == 1


def test_where_no_fleet_runs_that_is_said(tmp_path, capsys):
    (tmp_path / "manage.py").write_text('("DJANGO_SETTINGS_MODULE", "nowhere.settings")')
    run_dir = ["--project", str(tmp_path), "--run-dir", str(tmp_path / "r")]
    for command in ("status", "reload", "stop"):
        assert main([command, *run_dir]) == 1
        assert capsys.readouterr().err == f"sitefleet: No fleet runs in {tmp_path}/r.\n"


def test_a_site_is_found_by_slug_and_id_and_key():
    examples = (("fr", "http://fr.test/"),)
    sites = site(7, "de"), site(8, "router"), site(9, "shop", mode="shared")
    plan = make_plan(fleet(*sites, examples=examples))
    assert [find_key(plan, word) for word in ("de", "7", "site-7")] == ["site-7"] * 3
    for word in ("shop", "9", "fr"):
        with pytest.raises(Refused, match=rf"^{word} is shared: sitefleet logs shared\.$"):
            find_key(plan, word)
    assert find_key(plan, "shared") == "shared"
    assert find_key(plan, "router", ("router",)) == "router"  # a process, whatever sites are called
    with pytest.raises(Refused, match="Did you mean shop") as error:
        find_key(plan, "shpo")
    assert error.value.status == USAGE


def test_names_of_sites_cannot_write_to_the_terminal(terminal):
    evil = "a\x1b[2J\nb\u202ec"
    told = tell_plan(make_plan(fleet(site(1, "x", shared_because=evil))))
    told["problems"] = []
    assert "\x1b" not in "".join(plan_lines(told, terminal, everything=True))


def test_a_plan_of_many_sites_is_told_shortly(terminal):
    told = tell_plan(make_plan(fleet(*(site(pk) for pk in range(1, 61)))))
    told["problems"] = []
    lines = plan_lines(told, terminal, everything=False)
    assert "... and 10 sites more (--all lists them)" in lines
    assert sum(line.startswith("s") for line in lines) == 51  # and the head
    assert sum(line.startswith("s") for line in plan_lines(told, terminal, everything=True)) == 61


def test_a_plan_tells_why_and_what_it_costs(terminal):
    made = fleet(site(1, options={"workers": 3}), site(2, shared_because="below a prefix"))
    told = json.loads(json.dumps(tell_plan(make_plan(made))))
    assert [(one["mode"], one["why"]) for one in told["sites"]] == [
        ("dedicated", "its own mode"),
        ("shared", "below a prefix"),
    ]
    assert told["sites"][0]["connections"] == 6
    assert told["totals"]["connections"] == 6 + 2 + 1


def test_sites_that_are_not_listed_are_counted(terminal):
    told = tell_plan(make_plan(fleet(site(1), site(2, mode="shared"), shared=7)))
    told["problems"] = []
    assert told["unlisted"] == 6
    lines = plan_lines(told, terminal, everything=False)
    assert "... and 6 shared sites of no other word (--all lists them)" in lines
    lines = plan_lines(told, terminal, everything=True)
    assert "... and 6 shared sites of no other word (too many to be listed)" in lines


def test_a_site_that_wants_processes_of_its_own_and_cannot_have_them_is_one_site():
    told = tell_plan(make_plan(fleet(site(1), site(2, shared_because="x"), total=2)))
    assert (told["unlisted"], told["shared_sites"]) == (0, 1)


def test_a_shared_site_with_options_is_shown_once_at_the_start():
    screen = io.StringIO()
    examples = (("s2", "http://s2.test/"), ("s3", "http://s3.test/"))
    _ready(
        make_plan(fleet(site(1), site(2, mode="shared"), shared=2, examples=examples)),
        Terminal(screen, io.StringIO()),
    )
    told = screen.getvalue()
    assert [told.count(f"http://s{number}.test/") for number in (1, 2, 3)] == [1, 1, 1]
    assert "more" not in told


def test_a_plan_tells_of_the_database_in_a_sentence(terminal):
    database = {"vendor": "postgresql", "max_connections": 97, "used_connections": 1}
    told = tell_plan(make_plan(fleet(database=database)))
    told["problems"] = []
    (line,) = [line for line in plan_lines(told, terminal, everything=False) if "postg" in line]
    assert line == (
        "Database      postgresql: 3 connections when all of them are at work;"
        " 97 are let in, 1 are in use now"
    )


def test_hosts_of_another_port_than_the_routers_are_told():
    made = fleet(examples=(("s1", "http://s1.localhost:8000/"),), format="{slug}.localhost:8000")
    assert port_hint(make_plan(made)) == ""
    told = port_hint(make_plan(replace(made, serving=Serving(bind="127.0.0.1:9000"))))
    assert told.startswith("These sites name port 8000, and the router listens on 9000:")
    unusable = fleet(examples=(("de", "http://de:x/"),), format="{slug}.localhost:8000")
    assert port_hint(make_plan(unusable)) == ""  # raw SQL


def row(name, state, **more):
    nothing = dict.fromkeys(("pid", "memory", "requests", "last_request", "site", "slug"))
    return {**nothing, "instance": name, "state": state, "restarts": 0, "note": "", **more}


def told_status(*rows):
    return {
        "bind": "127.0.0.1:8000",
        "driver": "zygote",
        "router": "asyncio",
        "server": "gunicorn",
        "dedicated_sites": 1000,
        "shared_sites": 2,
        "uptime": 61.0,
        "lost_lines": 0,
        "processes": list(rows),
    }


def test_idle_sites_are_counted(terminal):
    idle = [row(f"site-{pk}", "idle", slug=f"s{pk}") for pk in range(950)]
    told = told_status(row("site-1000", "running", slug="busy", memory=12_345_678), *idle)
    lines = status_lines(told, terminal, everything=False)
    assert lines[0].endswith("up 1 min")
    assert lines[2].split()[:4] == ["busy", "running", "12.3", "MB"]
    assert lines[3] == "idle: 950 (--all lists them)"
    assert len(status_lines(told, terminal, everything=True)) == 953


def test_shared_sites_are_listed_by_their_slugs_where_all_is_asked_for(terminal, monkeypatch):
    told = told_status(
        row("shared", "running", requests=9),
        row("site-7", "shared", site=7, requests=5, last_request=time.time()),
        row("site-8", "shared", site=8, requests=4),
        row("site-9", "idle", site=9, slug="nine"),
    )
    assert status_lines(told, terminal, everything=False)[-1] == (
        "shared: 2, idle: 1 (--all lists them)"
    )
    asked = []

    def full_plan(options):
        asked.append(options)
        return make_plan(fleet(site(7, "seven", mode="shared")))

    monkeypatch.setattr(client, "full_plan", full_plan)
    slugs = client._Slugs(None)
    for _ in range(2):
        lines = status_lines(slugs.fill_in(told), terminal, everything=True)
    assert [line.split()[:2] for line in lines[3:5]] == [["seven", "shared"], ["site-8", "shared"]]
    assert len(asked) == 1


def test_a_project_that_cannot_be_read_leaves_sites_their_ids(monkeypatch):
    def broken(options):
        raise SiteError("no")

    monkeypatch.setattr(client, "full_plan", broken)
    (found,) = client._Slugs(None).fill_in(told_status(row("site-7", "shared", site=7)))[
        "processes"
    ]
    assert found["slug"] is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 s ago"), (3, "3 s ago"), (150, "2 min ago"), (7300, "2 h ago"), (1e6, "11 d ago")],
)
def test_times_are_told_for_people(seconds, text):
    assert ago(seconds) == text


@pytest.mark.parametrize("width", [80, 50])
def test_a_long_note_goes_on_below_and_nothing_of_it_is_lost(monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    note = "the project cannot be loaded: " + " ".join(f"word{number}" for number in range(20))
    told = told_status(row("site-1", "failing", slug="one", note=note), row("router", "running"))
    lines = "\n".join(status_lines(told, Terminal(Screen()), everything=True)[1:]).split("\n")
    plain = [re.sub(r"\x1b\[\d+m", "", line) for line in lines]
    assert max(map(len, plain)) <= width
    assert plain[0].startswith("site ")
    assert note in " ".join(" ".join(plain).split())


class Screen(io.StringIO):
    def isatty(self):
        return True


def test_colours_are_for_terminals_whose_owner_wants_them(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert Terminal(Screen()).paint("x", 32) == "\x1b[32mx\x1b[0m"
    assert Terminal(io.StringIO()).paint("x", 32) == "x"
    monkeypatch.setenv("NO_COLOR", "1")
    assert Terminal(Screen()).paint("x", 32) == "x"


def test_a_live_table_fits_the_terminal(monkeypatch):
    monkeypatch.setenv("LINES", "10")
    monkeypatch.setenv("COLUMNS", "80")
    assert len(Terminal(Screen()).fitting(["x"] * 50)) == 9
    assert Terminal(Screen()).fitting(["x"] * 9) == ["x"] * 9


def test_logs_are_shown_by_time(terminal, tmp_path, monkeypatch):
    def said(name, second):
        return tmp_path / f"{name}.log", [f"2026-01-01T00:00:0{second}.000Z {name} {second}"]

    module._show(terminal, [said("a", 2), said("b", 1)], merged=True)
    assert [line.split()[0] for line in terminal.stream.getvalue().splitlines()] == ["b", "a"]


def test_a_log_is_followed_over_its_change(tmp_path):
    path, known = tmp_path / "a.log", {}
    path.write_text("one\ntw")
    assert news(path, known) == ["one"]
    path.write_text("one\ntwo\n")
    assert news(path, known) == ["two"]
    path.write_text("new\n")
    assert news(path, known) == ["new"]
    assert news(path, known) == []
