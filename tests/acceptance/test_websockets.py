"""uvicorn, Channels and a real client: sockets keep their site, and lose it in time."""

import asyncio
import http.client
import json
import subprocess
import sys
import time
from contextlib import asynccontextmanager

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from sitefleet.models import SiteConfig
from sitefleet.registry import add_site
from sitefleet.test import client_for
from tests.acceptance.demo import free_port
from tests.acceptance.processes import ROOT, environment_for

pytestmark = pytest.mark.acceptance

ONE, TWO = "one.example.org", "two.example.org"
PROMISED = 1.0
#: A machine that runs eight processes on two cores is late by itself.
MARGIN = 1.0


class Server:
    def __init__(self, port):
        self.port = port

    def is_up(self):
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            client.request("GET", "/")
            client.getresponse()
        except OSError:
            return False
        else:
            return True
        finally:
            client.close()

    @asynccontextmanager
    async def open(self, host, path="/ws/", **options):
        uri = f"ws://{host}:{self.port}{path}"
        # The address is that of this machine, the Host header that of the site.
        async with connect(
            uri, host="127.0.0.1", port=self.port, proxy=None, open_timeout=30, **options
        ) as client:
            yield Client(client)

    async def refusal(self, *arguments, **options):
        """Return the status of a handshake that is refused."""
        with pytest.raises(InvalidStatus) as caught:
            async with self.open(*arguments, **options):
                pass
        return caught.value.response.status_code


class Client:
    def __init__(self, client):
        self.client = client

    async def get(self):
        return json.loads(await asyncio.wait_for(self.client.recv(), 20))

    async def say(self, message):
        await self.client.send(json.dumps(message))
        return await self.get()

    async def closed(self):
        """Wait until the server closes the socket; return the code."""
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(self.client.recv(), 20)
        return self.client.close_code


@pytest.fixture(params=["websockets", "websockets-sansio"])
def server(request, file_database, tmp_path):
    port, log = free_port(), tmp_path / "log"
    environment = environment_for(connection.settings_dict)
    environment["DJANGO_SETTINGS_MODULE"] = "tests.acceptance.socket_settings"
    command = [sys.executable, "-m", "uvicorn", "tests.acceptance.socket_asgi:application"]
    command += ["--port", str(port), "--ws", request.param, "--lifespan", "off"]
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
    running = Server(port)
    try:
        deadline = time.monotonic() + 30
        while not running.is_up():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield running
    finally:
        process.terminate()
        process.wait(20)
    assert "Traceback" not in log.read_text(), log.read_text()


def test_sockets_have_the_site_of_their_host(server):
    one, two = add_site("one", domain=ONE), add_site("two", domain=TWO)
    below = add_site("de", domain=ONE, path_prefix="/de")

    async def scenario():
        for site, host, prefix in ((one, ONE, ""), (two, TWO, ""), (below, ONE, "/de")):
            origin = f"http://{host}:{server.port}"
            async with server.open(host, f"{prefix}/ws/", origin=origin) as socket:
                seen = await socket.say({})
            assert seen == {"seen": [site.pk], "user": "", "link": f"{prefix}/site/"}
        assert await server.refusal("nobody.example.org") == 404
        assert await server.refusal(ONE, origin=f"http://{TWO}") == 403
        assert await server.refusal(ONE, origin="https://evil.example") == 403

    asyncio.run(scenario())


def test_a_socket_has_the_session_of_its_site(server):
    add_site("one", domain=ONE)
    below = add_site("de", domain=ONE, path_prefix="/de")
    client = client_for(below)
    client.force_login(get_user_model().objects.create_user("anna"))
    client.get("/cookies/")
    name = f"sessionid_{below.pk}"
    headers = {"Cookie": f"sessionid=0123456789; {name}={client.cookies[name].value}"}

    async def scenario():
        for path, user in (("/de/ws/", "anna"), ("/ws/", "")):
            async with server.open(ONE, path, additional_headers=headers) as socket:
                assert (await socket.say({}))["user"] == user

    asyncio.run(scenario())


def test_row_23_two_hundred_sockets_on_ten_sites_never_mix(server):
    hosts = {f"s{number}.example.org": number for number in range(10)}
    pks = {host: add_site(f"s{number}", domain=host).pk for host, number in hosts.items()}
    wrong = []

    async def one(host):
        async with server.open(host) as socket:
            for _ in range(5):
                seen = (await socket.say({}))["seen"]
                if seen != [pks[host]]:
                    wrong.append((host, seen))

    async def scenario():
        await asyncio.gather(*(one(host) for host in list(hosts) * 20))

    asyncio.run(scenario())
    assert wrong == []


def test_a_shout_is_heard_on_its_own_site_only(server):
    one, two = add_site("one", domain=ONE), add_site("two", domain=TWO)

    async def scenario():
        async with server.open(ONE) as a, server.open(ONE) as b, server.open(TWO) as c:
            heard = {"heard": "hello", "on": one.pk}
            assert await a.say({"shout": "hello"}) == heard
            assert await b.get() == heard
            assert (await c.say({}))["seen"] == [two.pk]

    asyncio.run(scenario())


CHANGES = [
    ("state = 'archived'", 4410, 410),
    ("state = 'suspended'", 4404, 404),
    ("state = 'maintenance'", 4503, 503),
]


@pytest.mark.parametrize(("change", "code", "status"), CHANGES)
def test_row_34_open_sockets_are_closed_in_time_whoever_changes_the_site(
    server, change, code, status
):
    one = add_site("one", domain=ONE)
    two = add_site("two", domain=TWO)
    table = SiteConfig._meta.db_table

    def by_sql():
        with connection.cursor() as cursor:
            cursor.execute(f"UPDATE {table} SET {change} WHERE site_id = %s", [one.pk])  # noqa: S608

    async def scenario():
        async with server.open(TWO) as other, server.open(TWO, "/left/") as left:
            async with server.open(ONE) as idle, server.open(ONE) as also:
                await asyncio.sleep(0.3)
                await asyncio.to_thread(in_a_connection_of_its_own, by_sql)
                start = time.monotonic()
                assert [await idle.closed(), await also.closed()] == [code, code]
                assert time.monotonic() - start < PROMISED + MARGIN
            assert await server.refusal(ONE) == status
            assert (await other.say({}))["seen"] == [two.pk], "others stay open"
            gone = await left.say({})
            assert [pk for pk, _ in gone] == [one.pk, one.pk], "consumers have cleaned up"

    asyncio.run(scenario())


def in_a_connection_of_its_own(function):
    try:
        function()
    finally:
        connection.close()


def test_row_34_a_site_that_is_deleted_loses_its_sockets(server):
    one = add_site("one", domain=ONE)

    def delete():
        type(one).objects.get(pk=one.pk).delete()

    async def scenario():
        async with server.open(ONE) as socket:
            await asyncio.to_thread(in_a_connection_of_its_own, delete)
            assert await socket.closed() == 4404

    asyncio.run(scenario())
