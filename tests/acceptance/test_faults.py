"""What goes wrong in a running fleet, and that it stays where it went wrong."""

import http.client
import os
import re
import signal
import statistics
import subprocess
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest

from tests.acceptance.fleets import asking, make_project, wait_for

pytestmark = pytest.mark.acceptance

#: Driver and router.
PAIRS = [("zygote", "asyncio"), ("gunicorn", "haproxy"), ("uwsgi", "nginx")]
#: How what has forked the sites' processes is named in `status`.
PARENTS = {"zygote": "zygote", "gunicorn": "gunicorn-", "uwsgi": "emperor"}
SITES = ("victim", "other", "common")
ASKERS = 3

#: Code that fails where it starts: in settings, by an environment; after a fork, for one site.
HOOKS = """
from django.apps import AppConfig

if os.environ.get("FLAVOUR") == "broken":
    raise ValueError("there is no such flavour")


class Hooks(AppConfig):
    name = "project"

    def ready(self):
        from sitefleet.serving.signals import post_fork

        post_fork.connect(forked)


def forked(site_id, **kwargs):
    if (BASE_DIR / f"raises-{site_id}").exists():
        raise ValueError("this receiver raises")
    if (BASE_DIR / f"exits-{site_id}").exists():
        raise SystemExit("this site does not start")


INSTALLED_APPS += ["project.settings.Hooks"]
"""


def append(project, name, text):
    path = project.folder / "project" / name
    path.write_text(path.read_text() + text)


@pytest.fixture(scope="module", params=PAIRS, ids="-".join)
def fleet(request):
    driver, router = request.param
    dedicated = dict.fromkeys(("victim", "other", "failing"), "dedicated")
    names = [*SITES, "failing", "flavoured"]
    with make_project(names, dedicated, SERVING={"environment": ["FLAVOUR"]}) as project:
        append(project, "settings.py", HOOKS)
        with project.up("--driver", driver, "--router", router) as running:
            running.driver, running.router = driver, router
            yield running


