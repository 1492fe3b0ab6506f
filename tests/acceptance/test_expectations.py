"""One table of expectations: each driver behind each router answers as a single process does.

The single process is the measure: stock gunicorn with the project's application and no router in
front. What it answers is compared with the table first, and then all others with it.
"""

import http.client
import json
import re
import socket
import subprocess
import sys
from contextlib import contextmanager

import pytest
from websockets.sync.client import connect

from tests.acceptance.fleets import Answer, environment, free_port, make_project, wait_for

pytestmark = pytest.mark.acceptance

LONG = f"{'a' * 63}.{'b' * 63}.example"
PREPARE = f"""
from sitefleet.lookup import get_site
from sitefleet.registry import add_alias, add_site, configure_site
asgi = {{"interface": "asgi"}}
def add(slug, domain, mode="dedicated", prefix="", state="active", serving=None, **aliases):
    site = add_site(slug, domain=domain, path_prefix=prefix, state=state)
    configure_site(site, mode=mode, serving=serving or {{}})
    for name, redirect in aliases.get("names", {{}}).items():
        add_alias(site, name, redirect=redirect)
add("first", "first.example", names={{"old.example": True, "also.example": False,
    "*.wild.example": False, "*.first.example": True,
    "{LONG}": False}})
add("second", "second.example", "shared", names={{"*.second.example": False}})
add("live", "live.example", serving=asgi)
add("common", "common.example", "shared", serving=asgi)
add("lands", "lands.example")
add("de", "lands.example", prefix="/de")
add("paused", "paused.example", state="maintenance")
add("past", "past.example", state="archived")
add("gone", "gone.example", state="suspended")
add("munich", "xn--mnchen-3ya.example")
"""

#: Host, path, method; status, and what is found in the answer: its site, or where it leads.
TABLE = (
    ("first.example", "/", "GET", 200, "first"),
    ("FIRST.Example", "/", "GET", 200, "first"),
    ("first.example.", "/", "GET", 200, "first"),
    ("first.example:8080", "/", "GET", 200, "first"),
    ("FIRST.example.:443", "/echo/?a=1&b=%20", "GET", 200, ""),
    ("first.example", "/", "HEAD", 200, ""),
    ("first.example", "/echo/", "POST", 200, ""),
    ("first.example", "/nothing/", "GET", 404, ""),
    ("first.example", "/echo", "GET", 301, "/echo/"),
    ("www.first.example", "/a/?b=c", "GET", 301, "//first.example/a/?b=c"),
    ("old.example", "/x/", "GET", 301, "//first.example/x/"),
    ("old.example", "/x/", "POST", 308, "//first.example/x/"),
    ("OLD.example.:8080", "/x/", "GET", 301, "//first.example/x/"),
    ("also.example", "/", "GET", 200, "first"),
    ("any.wild.example", "/", "GET", 200, "first"),
    ("deep.any.wild.example", "/", "GET", 200, "first"),
    ("any.first.example", "/", "GET", 301, "//first.example/"),
    ("second.example", "/", "GET", 200, "second"),
    ("any.second.example", "/", "GET", 200, "second"),
    ("live.example", "/", "GET", 200, "live"),
    ("live.example", "/echo/", "POST", 200, ""),
    ("common.example", "/", "GET", 200, "common"),
    ("lands.example", "/", "GET", 200, "lands"),
    ("lands.example", "/de/", "GET", 200, "de"),
    ("lands.example", "/de", "GET", 301, "/de/"),
    ("lands.example", "/denmark/", "GET", 404, ""),
    ("paused.example", "/", "GET", 503, ""),
    ("past.example", "/", "GET", 410, ""),
    ("gone.example", "/", "GET", 404, ""),
    ("xn--mnchen-3ya.example", "/", "GET", 200, "munich"),
    (LONG, "/", "GET", 200, "first"),
    ("nobody.example", "/", "GET", 404, "no site goes by that name"),
    ("127.0.0.1", "/", "GET", 404, "no site goes by that name"),
    ("[::1]:8000", "/", "GET", 404, "no site goes by that name"),
)
#: A proxy, whose word counts; all others are at 127.0.0.1.
PROXY = "127.0.0.2"
BY_TLS = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https"}
LIES = {**BY_TLS, "X-Forwarded-Port": "8443"}
#: Port in Host, who asks, and what it says; client, scheme, port and X-Forwarded-Port of what was
#: asked for. A single process would tell its own port: behind a router that is one inside.
ADDRESSES = (
    ("", "127.0.0.1", {}, "127.0.0.1", "http", 80, "80"),
    (":8080", "127.0.0.1", LIES, "127.0.0.1", "http", 8080, "8080"),
    ("", PROXY, BY_TLS, "192.0.2.7", "https", 443, "443"),
    (":444", PROXY, BY_TLS, "192.0.2.7", "https", 444, "444"),
    ("", PROXY, LIES, "192.0.2.7", "https", 443, "8443"),
)
#: Host headers that are none.
MALFORMED = ("../first.example", "first.example/x", "a b", "first_example..", "first.example:x")
KEPT_HEADERS = ("Location", "Retry-After", "Content-Type", "Allow", "Vary", "X-Frame-Options")

