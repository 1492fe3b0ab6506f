"""`sitefleet up` as it is run, on SQLite, with all its defaults."""

import json
import os
import signal
import socket
import stat
import subprocess
import threading
import time
from contextlib import contextmanager

import pytest

from tests.acceptance.fleets import (
    SITEFLEET,
    add_sites,
    asking,
    environment,
    free_port,
    make_project,
    wait_for,
)

pytestmark = pytest.mark.acceptance


@pytest.fixture(scope="module")
def project():
    with make_project(["one", "two", "three"], {"two": "dedicated"}, DEBUG=True) as made:
        yield made


@pytest.fixture(scope="module")
def fleet(project):
    with project.up() as running:
        yield running


def refused(project, *options, wrapper=()):
    """Run `sitefleet up` where it cannot start; return the line that it says."""
    done = subprocess.run(
        [*wrapper, *SITEFLEET, "up", *project.where, *options],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("sitefleet: ")
    assert done.stderr.count("\n") == 1
    assert not project.leftovers()
    return done.stderr


@pytest.fixture
def other_project():
    with make_project(["one", "two"], {"two": "dedicated"}) as made:
        yield made


def test_it_says_where_each_site_answers_and_is_ready(fleet):
    lines = [line.split() for line in fleet.output.splitlines()]
    assert [fleet.url("one"), "one", "shared"] in lines
    assert [fleet.url("two"), "two", "dedicated"] in lines
    assert f"ready at 127.0.0.1:{fleet.port} (asyncio, zygote, gunicorn)" in fleet.output


def test_a_dedicated_site_has_a_process_of_its_own_and_others_share_one(fleet):
    answers = {slug: fleet.get(slug).json for slug in ("one", "two", "three")}
    assert [answer["site"] for answer in answers.values()] == ["one", "two", "three"]
    assert answers["one"]["pid"] == answers["three"]["pid"] != answers["two"]["pid"]
    assert (answers["one"]["SITE_ID"], answers["two"]["SITE_ID"]) == ("", "3")
    assert fleet.get("nobody").status == 404


def test_status_tells_each_process(fleet):
    # Of a reload before this an older process may answer for a moment.
    assert wait_for(lambda: fleet.pid("two") == fleet.row("two")["pid"])
    pid = fleet.pid("two")
    status = fleet.status()
    rows = {row["slug"] or row["instance"]: row for row in status["processes"]}
    assert {"fleet", "router", "shared", "two", "reader", "zygote"} <= set(rows)
    assert rows["two"]["site"] == 3
    assert rows["two"]["pid"] == pid
    assert rows["two"]["state"] == "running"
    assert 0 < rows["two"]["memory"] < 200_000_000
    assert rows["fleet"]["pid"] == fleet.process.pid
    assert status["dedicated_sites"] >= 1
    assert status["shared_sites"] >= 3


def test_requests_of_each_site_are_told_of_shared_ones_too(fleet):
    def told(name):
        found = json.loads(fleet.command("status", "--all", "--json").stdout)["processes"]
        (row,) = [row for row in found if name in (row["slug"], row["instance"])]
        return row["requests"], row["last_request"]

    fleet.get("one")
    before = {name: told(name)[0] for name in ("one", "shared")}
    for slug in ("one", "one", "nobody", "two"):
        fleet.get(slug)
    for name, more in {"one": 2, "shared": 3}.items():
        requests, last = told(name)
        assert requests == before[name] + more, name
        assert abs(last - time.time()) < 60
    assert wait_for(lambda: told("two")[0])  # of a process that runs since a reload, perhaps
    assert wait_for(lambda: told("router")[0] >= told("shared")[0])


def test_status_is_a_table_that_ends_where_nobody_watches(fleet):
    done = fleet.command("status", "--all")
    assert done.returncode == 0, done.stderr
    head, columns, *rows = done.stdout.splitlines()
    assert " shared  (asyncio, zygote, gunicorn)" in head
    assert columns.split()[:4] == ["site", "state", "pid", "memory"]
    assert "two" in [row.split()[0] for row in rows]
    assert "\x1b" not in done.stdout


def test_what_a_site_says_is_in_its_log(fleet):
    fleet.get("two", "/say/?text=something-odd")

    def said():
        return "site two says something-odd" in fleet.command("logs", "two").stdout

    assert wait_for(said, 10)
    assert "something-odd" not in fleet.command("logs", "shared").stdout
    assert "two          site two says something-odd" in fleet.output


@pytest.mark.parametrize("command", ["reload", "logs"])
def test_an_unknown_site_is_wrong_usage_and_the_nearest_is_named(fleet, command):
    done = fleet.command(command, "tow")
    assert done.returncode == 2
    assert done.stderr == (
        "sitefleet: There is no dedicated site and no process 'tow'. Did you mean two?\n"
    )


def test_a_process_that_has_said_nothing_has_a_log_and_can_be_reloaded(fleet):
    done = fleet.command("logs", "router")
    assert (done.returncode, done.stdout) == (0, "router has said nothing yet.\n")
    done = fleet.command("reload", "router")
    assert (done.returncode, done.stdout) == (0, "reloaded router\n"), done.stderr


@pytest.mark.parametrize("command", ["reload", "logs"])
def test_of_a_shared_site_it_is_said_where_to_look(fleet, command):
    done = fleet.command(command, "one")
    assert done.returncode == 1
    assert done.stderr == f"sitefleet: one is shared: sitefleet {command} shared.\n"


def test_logs_of_all_are_shown_by_time(fleet):
    fleet.get("two", "/say/?text=in-between")
    fleet.command("reload", "two")
    assert wait_for(lambda: "in-between" in fleet.command("logs").stdout, 10)
    times = [line.split()[1] for line in fleet.command("logs").stdout.splitlines()]
    assert times == sorted(times)
    assert times[0].endswith("Z")


def test_a_site_is_reloaded_and_loses_no_request(fleet):
    before, shared = fleet.pid("two"), fleet.pid("one")
    with asking(fleet, "two") as answers:
        done = fleet.command("reload", "two")
        assert done.returncode == 0, done.stderr
        assert fleet.wait_for_site("two").json["pid"] != before
    assert set(answers) == {200}
    assert fleet.pid("one") == shared


def test_a_second_one_is_refused(fleet):
    done = fleet.command("up", "--bind", "127.0.0.1:0")
    assert done.returncode == 1
    assert f"already (process {fleet.process.pid}): sitefleet stop." in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_port_in_use_is_one_line(fleet, other_project):
    assert str(fleet.port) in refused(other_project, "--bind", f"127.0.0.1:{fleet.port}")
    assert [path.stem for path in (other_project.run_dir / "logs").iterdir()] == ["fleet"]


def test_the_control_socket_is_for_its_user_alone(fleet):
    mode = (fleet.project.run_dir / "control.sock").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


def test_a_site_comes_moves_and_goes_and_others_do_not_notice(fleet):
    with asking(fleet, "one") as answers:
        two = fleet.pid("two")
        add_sites(fleet.project, ["four"])
        fleet.wait_for_site("four", SITE_ID="")
        fleet.sites("serving", "four", "--mode", "dedicated")
        four = str(fleet.project.id_of("four"))
        fleet.wait_for_site("four", SITE_ID=four)
        fleet.sites("serving", "four", "--mode", "shared")
        fleet.wait_for_site("four", SITE_ID="")
        assert wait_for(lambda: fleet.row("four") is None)
        assert wait_for(lambda: not (fleet.project.run_dir / f"s/site-{four}.sock").exists())
        assert fleet.pid("two") == two
    assert set(answers) == {200}


def test_a_reader_that_is_killed_comes_back(fleet):
    os.kill(fleet.row("reader")["pid"], signal.SIGKILL)
    add_sites(fleet.project, ["five"], {"five": "dedicated"})
    assert wait_for(lambda: fleet.row("five"))
    assert fleet.row("reader")["restarts"] >= 1


def test_changed_code_runs_and_a_mistake_takes_nothing_down(fleet):
    urls = fleet.project.folder / "project" / "urls.py"
    good = urls.read_text()
    with asking(fleet, "two") as answers:
        urls.write_text(good.replace("VERSION = 1", "VERSION = 2"))
        for slug in ("one", "two"):
            fleet.wait_for_site(slug, version=2)
        urls.write_text(f"{good}\nthis is no Python\n")
        assert wait_for(lambda: "Not reloaded" in fleet.output)
        assert "SyntaxError: invalid syntax" in fleet.output
        for slug in ("one", "two"):
            assert fleet.get(slug).json["version"] == 2
        done = fleet.command("reload")
        assert done.returncode == 1
        assert "SyntaxError" in done.stderr
        assert "urls.py, line" in fleet.row("fleet")["note"]
        assert fleet.command("reload", "two").returncode == 0  # its parent has good code
        urls.write_text(good)
        for slug in ("one", "two"):
            fleet.wait_for_site(slug, version=1)
    assert set(answers) == {200}
    assert "project/urls.py has changed." in fleet.output


BROKEN = "path(nothing)\n"


def test_broken_code_is_refused_at_the_first_start(other_project):
    urls = other_project.folder / "project" / "urls.py"
    urls.write_text(urls.read_text() + BROKEN)
    said = refused(other_project)
    assert "NameError: name 'nothing' is not defined (project/urls.py, line " in said


def test_in_debug_broken_code_is_started_and_the_mistake_told_last():
    with make_project(["one", "two"], {"two": "dedicated"}, DEBUG=True) as project:
        urls = project.folder / "project" / "urls.py"
        good = urls.read_text()
        urls.write_text(good + BROKEN)
        with project.up() as fleet:
            assert wait_for(lambda: "Requests fail until this is mended" in fleet.output)
            assert "(project/urls.py, line " in fleet.output.partition("\nready")[2]
            assert "NameError" in fleet.row("fleet")["note"]
            for slug in ("one", "two"):
                answer = fleet.get(slug)
                assert (answer.status, "NameError" in answer.text) == (500, True)
            assert wait_for(lambda: fleet.output.count("Traceback") == 2), "one for each request"
            urls.write_text(good)
            assert wait_for(lambda: not fleet.row("fleet")["note"])
            fleet.wait_for_site("one")


def test_the_plan_lists_shared_sites_too_and_refuses_what_up_refuses(other_project):
    plan = json.loads(other_project.command("plan", "--json").stdout)
    why = {site["slug"]: site["why"] for site in plan["sites"]}
    assert (why["one"], why["two"]) == ("the project's mode", "its own mode")
    assert plan["unlisted"] == 0
    assert "shared sites of no other word (--all" in other_project.command("plan").stdout
    done = other_project.command("plan", "--driver", "uwsgi", "--json", PATH="/nowhere")
    assert done.returncode == 1
    assert "uwsgi" in json.loads(done.stdout)["problems"][0]
    done = other_project.command("plan", SITEFLEET_SERVING_MODE="dedicatd")
    assert "SITEFLEET_SERVING_MODE='dedicatd'" in done.stderr
    done = other_project.command("plan", "--mode", "dedicated")
    assert "--mode" in done.stdout


def test_a_second_sigterm_that_is_part_of_the_first_does_not_kill(other_project):
    with other_project.up() as fleet:
        with under_way(fleet, "one") as statuses:
            fleet.process.send_signal(signal.SIGTERM)
            time.sleep(0.1)
            assert fleet.stop(signal.SIGTERM) == 0
        assert statuses == [200]


@contextmanager
def under_way(fleet, *slugs):
    """Have a slow request of each site under way; gives the statuses of the answers, at the end."""
    statuses = []
    path = "/slow/?text=has-begun"
    asked = [
        threading.Thread(target=lambda slug=slug: statuses.append(fleet.get(slug, path).status))
        for slug in slugs
    ]
    for thread in asked:
        thread.start()
    try:
        assert wait_for(lambda: fleet.output.count("has-begun") == len(slugs)), fleet.output
        yield statuses
    finally:
        for thread in asked:
            thread.join()


def test_the_plan_is_told_with_and_without_a_fleet_that_runs(fleet, other_project):
    for command in (fleet.command, other_project.command):
        done = command("plan", "--json")
        assert done.returncode == 0, done.stderr
        plan = json.loads(done.stdout)
        two = next(site for site in plan["sites"] if site["slug"] == "two")
        assert (two["mode"], two["driver"], two["why"]) == ("dedicated", "zygote", "its own mode")
        assert plan["totals"]["connections"] >= 5
    assert "two" in other_project.command("plan").stdout


def test_configurations_are_shown_or_written_and_nothing_is_started(other_project):
    servers = ("--router", "nginx", "--driver", "gunicorn")
    done = other_project.command("render", *servers)
    assert done.returncode == 0, done.stderr
    assert "# --- nginx.conf\n" in done.stdout
    out = other_project.folder / "deploy"
    names = other_project.command("render", *servers, "--out", str(out)).stdout.split()
    assert {f"{out}/nginx.conf"} < set(names)
    assert (out / "nginx.conf").read_text() in done.stdout
    assert not other_project.run_dir.exists()


def test_hung_up_it_reloads(fleet):
    before = fleet.pid("one")
    fleet.process.send_signal(signal.SIGHUP)
    assert wait_for(lambda: fleet.pid("one") != before)
    assert wait_for(lambda: "Reloaded all." in fleet.output)


def test_it_is_stopped_by_a_signal_though_nobody_can_see_what_it_says(other_project):
    bind = f"127.0.0.1:{free_port()}"
    command = [*SITEFLEET, "up", *other_project.where, "--bind", bind]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE) as process:
        try:
            assert any(line.startswith(b"ready") for line in process.stdout)
            process.stdout.close()
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()
    assert not other_project.leftovers()


