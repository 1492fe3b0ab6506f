"""What goes wrong around a fleet: disks, databases, limits, and many sites at once."""

import json
import os
import re
import signal
import socket
import subprocess
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.acceptance.fleets import SITEFLEET, asking, environment, make_project, wait_for
from tests.acceptance.postgres import ACCOUNT, OPTIONS, program, run

pytestmark = pytest.mark.acceptance

MANY, USED, STORM = 1000, 50, 200


def owned(pids):
    """Return the memory of processes in bytes, what they share counted once (PSS)."""
    found = 0
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:  # it has ended
            continue
        found += int(re.search(r"Pss: +(\d+)", text)[1]) * 1024
    return found


def test_a_thousand_sites_of_which_fifty_are_used_cost_fifty_and_a_storm_is_answered():
    slugs = [f"s{number}" for number in range(MANY)]
    begun = time.monotonic()
    with (
        make_project(slugs, dict.fromkeys(slugs, "dedicated")) as project,
        project.up() as fleet,
    ):
        assert time.monotonic() - begun < 30
        before = len(project.leftovers())
        with ThreadPoolExecutor(10) as pool:
            answers = list(pool.map(fleet.get, slugs[:USED]))
        assert [answer.json["site"] for answer in answers] == slugs[:USED]
        status = fleet.status()
        states = Counter(row["state"] for row in status["processes"] if row["slug"])
        assert states == {"running": USED, "idle": MANY - USED}
        assert status["dedicated_sites"] == MANY
        running = project.leftovers()
        assert len(running) - before == USED  # those that sleep cost no process
        assert owned([fleet.process.pid, *running]) < (200 + 15 * USED) * 1_000_000
        # All others that fit in here at once.
        storm = slugs[USED : USED + STORM]
        with ThreadPoolExecutor(STORM) as pool:
            answers = list(pool.map(lambda slug: fleet.get(slug, timeout=60), storm))
        assert Counter(answer.status for answer in answers) == {200: STORM}, fleet.output
        assert [answer.json["site"] for answer in answers] == storm
        assert len({answer.json["pid"] for answer in answers}) == STORM


def on_small_disk(project, size="256k", inodes=40):
    """Return the words that run a command with a small disk of its own for the run directory.

    It is mounted where this command alone sees it, and is gone with it.
    """
    folder = project.run_dir
    (folder / "s").mkdir(parents=True)
    (folder / ".gitignore").touch()
    mount = f"mount -t tmpfs -o mode=700,size={size},nr_inodes={inodes} none {folder}"
    prepare = f"mkdir {folder}/s && touch {folder}/.gitignore"
    user = () if os.getuid() == 0 else ("--map-root-user",)
    script = f'{mount} && {prepare} && exec "$0" "$@"'
    return "unshare", *user, "--mount", "--propagation", "private", "sh", "-c", script


def fill(folder, *, names):
    """Leave no room on a disk for data, and none for names of new files and sockets."""
    with pytest.raises(OSError, match="No space"):
        fill_with_data(folder / "filler")
    if names:
        with pytest.raises(OSError, match="No space"):
            fill_with_names(folder)


def fill_with_data(path):
    with path.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass


def fill_with_names(folder):
    for number in range(1000):
        (folder / f"filler-{number}").touch()


@pytest.mark.parametrize(("driver", "names"), [("zygote", True), ("gunicorn", False)])
def test_a_full_disk_costs_lines_of_logs_and_what_is_new_waits_for_room(driver, names):
    with (
        make_project(["one", "two", "new"], {"two": "dedicated"}) as project,
        project.up("--driver", driver, wrapper=on_small_disk(project)) as fleet,
    ):
        disk = Path(f"/proc/{fleet.process.pid}/root{project.run_dir}")
        with asking(fleet, "one", "two") as answers:
            fill(disk, names=names)
            assert fleet.get("two", "/say/?text=unwritten").status == 200
            assert wait_for(lambda: "logs cannot be written (No space left" in fleet.output)
            os.kill(fleet.pid("two"), signal.SIGKILL)
            fleet.wait_for_site("two")
            fleet.sites("serving", "new", "--mode", "dedicated")
            told = "A change could not be made, it is tried again: OSError: [Errno 28] No space"
            assert wait_for(lambda: told in fleet.output), fleet.output
            assert fleet.get("new").json["SITE_ID"] == ""  # by the shared server
            done = fleet.command("status", "--json", "--run-dir", str(disk))
            assert json.loads(done.stdout)["lost_lines"] > 0, done.stderr
            for path in disk.glob("filler*"):
                path.unlink()
            fleet.wait_for_site("new", SITE_ID=str(project.id_of("new")))
        assert set(answers) == {200}
        log = disk / "logs" / "fleet.log"
        assert wait_for(lambda: "lines could not be written to the logs" in log.read_text())
        assert "unwritten" in fleet.output