COMBINATIONS = [
    (driver, router)
    for driver in ("zygote", "gunicorn", "uwsgi")
    for router in ("asyncio", "nginx", "haproxy", "traefik")
]


def ask(port, host, path="/", method="GET", *, headers=(), source="127.0.0.1"):
    connection = http.client.HTTPConnection("127.0.0.1", port, 20, source_address=(source, 0))
    try:
        body = b"a body" if method == "POST" else None
        connection.putrequest(method, path, skip_host=True)
        for name, value in {"Host": host, **dict(headers)}.items():
            connection.putheader(name, value)
        if body:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


def essence(answer):
    """Return what must be the same whichever process answers, over whichever connection."""
    text = re.sub(r'"(pid|SITE_ID|address)": ?("[^"]*"|\d+)', "", answer.text)
    if text.startswith('{"headers"'):
        seen = json.loads(answer.text)
        text = json.dumps([seen["method"], seen["body"], seen["query"]])
    kept = {name: answer.headers[name] for name in KEPT_HEADERS if answer.headers[name]}
    return answer.status, kept, text


@pytest.fixture(scope="module")
def project():
    with make_project(["spare"], SERVING={"trusted_proxies": [f"{PROXY}/32"]}) as made:
        made.manage("shell", "-v0", "-c", PREPARE)
        yield made


