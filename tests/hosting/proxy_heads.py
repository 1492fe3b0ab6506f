"""Heads of requests, as tests write and read them."""

from sitefleet.hosting.proxy.forwarded import Peer, rewrite
from sitefleet.hosting.proxy.requests import parse_request

PEER = Peer("203.0.113.7", ("192.0.2.1", 8000))


def head(*lines, method="GET", target="/", version="1.1", host="example.org"):
    first = f"{method} {target} HTTP/{version}"
    named = [f"Host: {host}"] if host is not None else []
    return "\r\n".join([first, *named, *lines, "", ""]).encode("latin-1")


def sent(*lines, peer=PEER, **options):
    """Return what the instance gets: the first line, and headers in lower case."""
    return read(rewrite(parse_request(head(*lines, **options)), peer))


def read(data):
    assert data.endswith(b"\r\n\r\n")
    first, *lines = data.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    pairs = [line.split(": ", 1) for line in lines]
    return first, [(name.lower(), value) for name, value in pairs]