def test_stopped_by_a_signal_it_answers_what_was_asked_and_leaves_nothing(other_project):
    with other_project.up() as fleet:
        with under_way(fleet, "one", "two") as statuses:
            assert fleet.stop(signal.SIGINT) == 0
        assert statuses == [200, 200]
        assert fleet.output.endswith("stopped\n")
        assert not other_project.leftovers()
        assert not list((other_project.run_dir / "s").iterdir())
        assert not (other_project.run_dir / "control.sock").exists()
    done = other_project.command("status")
    assert (done.returncode, done.stdout) == (1, "")
    assert "No fleet runs in" in done.stderr


def test_its_log_tells_of_its_start_and_its_end(other_project):
    with other_project.up() as fleet:
        assert fleet.command("stop").returncode == 0
    lines = fleet.command("logs", "fleet").stdout.splitlines()
    starts, ready, stopping, stopped = (line.partition(" ")[2] for line in lines)
    assert starts.startswith("sitefleet ")
    assert starts.endswith(
        f" starts as process {fleet.process.pid} at 127.0.0.1:{fleet.port} (asyncio, zygote,"
        " gunicorn)."
    )
    assert ready.startswith("Ready after ")
    assert stopping == "Stopping, as `sitefleet stop` has asked."
    assert stopped == "Stopped."