@contextmanager
def gunicorn(project):
    port = free_port()
    options = ["--bind", f"127.0.0.1:{port}", "--threads", "2", "--no-control-socket"]
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", *options, "project.wsgi"],
        cwd=project.folder,
        env=environment(DJANGO_SETTINGS_MODULE="project.settings"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert wait_for(lambda: listens(port)), "gunicorn does not listen"
        yield port
    finally:
        process.terminate()
        process.wait(20)


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def measure(project):
    """What a single process without a router answers."""
    with gunicorn(project) as port:
        return {row: ask(port, *row[:3]) for row in TABLE}


@pytest.mark.parametrize("row", TABLE, ids=[f"{row[2]} {row[0][:30]}{row[1]}" for row in TABLE])
def test_a_single_process_answers_as_the_table_says(row, measure):
    answer = measure[row]
    assert answer.status == row[3], answer.text
    found = answer.headers.get("Location") or answer.text
    assert row[4] in found


@pytest.fixture(scope="module", params=COMBINATIONS, ids="-".join)
def fleet(request, project):
    driver, router = request.param
    with project.up("--driver", driver, "--router", router, "--format", "") as running:
        yield running


def test_each_driver_and_router_answers_as_a_single_process(fleet, measure):
    answers = {row: ask(fleet.port, *row[:3]) for row in TABLE}
    wrong = [row for row in TABLE if essence(answers[row]) != essence(measure[row])]
    for row in wrong:
        assert essence(answers[row]) == essence(measure[row]), row


def test_sites_are_answered_by_the_process_that_is_meant(fleet):
    def site_id(host):
        return ask(fleet.port, host).json["SITE_ID"]

    assert site_id("first.example") == str(fleet.project.id_of("first"))
    assert site_id("also.example") == str(fleet.project.id_of("first"))
    for host in ("second.example", "common.example", "lands.example"):
        assert site_id(host) == "", host


def test_malformed_hosts_are_refused(fleet):
    answers = {host: ask(fleet.port, host).status for host in MALFORMED}
    assert answers == dict.fromkeys(MALFORMED, 400)


def test_a_header_that_is_too_long_is_said_to_be_so(fleet):
    assert ask(fleet.port, "second.example", headers={"X-Long": "x" * 20_000}).status == 431


def test_no_host_at_all_leads_to_no_site(fleet):
    assert ask(fleet.port, "").status in {400, 404}


def test_what_clients_say_of_proxies_is_not_believed(fleet):
    lies = {
        "X-Forwarded-For": "6.6.6.6",
        "X-Forwarded-Host": "second.example",
        "X-Forwarded-Proto": "https",
        "Forwarded": "for=6.6.6.6;host=second.example",
        "X_Forwarded_For": "6.6.6.6",
    }
    for host in ("first.example", "second.example", "live.example"):
        answer = ask(fleet.port, host, "/echo/", headers=lies)
        heard = answer.json["headers"]
        assert heard["Host"] == host
        assert heard["X-Forwarded-For"] == "127.0.0.1"
        assert heard["X-Forwarded-Proto"] == "http"
        assert heard.get("X-Forwarded-Host", host) == host
        assert "6.6.6.6" not in answer.text


def test_the_address_that_was_asked_for_is_told_alike(fleet):
    for host in ("first.example", "second.example", "live.example", "common.example"):
        for port, source, headers, *expected in ADDRESSES:
            seen = ask(fleet.port, host + port, "/echo/", headers=headers, source=source).json
            meta, scheme = seen["meta"], "https" if seen["secure"] else "http"
            found = [meta["REMOTE_ADDR"], scheme, int(seen["port"]), meta["HTTP_X_FORWARDED_PORT"]]
            assert (host, expected) == (meta["SERVER_NAME"], found)
            assert not meta.get("REMOTE_PORT"), "that of a connection inside"


def test_the_address_that_was_asked_for_is_told_to_websockets_alike(fleet):
    for host in ("live.example", "common.example"):
        for port, source, headers, *expected in ADDRESSES:
            with websocket(fleet, host + port, headers, source) as client:
                client.send("scope")
                seen = json.loads(client.recv(10).partition(":")[2])
            scheme = {"ws": "http", "wss": "https"}[seen["scheme"]]
            told = seen["headers"]["x-forwarded-port"]
            assert seen["server"] == [host, expected[2]]
            assert [seen["client"][0], scheme, seen["server"][1], told] == expected


def test_a_request_of_old_that_names_no_host_leads_to_no_site(fleet):
    with socket.create_connection(("127.0.0.1", fleet.port), 20) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = client.makefile("rb").read().decode()
    assert answer.split()[1] == "404"
    assert str(fleet.project.folder) not in answer


def test_streams_arrive_piece_by_piece(fleet):
    for host in ("first.example", "live.example"):
        connection = http.client.HTTPConnection("127.0.0.1", fleet.port, timeout=20)
        connection.request("GET", "/stream/?lines=2&pause=0.4", headers={"Host": host})
        answer = connection.getresponse()
        first, rest = answer.read1(1000), answer.read()
        connection.close()
        assert (first.count(b"\n"), rest.count(b"\n")) == (1, 1), first


def test_websockets_pass(fleet):
    for host in ("live.example", "common.example"):
        with websocket(fleet, host) as client:
            for text in ("hello", "again"):
                client.send(text)
                assert client.recv(10) == f"{host.partition('.')[0]}:{text}"


def websocket(fleet, host, headers=(), source="127.0.0.1"):
    sock = socket.create_connection(("127.0.0.1", fleet.port), 20, (source, 0))
    uri, more = f"ws://{host}/socket/", dict(headers)
    return connect(uri, sock=sock, compression=None, additional_headers=more)
