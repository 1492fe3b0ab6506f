"""The shared server, on a socket of the supervisor, which never closes."""

import asyncio
import http.client
import json
import os
import signal
import socket
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from websockets.asyncio.client import unix_connect
from websockets.exceptions import ConnectionClosed

from sitefleet.exceptions import SiteError
from sitefleet.hosting.drivers.shared import SharedDriver
from sitefleet.hosting.planning.plan import make_plan
from tests.acceptance.drivers import SLUGS, Load, running, says, shared
from tests.acceptance.fleets import make_project

pytestmark = pytest.mark.acceptance
every_server = pytest.mark.parametrize("server", ["gunicorn", "granian"])


@pytest.fixture(scope="module")
def project():
    with make_project(SLUGS) as made:
        yield made


@every_server
async def test_the_shared_server_answers_for_each_site_and_nobody_else(project, server):
    async with running(SharedDriver, project) as fleet:
        await fleet.driver.apply(shared(server))
        for slug in SLUGS:
            status, answer = await fleet.ask("shared", slug=slug)
            assert (status, answer["site"], answer["SITE_ID"]) == (200, slug, "")
        assert (await fleet.ask("shared", slug="nowhere"))[0] == 404
        row = await fleet.row("shared")
        assert row.state == "running"
        assert row.pid is not None
        assert row.memory > 1_000_000


@every_server
@pytest.mark.parametrize("tcp", [False, True], ids=["unix", "tcp"])
async def test_the_router_tells_the_servers_who_has_come_and_how(project, server, tcp):
    async with running(SharedDriver, project, tcp=tcp) as fleet:
        await fleet.driver.apply(shared(server))
        if tcp:
            fleet.ask_now = partial(ask_over_tcp, fleet)
        told = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https"}
        assert (await fleet.ask("shared", "/echo/", **told))[1]["address"] == "192.0.2.7"
        assert (await fleet.ask("shared", **told))[1]["secure"] is True
        told["X-Forwarded-Proto"] = "http"
        assert (await fleet.ask("shared", **told))[1]["secure"] is False


def ask_over_tcp(fleet, key, path, slug, headers):
    host, port = fleet.context.sockets.address(key).split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=20)
    connection.request("GET", path, headers={"Host": f"{slug}.localhost:8000", **headers})
    answer = connection.getresponse()
    found = answer.status, json.loads(answer.read())
    connection.close()
    return found


@every_server
async def test_changed_options_and_new_code_lose_no_request(project, urls, server):
    async with running(SharedDriver, project) as fleet:
        await fleet.driver.apply(shared(server))
        before = (await fleet.row("shared")).pid
        async with Load(fleet, ("shared", "one")) as load:
            await fleet.driver.apply(shared(server, workers=2))
            changed = (await fleet.row("shared")).pid
            await fleet.driver.apply(shared(server, workers=2))
            assert (await fleet.row("shared")).pid == changed, "nothing has changed"
            urls.write_text(urls.read_text().replace("VERSION = 1", "VERSION = 2"))
            await fleet.driver.reload()
            await asyncio.sleep(0.2)
        assert load.failures == []
        assert len(load.answers) > 10
        assert len({before, changed, (await fleet.row("shared")).pid}) == 3
        await fleet.until(lambda: new_code_answers(fleet))


async def new_code_answers(fleet):
    return (await fleet.ask("shared"))[1]["version"] == 2


async def another_answers(fleet, pid):
    return (await fleet.ask("shared"))[1]["pid"] != pid


@every_server
async def test_code_that_does_not_load_leaves_the_server_that_runs(project, urls, server):
    async with running(SharedDriver, project) as fleet:
        await fleet.driver.apply(shared(server))
        before = (await fleet.row("shared")).pid
        text = urls.read_text()
        urls.write_text(text + "\nlist = (\n")
        with pytest.raises(SiteError, match=r"^shared: What ran before goes on"):
            await fleet.driver.reload()
        row = await fleet.row("shared")
        assert (row.pid, row.state) == (before, "running")
        assert "goes on" in row.note
        assert "SyntaxError: '(' was never closed" in fleet.log
        assert (await fleet.ask("shared"))[0] == 200
        urls.write_text(text)
        await fleet.driver.reload()
        row = await fleet.row("shared")
        assert row.pid != before
        assert row.note == ""


@every_server
async def test_a_killed_server_comes_back_and_what_came_meanwhile_is_answered(project, server):
    async with running(SharedDriver, project) as fleet:
        await fleet.driver.apply(shared(server))
        row = await fleet.row("shared")
        os.killpg(row.pid, signal.SIGKILL)
        assert (await fleet.ask("shared"))[0] == 200
        assert (await fleet.row("shared")).restarts == 1


