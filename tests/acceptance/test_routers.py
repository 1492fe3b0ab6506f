"""nginx, HAProxy and Traefik themselves, in front of servers that say who they are."""

import asyncio
import hashlib
import os
import shutil
import signal
import time
from contextlib import ExitStack
from importlib import import_module

import pytest

from sitefleet.exceptions import SiteError
from sitefleet.hosting.routers import programs
from tests.acceptance.demo import free_port
from tests.acceptance.load import Load
from tests.acceptance.routing import PAUSE, PIECES, Routed, plan_of, read_answer

pytestmark = pytest.mark.acceptance

LONG = f"{'x' * 60}.{'y' * 60}.example.org"
SITES = {
    1: ("one.example.org", "alias.example.org", "xn--bcher-kva.example"),
    2: ("two.example.org",),
    3: (LONG,),
    9: ("dead.example.org",),
}
PLAN = plan_of(SITES, trusted_proxies=("192.0.2.0/24",))
ROUTERS = ("nginx", "haproxy", "traefik")


@pytest.fixture(scope="module", params=ROUTERS)
def routed(request):
    with Routed(request.param, PLAN) as made:
        if made.name != "traefik":
            made.withdraw("site-9")
        yield made


@pytest.fixture
def fresh(request):
    """A router of its own, for tests that change or end it."""
    made = []

    def start(name, plan=PLAN):
        made.append(Routed(name, plan))
        made[0].start()
        return made[0]

    yield start
    for one in made:
        one.close()


@pytest.mark.parametrize(
    ("host", "server"),
    [
        ("one.example.org", "site-1"),
        ("ONE.Example.ORG", "site-1"),
        ("one.example.org:8000", "site-1"),
        ("one.example.org.", "site-1"),
        ("ONE.example.org.:80", "site-1"),
        ("alias.example.org", "site-1"),
        ("xn--bcher-kva.example", "site-1"),
        ("two.example.org", "site-2"),
        ("other.example.org", "shared"),
        ("one.example.org.example.com", "shared"),
        ("a_b.example.org", "shared"),
        ("127.0.0.1:8000", "shared"),
        ("[::1]:8000", "shared"),
        ("z" * 63 + ".example.org", "shared"),
        ("a" * 300, "shared"),
        ("-", "shared"),
        ("_", "shared"),
    ],
)
def test_a_host_leads_to_its_site_however_it_is_written(routed, host, server):
    told = routed.get(host).told
    assert told["server"] == server
    assert dict(told["headers"]).items() & {("Host", host), ("host", host)}


def test_a_name_too_long_for_a_socket_leads_to_a_server_all_the_same(routed):
    assert routed.get(LONG).told["server"] == ("shared" if routed.name == "nginx" else "site-3")


BAD_HOSTS = {
    "path": "../s/site-1",
    "slash": "one.example.org/two",
    "space": "one example.org",
    "markup": "<x>",
    "two": "one.example.org, two.example.org",
    "user": "x@one.example.org",
    "letter": "\xe9.example.org",
    "null": "one.example.org\x00",
    "variable": "${host}",
    "quote": 'one.example.org"',
    "backslash": "one\\example.org",
}


@pytest.mark.parametrize("host", BAD_HOSTS.values(), ids=BAD_HOSTS)
def test_what_is_no_host_is_refused(routed, host):
    assert routed.get(host).status == 400


@pytest.mark.parametrize("host", ["a..example.org", "one.example.org:x", "-a.example.org-"])
def test_what_only_looks_like_a_host_never_leads_to_another_site(routed, host):
    answer = routed.get(host)
    assert answer.status == 400 or answer.told["server"] in {"shared", "site-1"}


def test_a_request_names_one_host(routed):
    start = "GET / HTTP/1.1\r\nConnection: close\r\n"
    assert routed.raw(f"{start}\r\n").status == 400
    two = "Host: one.example.org\r\nHost: two.example.org\r\n"
    assert routed.raw(f"{start}{two}\r\n").status == 400
    # Without one there is nothing to look up, in HTTP/1.0.
    assert routed.raw("GET / HTTP/1.0\r\n\r\n").told["server"] == "shared"


