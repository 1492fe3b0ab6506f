"""What instances get to see of a request, and what they are told of who asks."""

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sitefleet.hosting.proxy.forwarded import Peer, is_in, rewrite
from sitefleet.hosting.proxy.requests import BadRequest, Request, parse_request
from tests.hosting.proxy_heads import PEER, head, read, sent

TRUSTED = Peer("10.0.0.1", ("192.0.2.1", 8000), is_trusted=True)


def test_headers_of_one_hop_end_here():
    lines = (
        "Connection: X-Secret, close, keep-alive",
        "X-Secret: 1",
        "Keep-Alive: timeout=5",
        "TE: trailers",
        "Trailer: X",
        "Upgrade: h2c",
        "Proxy: http://evil.example",
        "Proxy-Authorization: x",
        "Proxy-Connection: keep-alive",
        "Expect: 100-continue",
        "X-Kept: 1",
    )
    found = [pair for pair in sent(*lines)[1] if not tells_of_peers(pair[0])]
    assert found == [("host", "example.org"), ("x-kept", "1"), ("connection", "close")]


def test_a_connection_header_cannot_take_away_host_or_length():
    lines = ("Connection: host, content-length, x-forwarded-for", "Content-Length: 3")
    _, found = sent(*lines, method="POST")
    names = [name for name, _ in found]
    assert [names.count(name) for name in ("host", "content-length", "x-forwarded-for")] == [1] * 3


def test_a_websocket_is_asked_for_and_nothing_else_is_upgraded():
    lines = ("Connection: keep-alive, Upgrade", "Upgrade: WebSocket")
    assert {("connection", "Upgrade"), ("upgrade", "websocket")} <= set(sent(*lines)[1])
    for other in ("h2c", "websocket, h2c"):
        _, found = sent("Connection: Upgrade", f"Upgrade: {other}")
        assert ("connection", "close") in found
        assert "upgrade" not in dict(found)
    assert not parse_request(head(*lines, "Content-Length: 1")).websocket
    assert not parse_request(head(*lines, method="POST")).websocket


def test_a_chunked_body_stays_one():
    _, found = sent("Transfer-Encoding: chunked", method="POST")
    assert ("transfer-encoding", "chunked") in found
    assert "content-length" not in dict(found)


def tells_of_peers(name):
    return name.startswith("x-forwarded-") or name in ("forwarded", "x-real-ip")


SPOOFS = (
    "X-Forwarded-For: 1.2.3.4",
    "X-FORWARDED-PROTO: https",
    "X-Forwarded-Host: evil.example",
    "X-Forwarded-Port: 1",
    "X-Forwarded-Ssl: on",
    "X_Forwarded_For: 1.2.3.4",
    "X-Forwarded_Proto: https",
    "Forwarded: for=1.2.3.4",
    "X-Real-IP: 1.2.3.4",
)
OWN = {
    "x-forwarded-for": "203.0.113.7",
    "x-real-ip": "203.0.113.7",
    "x-forwarded-proto": "http",
    "x-forwarded-host": "example.org",
}


def test_what_a_client_says_of_itself_is_replaced():
    _, found = sent(*SPOOFS)
    assert [pair for pair in found if tells_of_peers(pair[0].replace("_", "-"))] == list(
        OWN.items()
    )


def test_what_a_trusted_proxy_says_is_kept_and_added_to():
    found = dict(sent(*SPOOFS, peer=TRUSTED)[1])
    assert {name: value for name, value in found.items() if tells_of_peers(name)} == {
        "x-forwarded-for": "1.2.3.4, 10.0.0.1",
        "x-forwarded-proto": "https",
        "x-forwarded-host": "evil.example",
        "x-forwarded-port": "1",
        "x-forwarded-ssl": "on",
        "x-real-ip": "1.2.3.4",
        "forwarded": "for=1.2.3.4",
    }
    assert not any("_" in name for name in found)


def test_the_zone_of_an_address_is_not_told():
    found = dict(sent(peer=Peer("2001:db8::1%eth0", ("::1", 80)))[1])
    assert found["x-forwarded-for"] == "2001:db8::1"


_NAMES = st.one_of(
    st.sampled_from([line.split(":")[0] for line in SPOOFS]),
    st.sampled_from(["Connection", "X-Forwarded-Anything", "x_forwarded_host", "Proxy", "Via"]),
    st.from_regex(r"[A-Za-z_.!~-]{1,12}", fullmatch=True),
)
_VALUES = st.one_of(
    st.sampled_from(["close", "x-forwarded-for", "host, forwarded", "evil.example", "https"]),
    st.from_regex(r"[!-~]([ -~]{0,12}[!-~])?", fullmatch=True),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(_NAMES, _VALUES), max_size=8))
def test_no_header_of_an_unknown_client_tells_of_peers(pairs):
    try:
        request = parse_request(head(*(f"{name}: {value}" for name, value in pairs)))
    except BadRequest:
        return
    _, found = read(rewrite(request, PEER))
    told = [pair for pair in found if tells_of_peers(pair[0].replace("_", "-"))]
    assert told == list(OWN.items())
    assert [value for name, value in found if name == "host"] == ["example.org"]
    assert not any("_" in name for name, _ in found)
    reread = parse_request(rewrite(request, PEER))  # what goes out is a request by itself
    assert isinstance(reread, Request)


@pytest.mark.parametrize(
    ("address", "trusted"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("2001:db8::1%eth0", True),
        ("11.1.2.3", False),
        ("", False),
        ("unknown", False),
    ],
)
def test_a_proxy_is_trusted_by_its_network(address, trusted):
    networks = [ipaddress.ip_network(text) for text in ("10.0.0.0/8", "2001:db8::/32")]
    assert is_in(address, networks) is trusted
