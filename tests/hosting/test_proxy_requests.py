"""Heads of requests: what is refused, and what is read."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sitefleet import hosts
from sitefleet.hosting.proxy.forwarded import rewrite
from sitefleet.hosting.proxy.requests import (
    LARGEST_HEAD,
    MOST_EMPTY_LINES,
    BadRequest,
    parse_request,
    split_head,
)
from tests.hosting.proxy_heads import PEER, head, read, sent

#: Attacks that make two servers see different requests, and what else is none.
REFUSED = {
    "length and chunked": (400, head("Content-Length: 3", "Transfer-Encoding: chunked")),
    "two lengths": (400, head("Content-Length: 3", "Content-Length: 4")),
    "equal lengths": (400, head("Content-Length: 3", "Content-Length: 3")),
    "length with a sign": (400, head("Content-Length: +3")),
    "negative length": (400, head("Content-Length: -3")),
    "list of lengths": (400, head("Content-Length: 3, 3")),
    "empty length": (400, head("Content-Length:")),
    "length beyond all": (400, head("Content-Length: " + "9" * 40)),
    "length in hexadecimal": (400, head("Content-Length: 0x3")),
    "unknown coding": (400, head("Transfer-Encoding: xchunked")),
    "gzip and chunked": (400, head("Transfer-Encoding: gzip, chunked")),
    "identity": (400, head("Transfer-Encoding: identity")),
    "chunked twice": (400, head("Transfer-Encoding: chunked", "Transfer-Encoding: chunked")),
    "vertical tab before chunked": (400, head("Transfer-Encoding: \x0bchunked")),
    "chunked in HTTP/1.0": (400, head("Transfer-Encoding: chunked", version="1.0")),
    "space before the colon": (400, head("Content-Length : 3")),
    "folded header": (400, head("X: a", " b")),
    "folded first header": (400, head(" Host: b")),
    "no colon": (400, head("nothing")),
    "no name": (400, head(": nothing")),
    "zero byte in a value": (400, head("X: a\0b")),
    "zero byte in a name": (400, head("X\0: a")),
    "carriage return in a value": (400, head("X: a\rY: b")),
    "line feed in a value": (400, head("X: a\nY: b")),
    "line feeds alone": (400, b"GET / HTTP/1.1\nHost: a\n\n"),
    "two hosts": (400, head("Host: example.com")),
    "same host twice": (400, head("Host: example.org")),
    "no host": (400, head(host=None)),
    "empty host": (400, head(host="")),
    "host with a path": (400, head(host="example.org/a")),
    "host with a user": (400, head(host="a@example.org")),
    "host with a space": (400, head(host="a b")),
    "host with an empty label": (400, head(host="a..b")),
    "list of hosts": (400, head(host="a, b")),
    "port beyond all": (400, head(host="a:99999")),
    "host that is not ASCII": (400, head(host="m\xfcller.example")),
    "target without a slash": (400, head(target="a")),
    "target with a fragment": (400, head(target="/a#b")),
    "target with a user": (400, head(target="http://a@example.org/")),
    "target of another scheme": (400, head(target="ftp://example.org/")),
    "target without a host": (400, head(target="http:///a")),
    "target with a bad host": (400, head(target="http://a..b/")),
    "target with a space": (400, head(target="/a b")),
    "star for GET": (400, head(target="*")),
    "CONNECT": (405, head(method="CONNECT", target="example.org:80")),
    "unknown method": (501, head(method="BREW")),
    "lower case method": (501, head(method="get")),
    "HTTP/0.9": (505, head(version="0.9")),
    "HTTP/0.9 without a version": (400, b"GET /\r\n\r\n"),
    "HTTP/1.2": (505, head(version="1.2")),
    "HTTP/2": (505, b"PRI * HTTP/2.0\r\n\r\n"),
    "RTSP": (400, b"GET / RTSP/1.0\r\nHost: a\r\n\r\n"),
    "TLS": (400, b"\x16\x03\x01\x02\x00\x01\r\n\r\n"),
}


@pytest.mark.parametrize(("status", "data"), REFUSED.values(), ids=REFUSED)
def test_what_can_be_read_in_two_ways_is_refused(status, data):
    with pytest.raises(BadRequest) as caught:
        parse_request(data)
    assert (caught.value.status, caught.value.reason[-1]) == (status, ".")


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\nHost: a\n\n", b"\x16\x03\x01", b"\n", b"\rGET", b"\0"], ids=repr
)
def test_what_can_become_no_request_is_refused_at_once(data):
    with pytest.raises(BadRequest):
        split_head(data)


def test_a_head_that_is_too_large_is_refused_before_it_ends():
    start = b"GET / HTTP/1.1\r\nX: " + b"a" * LARGEST_HEAD
    for data in (start, start + b"\r\n\r\n"):
        with pytest.raises(BadRequest) as caught:
            split_head(data)
        assert caught.value.status == 431


def test_a_head_ends_with_its_empty_line():
    data = head()
    for cut in range(len(data)):
        assert split_head(data[:cut]) == (b"", data[:cut])
    assert split_head(b"\r\n\r\n" + data + b"more") == (data, b"more")


def test_a_few_empty_lines_are_passed_over_and_more_are_refused():
    lines = b"\r\n" * MOST_EMPTY_LINES
    assert split_head(lines + head()) == (head(), b"")
    assert split_head(lines) == (b"", lines)  # counted again, should more of them come
    with pytest.raises(BadRequest) as caught:
        split_head(lines + b"\r\n" + head())
    assert caught.value.status == 400


def test_the_host_of_the_target_wins():
    request = parse_request(head(target="http://Other.example:81?a=b", host="example.org"))
    assert (request.name, request.host, request.target) == (
        "other.example",
        b"Other.example:81",
        b"/?a=b",
    )


def test_options_may_ask_about_the_server():
    assert sent(method="OPTIONS", target="*")[0] == "OPTIONS * HTTP/1.1"
    assert sent(method="OPTIONS", target="http://example.org")[0] == "OPTIONS * HTTP/1.1"


@pytest.mark.parametrize("host", ["Example.ORG", "example.org.", "EXAMPLE.org.:8000"])
def test_a_host_is_looked_up_in_normal_form_and_passed_on_as_it_came(host):
    assert parse_request(head(host=host)).name == "example.org"
    assert ("host", host) in sent(host=host)[1]


def test_http_1_0_may_name_no_host():
    request = parse_request(head(host=None, version="1.0"))
    assert request.name == ""
    assert ("host", "192.0.2.1:8000") in read(rewrite(request, PEER))[1]


@pytest.mark.parametrize(
    ("lines", "version", "kept"),
    [
        ((), "1.1", True),
        (("Connection: close",), "1.1", False),
        (("Connection: foo, Close",), "1.1", False),
        ((), "1.0", False),
        (("Connection: Keep-Alive",), "1.0", True),
    ],
    ids=str,
)
def test_the_client_says_whether_another_request_follows(lines, version, kept):
    assert parse_request(head(*lines, version=version)).keep_alive is kept


@settings(max_examples=40, deadline=None)
@given(st.text("abAB.-:019[]", min_size=1, max_size=12))
def test_hosts_are_those_of_the_resolver(text):
    try:
        expected = hosts.split(hosts.normalize_header(text))[0]
    except hosts.InvalidHost:
        with pytest.raises(BadRequest):
            parse_request(head(host=text))
    else:
        assert parse_request(head(host=text)).name == expected
