"""Heads of responses, the router's own pages, the table of routes, the line to the supervisor."""

import socket

import pytest

from sitefleet.hosting.proxy.bodies import Chunks, Sized, UntilEnd
from sitefleet.hosting.proxy.channel import Channel
from sitefleet.hosting.proxy.pages import page
from sitefleet.hosting.proxy.requests import parse_request
from sitefleet.hosting.proxy.responses import BadResponse, parse_response, render
from sitefleet.hosting.proxy.routes import Routes
from sitefleet.hosting.proxy.state import limits_for

GET = parse_request(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
HEAD = parse_request(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
OLD = parse_request(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3", Sized),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked", Chunks),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3", Chunks),
        (b"HTTP/1.1 200 OK", UntilEnd),
        (b"HTTP/1.0 200", UntilEnd),
    ],
    ids=str,
)
def test_a_response_says_how_its_body_ends(head, kind):
    body = parse_response(head).body(GET)
    assert isinstance(body, kind)
    assert not body.done


@pytest.mark.parametrize(
    ("status", "request_"), [(204, GET), (304, GET), (200, HEAD)], ids=["204", "304", "HEAD"]
)
def test_some_responses_have_no_body_whatever_they_say(status, request_):
    response = parse_response(b"HTTP/1.1 %d X\r\nContent-Length: 3" % status)
    assert response.body(request_).done
    assert (b"Content-Length: 3" in render(response, request_, keep_alive=True)) is (status != 204)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/2 200 OK",
        b"ICY 200 OK",
        b"HTTP/1.1 20 OK",
        b"HTTP/1.1 200 OK\r\nX: a\r\n folded",
        b"HTTP/1.1 200 OK\r\nX : a",
        b"HTTP/1.1 200 OK\r\nX: a\nY: b",
        b"HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b",
        b"HTTP/1.1 200 OK\r\nX: a\r",
        b"HTTP/1.1 200 OK\r\nX: a\0b",
        b"HTTP/1.1 200 \rOK",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip",
    ],
    ids=repr,
)
def test_a_response_that_cannot_be_read_is_not_passed_on(head):
    with pytest.raises(BadResponse):
        parse_response(head)


def test_headers_of_one_hop_end_here():
    response = parse_response(
        b"HTTP/1.1 200 Fine\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: x\r\n"
        b"Set-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 3"
    )
    expected = b"HTTP/1.1 200 Fine\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 3\r\n"
    assert render(response, GET, keep_alive=True) == expected + b"\r\n"
    assert render(response, OLD, keep_alive=True) == expected + b"Connection: keep-alive\r\n\r\n"
    assert render(response, GET, keep_alive=False) == expected + b"Connection: close\r\n\r\n"


def test_http_1_0_gets_no_chunks():
    response = parse_response(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked")
    assert b"chunked" in render(response, GET, keep_alive=True)
    assert b"chunked" not in render(response, OLD, keep_alive=False)


def test_pages_say_what_they_are():
    data = page(503, "Try again.")
    assert data.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert b"\r\nRetry-After: " in data
    assert data.endswith(b"\r\n\r\n503 Service Unavailable\n\nTry again.\n")
    assert page(503, "Try again.", head=True).endswith(b"\r\n\r\n")
    assert b"\r\nAllow:\r\n" in page(405, "This server is no forward proxy.")
    assert b"\r\nAllow:" not in page(400, "This is no HTTP request.")


def table(**changes):
    return {
        "addresses": {"shared": "unix:/s", "site-1": "[::1]:81", "site-2": "127.0.0.1:82"},
        "names": {"a.example": "site-1"},
        "trusted": ["10.0.0.0/8"],
    } | changes


def test_hosts_lead_to_their_instance_and_all_others_to_the_shared_one():
    routes = Routes()
    routes.replace(table())
    found = routes.find("a.example")
    assert (found.key, found.family, found.address) == ("site-1", socket.AF_INET6, ("::1", 81))
    assert routes.find("b.example").address == "/s"


def test_an_instance_keeps_what_it_answers_when_the_table_changes():
    routes = Routes()
    routes.replace(table())
    target = routes.find("a.example")
    target.open = 1
    routes.replace(table(names={"b.example": "site-1"}))
    assert routes.find("b.example") is target
    assert target.open == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"addresses": {"site-1": "unix:/a"}},
        {"names": {"a.example": "site-9"}},
        {"trusted": ["everybody"]},
        {"addresses": {"shared": "unix:/t", "site-1": "nowhere"}},
    ],
    ids=str,
)
def test_a_table_that_cannot_be_used_changes_nothing(changes):
    routes = Routes()
    routes.replace(table())
    with pytest.raises((KeyError, ValueError)):
        routes.replace(table(**changes))
    assert routes.find("a.example").key == "site-1"
    assert routes.shared.address == "/s"


def test_a_line_that_a_killed_process_has_cut_is_passed_over():
    found = []
    channel = Channel(found.append, lambda: None)
    channel.data_received(b'{"counts": {"site')
    channel.data_received(b'\n{"hello": 1}')
    channel.data_received(b'\n\n{"a": ')
    channel.data_received(b"2}\n[]\n")
    assert found == [{"hello": 1}, {"a": 2}]


@pytest.mark.parametrize("descriptors", [64, 256, 1024, 2**20])
def test_connections_stay_below_the_limit_of_descriptors(descriptors):
    limits = limits_for(descriptors)
    assert limits.clients >= 8
    assert limits.clients * 2 + 64 <= max(descriptors, 80)
    assert limits.per_instance * 2 <= limits.clients
