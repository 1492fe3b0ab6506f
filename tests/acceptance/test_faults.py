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
from pathlib import Path

import pytest

from tests.acceptance.fleets import (
    SITEFLEET,
    add_sites,
    asking,
    environment,
    make_project,
    wait_for,
)
from tests.acceptance.postgres import ACCOUNT, OPTIONS, program, run

pytestmark = pytest.mark.acceptance

#: Driver and router.
PAIRS = [("zygote", "asyncio"), ("zygote", "nginx"), ("gunicorn", "haproxy"), ("uwsgi", "traefik")]
#: What is the parent of the sites' processes, in `status`: gunicorn's is in the row of each site.
PARENTS = {"zygote": "zygote", "gunicorn": "victim", "uwsgi": "emperor"}
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
        "parent": PARENTS[fleet.driver],
        "router": "router" if fleet.router == "asyncio" else fleet.router,
        "shared": "shared",
        "reader": "reader",
    }
    sites = {site: fleet.pid(site) for site in ("victim", "other")}
    return {what: rows[name] for what, name in names.items()} | sites


def sockets(fleet):
    """Return the sockets of instances, each with the number that it has as a file."""
    return {path.name: path.stat().st_ino for path in (fleet.project.run_dir / "s").iterdir()}


@pytest.mark.parametrize("killed", ["victim", "parent", "router", "shared", "reader"])
def test_kill_9_costs_what_was_under_way_there_and_nobody_else_anything(fleet, killed):
    loses = {"victim": ["victim"], "router": SITES, "shared": ["common"]}.get(killed, ())
    gone = {killed}
    if killed == "parent":
        gone |= {"victim", "other"}
        loses = [] if fleet.driver == "zygote" else ["victim", "other"]
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
    for site in SITES:
        # Each asks one thing at a time: so many requests were under way.
        assert lost[site].total() <= (ASKERS if site in loses else 0), (lost, fleet.output)
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
        slow = pool.submit(fleet.request, "victim", "/slow/?seconds=20", "POST", timeout=30)
        other = pool.submit(fleet.request, "other", "/slow/?seconds=2", "POST", timeout=30)
        time.sleep(0.7)
        begun = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        assert slow.result().status in {502, 503}
        assert time.monotonic() - begun < 5
        assert other.result().status == 200
    assert fleet.wait_for_site("victim").json["pid"] != pid


def test_what_comes_while_there_is_no_router_is_answered_by_the_next_one(fleet):
    os.kill(processes(fleet)["router"], signal.SIGKILL)
    with ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(fleet.get, SITES[number % 3]) for number in range(60)]
        assert Counter(one.result().status for one in asked) == {200: 60}, fleet.output
