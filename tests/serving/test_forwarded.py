"""What a router tells of the client reaches Django, and what nobody vouches for does not."""

import pytest

from sitefleet.serving.forwarded import believe_asgi, believe_wsgi


@pytest.fixture
def fleet(monkeypatch, settings):
    """Be a process of a fleet."""
    monkeypatch.setenv("SITEFLEET_PART_OF", "/run/fleet")
    settings.SITEFLEET = {**settings.SITEFLEET, "SERVING": {"trusted_proxies": ["10.0.0.0/8"]}}


def ask(**environ):
    return believe_wsgi(lambda given, _: given)({"REMOTE_ADDR": "", **environ}, None)


@pytest.mark.parametrize(
    ("told", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::7", "2001:db8::7"),
        ("192.0.2.7, 10.1.2.3", "192.0.2.7"),
        ("6.6.6.6, 192.0.2.7, 10.1.2.3", "192.0.2.7"),
        ("10.1.1.1, 10.1.2.3", "10.1.1.1"),
        ("<script>, 10.1.2.3", "10.1.2.3"),
        ("unknown", ""),
        ("", ""),
    ],
)
def test_the_client_is_the_last_that_is_no_trusted_proxy(fleet, told, client):
    assert ask(HTTP_X_FORWARDED_FOR=told)["REMOTE_ADDR"] == client


@pytest.mark.parametrize(
    ("told", "scheme"),
    [("https", "https"), ("HTTPS, http", "https"), ("http", "http"), ("gopher", "http")],
)
def test_the_scheme_is_that_of_the_client(fleet, told, scheme):
    given = ask(HTTP_X_FORWARDED_PROTO=told, **{"wsgi.url_scheme": "http"})
    assert given["wsgi.url_scheme"] == scheme


def test_a_server_that_no_router_stands_before_believes_nobody(settings):
    def application(environ, start_response):
        return environ

    assert believe_wsgi(application) is application
    assert believe_asgi(application) is application


async def test_what_came_in_several_lines_counts_as_one(fleet):
    seen = []

    async def application(scope, receive, send):
        seen.append((scope["client"], scope["scheme"]))

    told = [(b"x-forwarded-for", b"192.0.2.7"), (b"x-forwarded-for", b"10.1.2.3")]
    told += [(b"x-forwarded-proto", b"https"), (b"x-forwarded-proto", b"http")]
    await believe_asgi(application)({"type": "http", "headers": told}, None, None)
    assert seen == [(("192.0.2.7", 0), "https")]


@pytest.mark.parametrize(
    ("kind", "told", "scheme"),
    [("http", b"https", "https"), ("websocket", b"https", "wss"), ("websocket", b"http", "ws")],
)
async def test_asgi_is_told_the_same(fleet, kind, told, scheme):
    seen = []

    async def application(scope, receive, send):
        seen.append(scope)

    headers = [(b"x-forwarded-for", b"192.0.2.7"), (b"x-forwarded-proto", told)]
    scope = {"type": kind, "headers": headers, "scheme": "http", "client": None}
    await believe_asgi(application)(scope, None, None)
    await believe_asgi(application)({"type": "lifespan"}, None, None)
    assert (seen[0]["client"], seen[0]["scheme"]) == (("192.0.2.7", 0), scheme)
    assert scope["client"] is None, "what the server has is not written to"
    assert seen[1] == {"type": "lifespan"}