HANGS = """
import sys, time
if "trial" not in sys.argv[0]:
    print("hangs", flush=True)
    time.sleep(3600)
"""


def test_it_stops_though_a_reload_hangs(other_project):
    urls = other_project.folder / "project" / "urls.py"
    command = [*SITEFLEET, "reload", *other_project.where]
    with other_project.up() as fleet:
        urls.write_text(urls.read_text() + HANGS)
        with subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE) as reload:
            assert wait_for(lambda: fleet.output.count("hangs") == 2), fleet.output
            done = fleet.command("stop", "--timeout", "30")
            assert (done.returncode, done.stdout) == (0, "stopped\n"), done.stderr
            assert reload.wait(5) == 1
            assert reload.stderr.read() == b"sitefleet: The fleet is being stopped.\n"
    assert not other_project.leftovers()


def test_what_a_site_says_is_found_in_the_log_of_the_server_that_it_shares(other_project):
    with other_project.up("--driver", "gunicorn", "--mode", "dedicated") as fleet:
        fleet.get("two", "/say/?text=something-odd")

        def said():
            return fleet.command("logs", "two").stdout

        assert wait_for(lambda: "site two says something-odd" in said())
        assert said().startswith("two is one of 3 sites in gunicorn-")


def test_interrupted_twice_it_waits_for_no_request(other_project):
    with other_project.up() as fleet:
        path = "/slow/?seconds=3600&text=hangs"
        hanging = [ask_and_leave(fleet, slug, path) for slug in ("one", "two")]
        assert wait_for(lambda: fleet.output.count("hangs") == len(hanging))
        fleet.process.send_signal(signal.SIGINT)
        assert wait_for(lambda: "Stopping" in fleet.output)
        assert fleet.stop(signal.SIGINT, seconds=5) == 1
        assert wait_for(lambda: not other_project.leftovers(), 5)
        for connection in hanging:
            connection.close()