@pytest.mark.parametrize("inodes", [3, 8])
def test_without_room_for_sockets_it_says_so_in_a_line_and_starts_nothing(inodes):
    with make_project(["one", "two", "three"], {"two": "dedicated"}) as project:
        command = [*on_small_disk(project, inodes=inodes), *SITEFLEET, "up", *project.where]
        done = subprocess.run(
            [*command, "--bind", "127.0.0.1:0"],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 1
        assert re.fullmatch(r"sitefleet: .*No space left on device\.?\n", done.stderr), done.stderr
        assert not project.leftovers()


ROWS = """

def rows(request):
    from django.contrib.sites.models import Site

    return HttpResponse(f"{Site.objects.count()} sites")


urlpatterns.append(path("rows/", rows))
"""
PREPARE = """
from sitefleet.registry import add_site, configure_site
for slug in ("one", "asleep"):
    configure_site(add_site(slug, domain=f"{slug}.example"), mode="dedicated")
add_site("common", domain="common.example")
"""
ADD = """
from sitefleet.registry import add_site, configure_site
configure_site(add_site("new", domain="new.example"), mode="dedicated")
"""
OUTAGE = 20


@contextmanager
def without_database(server):
    """Have PostgreSQL stopped while the block runs."""
    control = (program("pg_ctl"), "-D", str(server.folder / "data"), "-w")
    run(*control, "-m", "immediate", "stop")
    try:
        yield
    finally:
        options = f"{OPTIONS} -c unix_socket_directories={server.folder}"
        account = {} if os.getuid() else {"user": ACCOUNT, "group": ACCOUNT, "extra_groups": []}
        start = (*control, "-l", str(server.folder / "log"), "-o", options, "start")
        subprocess.run(
            start, check=True, cwd="/", stdout=subprocess.DEVNULL, timeout=120, **account
        )


def test_twenty_seconds_without_a_database_cost_what_needs_one_and_nothing_else(postgres_server):
    postgres_server.sql("CREATE DATABASE faults")
    databases = {"default": postgres_server.settings("faults")}
    with make_project([], DATABASES=databases) as project:
        urls = project.folder / "project" / "urls.py"
        urls.write_text(urls.read_text() + ROWS)
        project.manage("shell", "-v0", "-c", PREPARE)
        with project.up() as fleet:
            assert fleet.get("one", "/rows/").text == "3 sites"
            assert fleet.get("common", "/rows/").text == "3 sites"
            before = fleet.status()["processes"]
            with asking(fleet, "one", "common", path="/echo/", pause=0.05) as answers:
                with without_database(postgres_server):
                    end = time.monotonic() + OUTAGE
                    for name in ("one", "common"):
                        assert fleet.get(name, "/rows/", timeout=5).status == 500
                    # A process that has never found its site cannot do so now, and says it.
                    answer = fleet.get("asleep", "/echo/", timeout=5)
                    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
                    assert wait_for(lambda: "503 for 'asleep.localhost" in fleet.output)
                    # Those that run know their sites, and are not exchanged for any that do not.
                    assert wait_for(lambda: "not answer" in fleet.row("reader")["note"])
                    assert " (since 2" in fleet.row("reader")["note"]
                    for words in (["reload"], ["reload", "one"], ["reload", "shared"]):
                        done = fleet.command(*words)
                        assert done.returncode == 1
                        assert "what runs goes on: the database does not answer" in done.stderr
                    assert fleet.row("fleet")["note"] == "", "the code is good"
                    time.sleep(max(0, end - time.monotonic()))
                for name in ("one", "common", "asleep"):
                    assert wait_for(lambda name=name: fleet.get(name, "/rows/").status == 200)
                project.manage("shell", "-v0", "-c", ADD)
                assert wait_for(lambda: fleet.row("new"))
                assert fleet.row("reader")["note"] == ""
                assert wait_for(lambda: fleet.get("new").json["SITE_ID"] != "")
            assert set(answers) == {200}, fleet.output
            after = {row["instance"]: row["pid"] for row in fleet.status()["processes"]}
            assert [after[row["instance"]] for row in before if row["pid"]] == [
                row["pid"] for row in before if row["pid"]
            ]


def test_clients_beyond_the_limit_of_open_files_are_no_flood_and_the_limit_is_told_at_start():
    """Fewer files than the sites need are refused: see `test_up`."""
    with (
        make_project(["one", "two"], {"two": "dedicated"}) as project,
        project.up(wrapper=("prlimit", "--nofile=300:300")) as fleet,
        ExitStack() as clients,
    ):
        assert "may open 300 files: enough for the sites and 97 clients at once" in fleet.output
        assert "raise the limit (ulimit -Hn, LimitNOFILE of systemd" in fleet.output
        for _ in range(400):
            clients.enter_context(socket.create_connection(("127.0.0.1", fleet.port)))
        for name in ("one", "two"):
            assert fleet.get(name, timeout=10).status == 200
        clients.close()
        assert {fleet.get("two").status for _ in range(20)} == {200}