@contextmanager
def load(fleet, *names):
    """Ask each site by `ASKERS` at once while the block runs; gives the answers by name."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(asking(fleet, *[name] * ASKERS)) for name in names}


def processes(fleet):
    """Return the pids of what runs, by what it is; sites are those who answer."""
    rows = {row["slug"] or row["instance"]: row["pid"] for row in fleet.status()["processes"]}
    names = {
        "parent": next(name for name in rows if name.startswith(PARENTS[fleet.driver])),
        "router": "router" if fleet.router == "asyncio" else fleet.router,
        "shared": "shared",
        "reader": "reader",
    }
    sites = {site: fleet.pid(site) for site in ("victim", "other")}
    return {what: rows[name] for what, name in names.items()} | sites


def sockets(fleet):
    """Return the sockets that the supervisor holds, each with the number that it has as a file."""
    held = "shared*.sock" if fleet.driver == "uwsgi" else "*.sock"
    return {path.name: path.stat().st_ino for path in (fleet.project.run_dir / "s").glob(held)}


@pytest.mark.parametrize("killed", ["victim", "parent", "router", "shared", "reader"])
def test_kill_9_costs_what_was_under_way_there_and_nobody_else_anything(fleet, killed):
    loses = {"victim": ("victim",), "router": SITES, "shared": ("common",)}.get(killed, ())
    gone = {killed}
    if killed == "parent":
        gone |= {"victim", "other"}
        loses = () if fleet.driver == "zygote" else ("victim", "other")
    before, listening = processes(fleet), sockets(fleet)
    with load(fleet, *SITES) as answers:
        assert wait_for(lambda: all(len(told) > ASKERS for told in answers.values()))
        os.kill(before[killed], signal.SIGKILL)
        assert wait_for(lambda: is_replaced(fleet, killed, before[killed]), 10), fleet.output
        counts = {site: len(told) for site, told in answers.items()}
        assert wait_for(
            lambda: all(answers[site][counts[site] :].count(200) > ASKERS for site in SITES), 10
        ), fleet.output
    lost = {site: Counter(one for one in answers[site] if one != 200) for site in SITES}
    # Each asks one thing at a time. The Emperor's sites are gone with it, until it is back.
    under_way = 1000 if (fleet.driver, killed) == ("uwsgi", "parent") else ASKERS
    for site in SITES:
        assert lost[site].total() <= (under_way if site in loses else 0), (lost, fleet.output)
    assert sockets(fleet) == listening
    after = processes(fleet)
    assert {what for what, pid in before.items() if after[what] != pid} <= gone


def is_replaced(fleet, what, pid):
    try:
        return processes(fleet)[what] not in {None, pid}
    except (OSError, http.client.HTTPException, KeyError, ValueError):
        return False


def test_who_waits_for_a_process_that_is_killed_is_told(fleet):
    pid = fleet.pid("victim")
    with ThreadPoolExecutor(2) as pool:
        paths = "/slow/?seconds=20&text=victim-begun", "/slow/?seconds=2&text=other-begun"
        slow = pool.submit(fleet.request, "victim", paths[0], "POST", timeout=30)
        other = pool.submit(fleet.request, "other", paths[1], "POST", timeout=30)
        begun = ("victim-begun", "other-begun")
        assert wait_for(lambda: all(text in fleet.output for text in begun)), fleet.output
        begun = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        assert slow.result().status in {502, 503}
        assert time.monotonic() - begun < 5
        assert other.result().status == 200
    assert fleet.wait_for_site("victim").json["pid"] != pid


def test_what_comes_while_there_is_no_router_is_answered_by_the_next_one(fleet):
    os.killpg(processes(fleet)["router"], signal.SIGKILL)  # its workers, too
    with ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(fleet.get, SITES[number % 3]) for number in range(60)]
        told = Counter(one.result().status for one in asked)
    assert told == {200: 60}, fleet.output


def test_a_site_that_fails_at_start_is_told_and_harms_no_other(fleet):
    """What a receiver of `post_fork` raises is told; one that ends its process, or settings that
    raise in the environment of the site, keep the site from starting."""
    site = fleet.project.id_of("failing")
    marks = [fleet.project.folder / f"{how}-{site}" for how in ("raises", "exits")]
    if fleet.driver != "uwsgi":  # which forks nothing
        for mark in marks:
            mark.touch()
            with asking(fleet, "other", "common") as answers:
                os.kill(fleet.pid("failing"), signal.SIGKILL)
                expected = 200 if mark is marks[0] else 503
                assert wait_for(lambda code=expected: fleet.get("failing").status == code), (
                    fleet.output
                )
            assert set(answers) == {200}
            mark.unlink()
        assert "ValueError: this receiver raises" in fleet.output
        fleet.wait_for_site("failing")
    with asking(fleet, "other", "common") as answers:
        fleet.sites("serving", "flavoured", "--mode", "dedicated", "environment=FLAVOUR=broken")
        assert wait_for(lambda: fleet.row("flavoured"))
        # It is led to its own process when all know of the change.
        assert wait_for(lambda: fleet.get("flavoured").status in {500, 502, 503}), fleet.output
        assert wait_for(lambda: "there is no such flavour" in fleet.output)
        if (
            fleet.driver != "uwsgi"
        ):  # which tries again with the next connection, and is idle till then
            assert wait_for(lambda: fleet.row("flavoured")["state"] == "failing"), fleet.status()
    assert set(answers) == {200}
    fleet.sites("serving", "flavoured", "environment=FLAVOUR=fine")
    fleet.wait_for_site("flavoured", flavour="fine")


@contextmanager
def flood(fleet, name, *paths):
    """Ask a site for paths by a hundred connections each while the block runs."""
    script = fleet.project.folder / f"{name}.lua"
    script.write_text(f'wrk.headers["Host"] = "{fleet.host(name)}"\n')
    options = ("-t1", "-c100", "-d60s", "--timeout", "60s", "-s", str(script))
    running = [
        subprocess.Popen(
            ["wrk", *options, f"http://127.0.0.1:{fleet.port}{path}"],
            stdout=subprocess.PIPE,
            text=True,
        )
        for path in paths
    ]
    told = []
    try:
        yield told
    finally:
        for process in running:
            process.send_signal(signal.SIGINT)
            told.append(process.communicate(timeout=30)[0])


def test_a_flood_on_one_site_leaves_the_others_their_share(fleet):
    for site in SITES:
        fleet.wait_for_site(site)
    slow, fast = "/slow/?seconds=0.02", "/"
    with flood(fleet, "victim", slow, fast) as on_victim:
        ask_for(fleet, "other", "common")
        with flood(fleet, "common", slow, fast) as on_common:
            ask_for(fleet, "other")
    for told in (on_victim, on_common):
        assert sum(int(re.search(r"(\d+) requests in", one)[1]) for one in told) > 50, told
    assert fleet.wait_for_site("victim")


def ask_for(fleet, *sites):
    """Ask sites in turn for a second, in which each has to answer as if it were alone, nearly."""
    seconds = []
    time.sleep(0.3)
    end = time.monotonic() + 1
    while time.monotonic() < end or len(seconds) < 10:
        for site in sites:
            begun = time.monotonic()
            assert fleet.get(site).status == 200
            seconds.append(time.monotonic() - begun)
    assert statistics.median(seconds) < 0.5, seconds
    assert max(seconds) < 3, seconds