def ask_and_leave(fleet, slug, path):
    connection = socket.create_connection(("127.0.0.1", fleet.port))
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {slug}.localhost\r\n\r\n".encode())
    return connection


def test_killed_it_leaves_nothing_running_and_the_next_one_starts(other_project):
    with other_project.up("--mode", "dedicated") as fleet:
        fleet.wait_for_site("one", SITE_ID="2")
        assert len(other_project.leftovers()) > 3
        fleet.process.kill()
        assert wait_for(lambda: not other_project.leftovers(), 10), other_project.leftovers()
        with other_project.up() as after:
            after.wait_for_site("two", SITE_ID="3")
            done = after.command("stop")
            assert (done.returncode, done.stdout) == (0, "stopped\n"), done.stderr
            assert after.process.wait(5) == 0


def test_too_few_open_files_are_told_at_start(other_project):
    many = [f"s{number}" for number in range(40)]
    add_sites(other_project, many, dict.fromkeys(many, "dedicated"))
    said = refused(other_project, wrapper=("prlimit", "--nofile=150:150"))
    assert "The sites need 226 open files, and this process may open 150: raise the limit" in said


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (("--run-dir", "/dev/null/r"), "cannot be made in /dev/null/r: Not a directory."),
        (("--run-dir", f"/tmp/{'x' * 90}"), "too long for sockets in it"),  # noqa: S108 - never made
        (("--project", "/nowhere"), "--project: there is no folder /nowhere."),
        (("--settings", "no.such"), "No module named 'no'"),
        (("--bind", "a..b:8000"), "Cannot listen on a..b:8000: that is no name of a host."),
    ],
    ids=["run dir", "long run dir", "project", "settings", "bind"],
)
def test_what_cannot_start_says_why_in_one_line(other_project, option, said):
    assert said in refused(other_project, *option)


def test_a_project_without_its_tables_says_so(other_project):
    other_project.database.write_bytes(b"")
    assert "manage.py migrate" in refused(other_project)
