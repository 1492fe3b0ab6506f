"""The Emperor on a directory of files, and the fastrouter behind nginx, for real."""

import http.client
import http.server
import json
import os
import shutil
import socketserver
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import ClassVar

import pytest

from sitefleet.hosting.routers.nginx import NginxRouter
from sitefleet.hosting.uwsgi import talk
from tests.acceptance.fleets import free_port, make_project, wait_for
from tests.acceptance.vassals import built, missing, running

pytestmark = pytest.mark.acceptance

SERVING = {"driver": "uwsgi", "options": {"idle": 1, "timeout": 5}}


@pytest.fixture(scope="module")
def project():
    modes = {"one": "dedicated", "two": "dedicated"}
    with make_project(("one", "two", "three"), modes, SERVING=SERVING) as made:
        yield made


@pytest.fixture(scope="module")
def emperor(project):
    with running(project, built()) as made:
        made.apply()
        yield made


def change(project, column, value, slug):
    statement = f"UPDATE sitefleet_siteconfig SET {column} = ? WHERE slug = ?"  # noqa: S608 - a column
    with closing(sqlite3.connect(project.database, timeout=20)) as connection, connection:
        connection.execute(statement, (value, slug))


def key(plan, slug):
    return next(instance.key for instance in plan.dedicated if instance.slug == slug)


def answer(emperor, key, slug):
    found = wait_for(lambda: emperor.get(key, host=f"{slug}.example"), 10)
    assert found, emperor.output
    assert found[0] == 200, found
    return json.loads(found[1])


def test_sites_of_sqlite_start_on_demand_follow_changes_and_go(emperor, project):
    plan = emperor.apply()
    one = key(plan, "one")
    assert emperor.status()[one].state == "idle"
    first = answer(emperor, one, "one")
    assert first["site"] == "one"
    change(project, "serving", json.dumps({"workers": 3, "idle": 1}), "one")
    change(project, "mode", "dedicated", "three")
    plan = emperor.apply()
    three = key(plan, "three")
    assert answer(emperor, three, "three")["site"] == "three"
    assert wait_for(lambda: answer(emperor, one, "one")["pid"] != first["pid"], 10)
    text = (emperor.driver.root / "vassals" / f"{one}.ini").read_text()
    assert "workers = 3\n" in text
    assert wait_for(lambda: emperor.status()[one].state == "idle", 10)
    change(project, "mode", "", "three")
    emperor.apply()
    assert three not in emperor.status()
    assert wait_for(lambda: emperor.apply() and not emperor.context.run_dir.socket(three).exists())


def test_a_site_that_never_idles_starts_at_once(emperor, project):
    change(project, "serving", json.dumps({"idle": 0}), "two")
    two = key(emperor.apply(), "two")
    assert wait_for(lambda: emperor.status()[two].state == "running")
    time.sleep(2.5)
    assert emperor.status()[two].state == "running"


def test_behind_traefik_sites_listen_on_ports_of_their_own(project):
    with running(project, built(), router="traefik", run_dir="t") as emperor:
        one = key(emperor.apply(), "one")
        assert emperor.context.sockets.address(one).startswith("127.0.0.1:")
        assert answer(emperor, one, "one")["site"] == "one"


class Shared(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(b"shared")

    def address_string(self):
        return ""

    def log_message(self, *_):
        pass


def test_nginx_and_the_fastrouter_lead_each_spelling_of_a_host_to_its_site(project):
    if not shutil.which("nginx") and not Path("/usr/sbin/nginx").exists():
        missing("nginx is not installed")
    with running(project, built(), router="nginx", run_dir="n") as emperor:
        port = free_port()
        path = str(emperor.context.run_dir.socket("shared"))
        emperor.context.run_dir.socket("shared").unlink(missing_ok=True)
        shared = socketserver.ThreadingUnixStreamServer(path, Shared)
        threading.Thread(target=shared.serve_forever, daemon=True).start()
        router = NginxRouter(emperor.context)
        try:
            plan = emperor.apply(bind=f"127.0.0.1:{port}")
            emperor.run(router.start(plan))
            one = Front(port)
            for host in ("one.example", "ONE.Example", "one.example.", f"one.example:{port}"):
                assert one.get(host) == (200, "one"), host
            for host in ("unknown.example", "../x", "*.example", "-"):
                assert one.get(host)[1] != "one"
            assert one.get("unknown.example") == (200, "shared")
            assert one.get("two.example") == (200, "two")
            asks_once_more_what_may_be_repeated(emperor, one)
            # A fastrouter that was killed has its hosts again when it is back.
            os.kill(emperor.driver.fastrouter.process.pid, 9)
            assert wait_for(lambda: one.get("one.example") == (200, "one"), 10)
            change(project, "mode", "", "one")
            plan = emperor.apply(bind=f"127.0.0.1:{port}")
            emperor.run(router.apply(plan))
            assert one.get("one.example") == (200, "shared")
        finally:
            change(project, "mode", "dedicated", "one")
            emperor.run(router.stop())
            shared.shutdown()
            shared.server_close()
        emperor.run(emperor.driver.stop())
        left = {path.stem for path in emperor.context.run_dir.sockets.iterdir()}
        assert not left & {"cache", "fastrouter", "emperor"}


class Forgetful(socketserver.BaseRequestHandler):
    """A vassal that ends with the first request of each method, and answers the second."""

    asked: ClassVar[list[bytes]] = []

    def handle(self):
        method = self.request.recv(65536).partition(b"REQUEST_METHOD")[2][2:6].rstrip(b"\x0c")
        self.asked.append(method)
        if self.asked.count(method) > 1:
            self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nagain")


def asks_once_more_what_may_be_repeated(emperor, front):
    root = emperor.context.run_dir.root
    (root / "u" / "forgetful.example").mkdir()
    path = str(emperor.context.run_dir.socket("forgetful"))
    vassal = socketserver.ThreadingUnixStreamServer(path, Forgetful)
    threading.Thread(target=vassal.serve_forever, daemon=True).start()
    try:
        emperor.run(talk.remember(emperor.driver.fastrouter.cache, "forgetful.example", path))
        assert front.get("forgetful.example") == (200, "again")
        assert front.get("forgetful.example", "POST")[0] == 502
        assert len(Forgetful.asked) == 3
    finally:
        vassal.shutdown()
        vassal.server_close()
        (root / "u" / "forgetful.example").rmdir()


class Front:
    def __init__(self, port):
        self.port = port

    def get(self, host, method="GET"):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        try:
            connection.request(method, "/", headers={"Host": host})
            found = connection.getresponse()
            text = found.read().decode()
        except (OSError, http.client.HTTPException) as error:
            return 0, str(error)
        finally:
            connection.close()
        return found.status, json.loads(text)["site"] if text.startswith("{") else text