def test_an_address_in_the_request_line_cannot_contradict_the_host(routed):
    start = "GET http://two.example.org/ HTTP/1.1\r\nHost: one.example.org\r\n"
    answer = routed.raw(f"{start}Connection: close\r\n\r\n")
    if answer.status != 400:  # then the address counts, as RFC 9112 3.2.2 has it
        assert answer.told["server"] == "site-2"
        assert answer.seen["host"] == "two.example.org"


def test_no_router_is_a_forward_proxy(routed):
    # HAProxy would let a site open a tunnel to itself, past all that it makes of headers.
    host = "one.example.org:443"
    answer = routed.raw(f"CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n\r\n")
    assert answer.status in {400, 405, 501}
    assert answer.headers.get("allow", "") == ""
    assert ("allow" in answer.headers) == (answer.status == 405)
    assert "x-served-by" not in answer.headers


LIES = (
    "X-Forwarded-For: 203.0.113.9",
    "X-Forwarded-For: 203.0.113.10",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Host: evil.example",
    "X_Forwarded_For: 203.0.113.9",
    "Remote_User: somebody",
    "X-Forwarded-Port: 443",
    "X-Forwarded-Ssl: on",
    "X-Forwarded-Protocol: ssl",
    "X-Forwarded-Prefix: /evil",
    "X-Forwarded-User: evil",
    "X-Forwarded-Email: evil@evil.example",
    "X-Forwarded-Tls-Client-Cert: evil",
    "X-Forwarded-Scheme: https",
    "X-Real-IP: 203.0.113.9",
    "Forwarded: for=203.0.113.9",
    "Proxy: evil.example",
    "Upgrade: h2c",
)


TOLD = {f"x-forwarded-{name}" for name in ("for", "proto", "host", "port", "server")}


