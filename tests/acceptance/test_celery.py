"""Celery's workers and beat, as processes, with Redis between them."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass, field
from shutil import copy

import pytest
import redis

from sitefleet.registry import add_site
from tests.acceptance.processes import ROOT, environment_for
from tests.acceptance.redis import redis_server
from tests.databases import sqlite_file, using_database

pytestmark = pytest.mark.acceptance

APP = ("celery", "-A", "tests.acceptance.celery_project")
QUIET = ("--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "warning")
POOLS = ("prefork", "threads")


@dataclass
class World:
    """The processes; they are started at once, as each takes its time."""

    url: str
    sites: dict[str, int]
    environment: dict[str, str]
    running: list[subprocess.Popen] = field(default_factory=list)

    def start(self, pool, *arguments, **options):
        names = {"BROKER": f"{self.url}/0", "RESULTS": f"{self.url}/1", "QUEUE": pool}
        own = {f"TEST_CELERY_{name}": value for name, value in names.items()}
        command = [sys.executable, "-m", *map(str, arguments)]
        process = subprocess.Popen(command, cwd=ROOT, env=self.environment | own, **options)
        self.running.append(process)
        return process

    def stop(self):
        for process in self.running:
            process.terminate()
        for process in self.running:
            process.wait(20)


@pytest.fixture(scope="module")
def world(tmp_path_factory, migrated_file, django_db_blocker):
    folder = tmp_path_factory.mktemp("celery")
    database = sqlite_file(copy(migrated_file, folder / "celery.sqlite3"))
    slugs = ("one", "two", *POOLS)
    with django_db_blocker.unblock(), using_database(**database):
        sites = {slug: add_site(slug, name=slug, domain=f"{slug}.example.org").pk for slug in slugs}
    with redis_server(folder) as url:
        there = World(url, sites, environment_for({"HOST": "", "USER": "", **database}))
        try:
            yield there
        finally:
            there.stop()


@pytest.fixture(scope="module")
def callers(world):
    """A worker and a caller for each pool."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    callers = {}
    for pool in POOLS:
        world.start(pool, *APP, "worker", "-P", pool, "-c", 2, "-n", f"{pool}@%h", *QUIET)
        ids = [world.sites[slug] for slug in ("one", "two", pool)]
        callers[pool] = world.start(pool, "tests.acceptance.celery_caller", *ids, **pipes)
    return callers


@pytest.fixture(scope="module")
def beat(world, callers, tmp_path_factory):
    schedule = tmp_path_factory.mktemp("beat") / "schedule"
    world.start("threads", *APP, "beat", "-s", schedule, "--pidfile=", "-l", "critical")


@pytest.mark.usefixtures("beat")
@pytest.mark.parametrize("pool", POOLS)
def test_workers_never_mix_sites_up(world, callers, pool):
    two, suspended = world.sites["two"], world.sites[pool]
    output, errors = callers[pool].communicate(timeout=60)
    assert callers[pool].returncode == 0, errors
    found = json.loads(output.splitlines()[-1])
    reason = f"Its site {pool} (id {suspended}) is suspended."
    assert found.pop("wrong") == []
    single, of_chord = found.pop("refused")
    assert single == f"TaskRefused: {reason}"
    assert of_chord.startswith("ChordError")
    assert reason in of_chord
    assert found == {
        "chord": [two] * 4,
        "retry": [two] * 3,
        "autoretry": two,
        "chain": [two] * 5,
        "group": [two] * 3,
        "starmap": [two] * 2,
        "replaced": [two] * 2,
        "fleet": [two] * 3,
    }


@pytest.mark.usefixtures("beat")
def test_beat_enqueues_for_all_sites_or_one(world):
    results = redis.Redis.from_url(f"{world.url}/1")
    until = time.monotonic() + 15
    wanted = {f"all {world.sites[slug]}" for slug in ("one", "two")}
    wanted |= {f"one {world.sites['two']}", "fleet None"}
    noted = set()
    while not wanted <= noted and time.monotonic() < until:
        time.sleep(0.1)
        noted = {line.decode() for line in results.lrange("beat", 0, -1)}
    results.close()
    assert wanted <= noted
    kinds = {line.partition(" ")[0] for line in noted}
    assert kinds == {"all", "one", "fleet"}, "a plain entry of a site's task has no site"
    assert {line for line in noted if line.startswith("one")} == {f"one {world.sites['two']}"}
