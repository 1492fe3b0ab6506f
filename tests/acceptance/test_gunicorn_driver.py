"""Dedicated sites by stock gunicorn."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest

from sitefleet.hosting.context import Context
from sitefleet.hosting.drivers.gunicorn import GunicornDriver
from sitefleet.hosting.planning.options import Options
from sitefleet.hosting.planning.plan import make_plan
from sitefleet.hosting.processes.project import Project
from sitefleet.hosting.processes.run_dir import RunDir
from tests.acceptance.drivers import SLUGS, Load, Running, dedicated, running, says
from tests.acceptance.fleets import make_project

pytestmark = pytest.mark.acceptance


@pytest.fixture(scope="module")
def project():
    with make_project(SLUGS) as made:
        yield made


async def test_gunicorn_has_processes_for_each_site_that_answer_for_no_other(project):
    async with running(GunicornDriver, project) as fleet:
        await fleet.driver.apply(dedicated("one", "two"))
        for key, slug, other in (("site-2", "one", "two"), ("site-3", "two", "one")):
            status, answer = await fleet.ask(key, slug=slug)
            assert (status, answer["site"], answer["SITE_ID"]) == (200, slug, key[-1])
            assert (await fleet.ask(key, slug=other))[0] == 404
            row = await fleet.row(key)
            assert (row.state, row.pid, row.restarts) == ("running", answer["pid"], 0)
            assert row.memory > 1_000_000
        assert len(list(fleet.context.processes)) == 1, "one gunicorn has forked them all"


async def test_a_site_more_or_less_loses_no_request_of_the_others(project):
    async with running(GunicornDriver, project) as fleet:
        await fleet.driver.apply(dedicated("one", "two"))
        async with Load(fleet, ("site-2", "one"), ("site-3", "two")) as load:
            await fleet.driver.apply(dedicated("one", "two", "three"))
            assert (await fleet.ask("site-4", slug="three"))[1]["site"] == "three"
            await fleet.driver.apply(dedicated("one", "two"))
            await asyncio.sleep(0.2)
        assert load.failures == []
        assert len(load.answers) > 10


async def test_a_killed_process_comes_back_for_the_same_site(project):
    async with running(GunicornDriver, project) as fleet:
        await fleet.driver.apply(dedicated("one", "two"))
        pids = {key: (await fleet.ask(key, slug=slug))[1]["pid"] for key, slug in PAIRS}
        os.kill(pids["site-3"], signal.SIGKILL)
        _, answer = await fleet.ask("site-3", slug="two")
        assert answer["site"] == "two"
        assert answer["pid"] not in pids.values()
        assert (await fleet.ask("site-2"))[1]["pid"] == pids["site-2"]
        rows = {row.instance: row for row in await fleet.driver.status()}
        assert (rows["site-3"].restarts, rows["site-3"].pid) == (1, answer["pid"])
        assert (rows["site-2"].restarts, rows["site-2"].pid) == (0, pids["site-2"])


PAIRS = (("site-2", "one"), ("site-3", "two"))


async def test_a_site_that_fails_at_its_start_stops_no_other(project, urls):
    urls.write_text(
        urls.read_text()
        + """
from sitefleet.serving.signals import post_fork

def fail(site_id, **_):
    if site_id == 3:
        raise SystemExit(3)  # by which a worker tells gunicorn to end

post_fork.connect(fail, weak=False)
"""
    )
    async with running(GunicornDriver, project) as fleet:
        await fleet.driver.apply(dedicated("one", "two"))
        before = (await fleet.row("site-2")).pid
        assert (await fleet.ask("site-2"))[1]["site"] == "one"
        await fleet.until(lambda: says(fleet, "exited with code 1"))
        assert (await fleet.ask("site-2"))[1]["site"] == "one"
        assert (await fleet.row("site-2")).pid == before
        assert (await fleet.row("site-3")).state == "failing"
        assert "SystemExit: 3" in fleet.log


async def test_sites_with_options_of_their_own_have_a_gunicorn_of_their_own(project):
    plan = dedicated("one", "two")
    options = Options(environment={"FLAVOUR": "hot"}, interface="asgi", workers=2)
    other = replace(plan.fleet.sites[1], options=options)
    plan = make_plan(replace(plan.fleet, sites=(plan.fleet.sites[0], other)))
    async with running(GunicornDriver, project) as fleet:
        await fleet.driver.apply(plan)
        assert (await fleet.ask("site-2"))[1]["flavour"] == ""
        _, answer = await fleet.ask("site-3", slug="two")
        assert (answer["flavour"], answer["SITE_ID"]) == ("hot", "3")
        assert len(list(fleet.context.processes)) == 2


@pytest.mark.parametrize("interface", ["wsgi", "asgi"])
async def test_each_site_is_warmed_up_under_its_own_host_before_it_is_forked(
    project, urls, interface
):
    urls.write_text(
        urls.read_text()
        + """
from sitefleet.serving.warm import is_warm_up

def warm(request):
    if is_warm_up(request):
        KEPT.append(request.get_host())
    return JsonResponse(KEPT, safe=False)

urlpatterns.append(path("warm/", warm))
"""
    )
    for slug in SLUGS:
        project.manage("sites", "serving", slug, "--mode", "dedicated", "warm_up=/warm/")
    async with running(GunicornDriver, project) as fleet:
        # The third site is another server's.
        await fleet.driver.apply(dedicated("one", "two", interface=interface))
        _, answer = await fleet.ask("site-3", "/warm/", slug="two")
        assert answer == ["one.localhost:8000", "two.localhost:8000"]


async def test_rendered_files_need_nothing_but_gunicorn(project):
    run_dir = RunDir(project.folder / "never" / "made")
    context = Context(Project(project.folder, "project.settings"), run_dir, None, None)
    plan = dedicated("one", "two", environment={"FLAVOUR": "hot"})
    ((name, text),) = GunicornDriver(context).render(plan).items()
    file = project.folder / name
    file.write_text(text)
    assert f"# By hand: gunicorn --config {name}" in text
    with gunicorn(file) as process:
        fleet = Running(None, context, project.folder)
        await fleet.until(lambda: answers(fleet, process))
        _, answer = await fleet.ask("site-3", slug="two")
        assert (answer["SITE_ID"], answer["flavour"]) == ("3", "hot")
        assert stat.S_IMODE(run_dir.sockets.stat().st_mode) == 0o700


@contextmanager
def gunicorn(file):
    environment = {"SITEFLEET_DOMAIN_FORMAT": "{slug}.localhost:8000"}
    command = [sys.executable, "-m", "gunicorn", "--config", file]
    process = subprocess.Popen(command, cwd="/", env=environment)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


async def answers(fleet, process):
    assert process.poll() is None, "it has ended"
    with suppress(OSError):
        return (await fleet.ask("site-3", slug="two"))[0] == 200