@every_server
async def test_shared_sites_that_want_it_have_asgi_and_websockets(project, server):
    async with running(SharedDriver, project) as fleet:
        await fleet.driver.apply(shared(server, asgi=["one"]))
        assert (await fleet.ask("shared-asgi"))[1]["site"] == "one"
        path = str(fleet.context.run_dir.socket("shared-asgi"))
        url = "ws://one.localhost:8000/socket/"
        origin = "http://one.localhost:8000"
        async with unix_connect(path, url, origin=origin, close_timeout=5) as client:
            await client.send("hello")
            assert await client.recv() == "one:hello"
            await fleet.driver.reload()
            with pytest.raises(ConnectionClosed):  # long before the 30 seconds of a request
                await asyncio.wait_for(client.recv(), 20)
            assert client.close_code == 1012
        # Nobody wants it any more.
        await fleet.driver.apply(shared(server))
        assert [row.instance for row in await fleet.driver.status()] == ["shared"]


async def test_a_process_that_has_had_its_requests_closes_its_sockets(project):
    async with running(SharedDriver, project) as fleet:
        await fleet.driver.apply(shared(asgi=["one"], max_requests=2))
        path = str(fleet.context.run_dir.socket("shared-asgi"))
        origin = "http://one.localhost:8000"
        async with unix_connect(path, "ws://one.localhost:8000/socket/", origin=origin) as client:
            for _ in range(2):
                assert (await fleet.ask("shared-asgi"))[0] == 200
            with pytest.raises(ConnectionClosed):
                await asyncio.wait_for(client.recv(), 20)
            assert client.close_code == 1012
        assert (await fleet.row("shared-asgi")).restarts == 0


async def test_a_request_that_takes_too_long_costs_its_process_and_tells_where(project):
    async with running(SharedDriver, project) as fleet:
        await fleet.driver.apply(shared(timeout=1, workers=2))
        with pytest.raises((OSError, http.client.HTTPException)):
            await fleet.ask("shared", "/hang/")
        await fleet.until(lambda: says(fleet, "No answer in 1 seconds"))
        assert "time.sleep(3600)" in fleet.log
        # An answer that has begun may take as long as it likes.
        assert len((await asyncio.to_thread(stream, fleet)).splitlines()) == 4


def stream(fleet):
    connection = http.client.HTTPConnection("one.localhost:8000", timeout=20)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(fleet.context.run_dir.socket("shared")))
    connection.request("GET", "/stream/?lines=4&pause=0.4")
    text = connection.getresponse().read()
    connection.close()
    return text


async def test_a_worker_is_replaced_after_its_requests_and_when_it_is_too_large(project):
    async with running(SharedDriver, project) as fleet:
        await fleet.driver.apply(shared(max_requests=3))
        pids = [(await fleet.ask("shared"))[1]["pid"] for _ in range(7)]
        # A thread may have taken up one more when the last began.
        assert {pids.count(pid) for pid in set(pids)} <= {1, 2, 3, 4}
        assert len(set(pids)) > 1
        assert (await fleet.row("shared")).restarts == 0, "that was asked for"
        await fleet.driver.stop()
        await fleet.driver.apply(shared(memory_limit=150))
        _, answer = await fleet.ask("shared", "/grow/?megabytes=200")
        await fleet.until(lambda: says(fleet, "More than 150 MB"))
        await fleet.until(lambda: another_answers(fleet, answer["pid"]))
        assert (await fleet.row("shared")).restarts == 1


async def test_what_the_environment_says_to_other_gunicorns_does_not_count(project, monkeypatch):
    monkeypatch.setenv("GUNICORN_CMD_ARGS", "--workers=7 --bind=127.0.0.1:1")
    monkeypatch.setenv("WEB_CONCURRENCY", "7")
    async with running(SharedDriver, project) as fleet:
        await fleet.driver.apply(shared())
        assert len(children((await fleet.row("shared")).pid)) == 1
        assert (await fleet.ask("shared"))[0] == 200


def children(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


async def test_lines_of_the_settings_and_niceness_are_part_of_the_configuration(project):
    async with running(SharedDriver, project) as fleet:
        plan = shared(niceness=3)
        serving = replace(plan.fleet.serving, raw={"gunicorn": "raw_env = ['FLAVOUR=mild']"})
        await fleet.driver.apply(make_plan(replace(plan.fleet, serving=serving)))
        _, answer = await fleet.ask("shared")
        assert answer["flavour"] == "mild"
        assert os.getpriority(os.PRIO_PROCESS, answer["pid"]) == 3
        serving = replace(plan.fleet.serving, raw={"gunicorn": "backlog = 'many'"})
        with pytest.raises(SiteError, match=r"\['gunicorn'\] cannot be used: backlog = 'many': "):
            await fleet.driver.apply(make_plan(replace(plan.fleet, serving=serving)))
        assert (await fleet.ask("shared"))[1]["pid"] == answer["pid"]