#: It cannot tell who has sent the others, and says itself what it is.
KEPT_BY_TRAEFIK = {
    *("x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "x-forwarded-prefix"),
    *("x-forwarded-uri", "x-forwarded-method"),
    *("x-forwarded-tls-client-cert", "x-forwarded-tls-client-cert-info"),
}


def test_what_a_client_says_in_the_name_of_proxies_is_replaced(routed):
    answer = routed.get("one.example.org:8000", headers=LIES)
    seen = answer.seen
    assert seen["x-forwarded-for"] == "127.0.0.1"
    assert seen["x-forwarded-proto"] == "http"
    assert seen["x-forwarded-host"] == "one.example.org:8000"
    assert seen["x-real-ip"] == "127.0.0.1"
    assert not any("_" in name for name in seen)
    assert not {"forwarded", "proxy", "x-forwarded-ssl", "x-forwarded-protocol"} & seen.keys()
    assert not {"x-forwarded-prefix", "upgrade"} & seen.keys()
    assert {name for name in seen if name.startswith("x-forwarded-")} <= TOLD
    assert seen.get("x-forwarded-port") == ("8000" if routed.name == "traefik" else None)
    assert "203.0.113" not in str(answer.body)


@pytest.mark.parametrize("name", ROUTERS)
def test_what_a_trusted_proxy_says_is_kept(fresh, name):
    routed = fresh(name, plan_of(SITES, trusted_proxies=("127.0.0.0/8",)))
    seen = routed.get("one.example.org", headers=[*LIES[1:4], "X-Real-IP: 203.0.113.9"]).seen
    assert seen["x-forwarded-for"].replace(" ", "") == "203.0.113.10,127.0.0.1"
    assert seen["x-forwarded-proto"] == "https"
    assert seen["x-forwarded-host"] == "evil.example"
    assert seen["x-real-ip"] == "203.0.113.9"
    names = {header.lower() for header in programs.FORWARDED} - {"x-forwarded-for"}
    told = routed.get("one.example.org", headers=[f"{header}: told" for header in names]).seen
    kept = {header for header in names if told.get(header) == "told"}
    assert kept == (KEPT_BY_TRAEFIK if name == "traefik" else names)


def test_addresses_are_passed_on_as_they_come(routed):
    path = "/a%2Fb//c/./%7Ed?x=%41&y=a+b"
    seen = routed.get("one.example.org", path).told["path"]
    assert seen in {path, path.replace("%7E", "~")}


@pytest.mark.parametrize("host", ["one.example.org", "dead.example.org", "other.example.org"])
def test_bodies_arrive_whole(routed, host):
    body = os.urandom(3_000_000)
    told = routed.get(host, method="POST", body=body).told
    assert (told["length"], told["digest"]) == (len(body), hashlib.sha256(body).hexdigest())
    chunks = b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
    start = f"POST / HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n"
    assert routed.raw(f"{start}Connection: close\r\n\r\n", chunks).told["length"] == 11


def test_a_site_that_cannot_be_reached_is_answered_by_the_shared_server(routed):
    # Traefik cannot: it needs ports, on which the supervisor always listens.
    server = "site-9" if routed.name == "traefik" else "shared"
    for method, body in (("GET", b""), ("POST", b"x" * 100)):
        told = routed.get("dead.example.org", method=method, body=body).told
        assert (told["server"], told["length"]) == (server, len(body))


def test_a_request_that_a_site_has_begun_is_not_sent_to_another(routed):
    for method in ("GET", "POST"):
        answer = routed.get("one.example.org", "/crash", method)
        assert answer.status == 502
        assert "x-served-by" not in answer.headers


def test_answers_without_a_body_stay_so(routed):
    head = routed.get("one.example.org", method="HEAD")
    assert (head.status, head.headers["x-served-by"]) == (200, "site-1")
    assert int(head.headers["content-length"]) > 0
    unchanged = routed.get("one.example.org", "/unchanged", headers=['If-None-Match: "1"'])
    assert (unchanged.status, unchanged.headers["etag"]) == (304, '"1"')


@pytest.mark.parametrize("path", ["/stream", "/stream-until-closed"])
def test_streams_pass_piece_by_piece(routed, path):
    with routed.connected() as client:
        start = f"GET {path} HTTP/1.1\r\nHost: one.example.org\r\nConnection: close\r\n\r\n"
        client.sendall(start.encode())
        came, data, started = {}, b"", time.monotonic()
        while more := client.recv(65536):
            data += more
            for number in range(PIECES):
                if b"piece%d" % number in data:
                    came.setdefault(number, time.monotonic() - started)
    assert came[0] < PAUSE
    assert all(came[number] > PAUSE * number * 0.8 for number in range(PIECES))


def test_web_sockets_pass_both_ways(routed):
    lines = (
        "GET /socket HTTP/1.1",
        "Host: two.example.org",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    )
    with routed.connected() as client:
        client.sendall("\r\n".join((*lines, "", "")).encode())
        assert client.recv(65536).startswith(b"HTTP/1.1 101 ")
        for word in (b"one", b"two"):
            client.sendall(word)
            assert client.recv(65536) == b"site-2:" + word


def test_one_connection_serves_many_requests_and_sites(routed):
    with routed.connected() as client:
        for host, server in (("one", "site-1"), ("two", "site-2"), ("other", "shared")):
            client.sendall(f"GET / HTTP/1.1\r\nHost: {host}.example.org\r\n\r\n".encode())
            data = b""
            while b'"digest"' not in data:
                data += client.recv(65536)
            assert f'"server": "{server}"'.encode() in data


def test_no_connection_to_a_server_is_kept(routed):
    routed.kept.clear()
    with routed.connected() as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: one.example.org\r\n\r\n")
        assert read_answer(client).told["server"] == "site-1"
        time.sleep(1.2)  # a server waits for one second
    assert routed.kept == []


def test_who_sends_no_body_holds_no_thread_of_a_site(routed):
    routed.begun.clear()
    with routed.connected() as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: two.example.org\r\nContent-Length: 9\r\n\r\n")
        assert routed.get("one.example.org").status == 200
        time.sleep(0.1)
        # Traefik passes a request on when it has its head.
        assert ("site-2" in routed.begun) == (routed.name == "traefik")
        client.sendall(b"123456789")
        assert read_answer(client).told["length"] == 9


def test_what_is_answered_well_is_no_line_in_the_log(routed):
    routed.said.clear()
    for host in ("one.example.org", "other.example.org", LONG, "127.0.0.1"):
        assert routed.get(host).status == 200
    assert routed.said == []


# Changes


@pytest.mark.parametrize("name", ROUTERS)
def test_ten_changes_under_load_cost_no_request(fresh, name):
    sites = {1: ("one.example.org",), 2: ("two.example.org",), 4: ("moving.example.org",)}
    routed = fresh(name, plan_of(sites))
    with Load(routed, ["one.example.org", "two.example.org", "moving.example.org"]) as load:
        for change in range(10):
            number = 10 + change
            sites = {**sites, number: (f"new{change}.example.org",)}
            if change % 2:
                sites.pop(4, None)  # it becomes one of the shared server's
            else:
                sites[4] = ("moving.example.org", f"alias{change}.example.org")
            routed.apply(plan_of(sites))
            assert routed.get(f"new{change}.example.org").told["server"] == f"site-{number}"
            moving = routed.get("moving.example.org").told["server"]
            assert moving == ("shared" if change % 2 else "site-4")
            load.go_on(11)
    assert load.failed == []
    assert load.done > 100


@pytest.mark.parametrize("name", ROUTERS)
def test_a_killed_router_comes_back_with_its_routes(fresh, name):
    routed = fresh(name)
    routed.apply(plan_of({**SITES, 7: ("later.example.org",)}))
    before = routed.router.process.pid
    os.kill(before, signal.SIGKILL)
    # Nobody is turned away meanwhile, as the socket is the supervisor's, but for who is taken by a
    # worker that is just ending: of those there is one at most here.
    answer = routed.get("later.example.org")
    answer = answer if answer.body else routed.get("later.example.org")
    if name != "traefik":  # it answers 404 until it has its routes again
        assert answer.told["server"] == "site-7"
    routed._until(lambda: routed.router.process.pid != before)
    routed._until(lambda: routed.get("later.example.org").status == 200)
    assert routed.get("later.example.org").told["server"] == "site-7"
    (status,) = routed.run(routed.router.status())
    assert (status.instance, status.restarts) == (name, 1)
    # And it can still be changed.
    routed.apply(plan_of({**SITES, 8: ("last.example.org",)}))
    assert routed.get("last.example.org").told["server"] == "site-8"
    assert routed.get("later.example.org").told["server"] == "shared"


@pytest.mark.parametrize("name", ROUTERS)
def test_a_thousand_hosts_are_led_and_let_go(fresh, name):
    routed = fresh(name, plan_of({1: ("one.example.org",)}))
    many = plan_of({number: (f"host{number}.example.org",) for number in range(1, 1001)})
    routed.serve = lambda _plan: None  # a thousand servers would take longer than the routes
    for instance in many.instances:
        routed.sockets.get(instance.key)
    started = time.monotonic()
    routed.apply(many)
    assert time.monotonic() - started < 10
    assert routed.get("host1.example.org").told["server"] == "site-1"
    assert routed.get("one.example.org").told["server"] == "shared"
    routed.apply(plan_of({1: ("one.example.org",)}))
    assert routed.get("host1.example.org").told["server"] == "shared"
    assert routed.get("one.example.org").told["server"] == "site-1"


@pytest.mark.parametrize("name", ROUTERS)
def test_without_any_server_there_is_a_short_answer_at_once(fresh, name):
    routed = fresh(name, plan_of({1: ("one.example.org",)}))
    for key in ("shared", "site-1"):
        if name == "traefik":
            routed.run(asyncio.sleep(0))
            routed.loop.call_soon_threadsafe(routed.servers.pop(key).close)
            routed.sockets._held.pop(key).close()
        else:
            routed.withdraw(key)
    started = time.monotonic()
    for host in ("one.example.org", "other.example.org"):
        answer = routed.get(host)
        assert answer.status in {502, 503}
        assert answer.headers.get("retry-after", "") == ("" if name == "traefik" else "5")
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("name", ROUTERS)
def test_what_is_being_answered_is_when_it_is_stopped(fresh, name):
    routed = fresh(name)
    with routed.connected() as client:
        start = "GET /stream HTTP/1.1\r\nHost: one.example.org\r\nConnection: close\r\n\r\n"
        client.sendall(start.encode())
        data = client.recv(65536)
        routed.run(routed.router.stop())
        while more := client.recv(65536):
            data += more
            if data.endswith(b"0\r\n\r\n"):
                break
    assert data.endswith(b"0\r\n\r\n")
    with pytest.raises(ConnectionRefusedError), routed.connected():
        pass


@pytest.mark.parametrize("name", ROUTERS)
def test_a_flood_on_one_host_is_refused_and_another_answers(fresh, name, monkeypatch):
    module = "traefik" if name == "traefik" else "programs"
    monkeypatch.setattr(import_module(f"sitefleet.hosting.routers.{module}"), "MOST_OF_A_HOST", 10)
    routed = fresh(name)
    with ExitStack() as stack:
        for _ in range(10):
            client = stack.enter_context(routed.connected())
            client.sendall(b"GET /stream HTTP/1.1\r\nHost: one.example.org\r\n\r\n")
            client.recv(1)
        assert routed.get("ONE.example.org:80").status in {429, 503}
        assert routed.get("two.example.org").told["server"] == "site-2"
        assert routed.get("other.example.org").told["server"] == "shared"


# What can be wrong at the start


@pytest.mark.parametrize("name", ["nginx", "haproxy"])
def test_lines_from_the_settings_are_used_and_their_mistakes_told(fresh, name):
    more = free_port()
    lines = {
        "nginx": f"add_header X-Raw yes; listen 127.0.0.1:{more};",
        "haproxy": f"    bind 127.0.0.1:{more}\n    http-response set-header X-Raw yes",
    }
    routed = fresh(name, plan_of(SITES, raw=lines))
    assert routed.get("one.example.org").headers["x-raw"] == "yes"
    routed.port = more
    assert routed.get("two.example.org").told["server"] == "site-2"
    broken = Routed(name, plan_of(SITES, raw={name: "no_such_word 1;"}))
    try:
        with pytest.raises(SiteError, match="no_such_word"):
            broken.start()
    finally:
        broken.close()


@pytest.mark.parametrize("name", ROUTERS)
def test_a_port_in_use_and_a_missing_program_are_told(routed, name, monkeypatch):
    second = Routed(name, plan_of(SITES, bind=f"127.0.0.1:{routed.port}"))
    try:
        with pytest.raises(SiteError, match=r"Something listens on 127.0.0.1:\d+ already"):
            second.start()
        monkeypatch.setattr(shutil, "which", lambda *_args, **_options: None)
        with pytest.raises(SiteError, match=f"no program {name}: (apt|pip) install"):
            second.start()
    finally:
        second.close()


@pytest.mark.parametrize("name", ROUTERS)
def test_names_that_are_no_hosts_reach_no_file_and_no_command(fresh, name):
    evil = (
        "../../evil",
        "evil.example\nshow info",
        "a;disable server sites/site-1",
        "`) || PathPrefix(`/",
        "$host",
        ".new",
        "a..b",
        "{evil}",
        "",
    )
    routed = fresh(name, plan_of({1: ("one.example.org",), 2: evil}))
    routed.apply(plan_of({1: ("one.example.org",), 3: evil}))
    assert routed.get("one.example.org").told["server"] == "site-1"
    assert routed.get("other.example.org").told["server"] == "shared"
    assert "evil" not in "".join(routed.router.render(routed.plan).values())
    assert programs.safe_routes(dict.fromkeys(evil, "site-3")) == {}
    assert any("No host names" in line for line in routed.said)
    assert not list(routed.context.run_dir.root.parent.glob("evil"))
