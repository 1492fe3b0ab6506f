"""What a router tells of the client reaches Django, and what nobody vouches for does not."""

import pytest
from django.core.handlers.asgi import ASGIRequest
from django.middleware.csrf import CsrfViewMiddleware

from sitefleet.serving.forwarded import believe_asgi, believe_wsgi


@pytest.fixture
def fleet(monkeypatch, settings):
    """Be a process of a fleet."""
    monkeypatch.setenv("SITEFLEET_PART_OF", "/run/fleet")
    settings.SITEFLEET = {**settings.SITEFLEET, "SERVING": {"trusted_proxies": ["10.0.0.0/8"]}}


def ask(**environ):
    given = {"REMOTE_ADDR": "", "wsgi.url_scheme": "http", **environ}
    return believe_wsgi(lambda given, _: given)(given, None)


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
    given = ask(HTTP_X_FORWARDED_PROTO=told)
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
    [
        ("http", b"https", "https"),
        ("websocket", b"https", "wss"),
        ("websocket", b"wss", "wss"),  # as Traefik says
        ("websocket", b"http", "ws"),
        ("websocket", b"ws", "ws"),
    ],
)
async def test_asgi_is_told_the_same(fleet, kind, told, scheme):
    seen = []

    async def application(scope, receive, send):
        seen.append(scope)

    headers = [(b"x-forwarded-for", b"192.0.2.7"), (b"x-forwarded-proto", told)]
    own = "http" if kind == "http" else "ws"
    scope = {"type": kind, "headers": headers, "scheme": own, "client": None}
    await believe_asgi(application)(scope, None, None)
    await believe_asgi(application)({"type": "lifespan"}, None, None)
    assert (seen[0]["client"], seen[0]["scheme"]) == (("192.0.2.7", 0), scheme)
    assert scope["client"] is None, "what the server has is not written to"
    assert seen[1] == {"type": "lifespan"}


#: Host, and the scheme that a proxy has told; name, port.
ASKED = [
    ("example.org", "http", "example.org", "80"),
    ("example.org", "https", "example.org", "443"),
    ("Example.org.:8443", "https", "Example.org.", "8443"),
    ("example.org:", "http", "example.org", "80"),
    ("[::1]", "https", "[::1]", "443"),
    ("[::1]:8000", "http", "[::1]", "8000"),
    ("example.org", "gopher", "example.org", "80"),
    ("", "http", "unknown", "80"),
]


@pytest.mark.parametrize(("host", "scheme", "name", "port"), ASKED)
async def test_name_and_port_are_those_that_were_asked_for(fleet, host, scheme, name, port):
    wanted = {"SERVER_NAME": name, "SERVER_PORT": port, "HTTP_X_FORWARDED_PORT": port}
    inside = {"SERVER_NAME": "127.0.0.1", "SERVER_PORT": "47127", "REMOTE_PORT": "39552"}
    given = ask(HTTP_HOST=host, HTTP_X_FORWARDED_PROTO=scheme, HTTP_X_FORWARDED_FOR="::2", **inside)
    assert wanted.items() <= given.items()
    assert "REMOTE_PORT" not in given, "it is the router's"
    seen = []

    async def application(scope, receive, send):
        seen.append(scope)

    headers = [(b"host", host.encode()), (b"x-forwarded-proto", scheme.encode())]
    scope = {"type": "http", "method": "GET", "path": "/", "scheme": "http", "headers": headers}
    # As gunicorn has it behind a unix socket.
    await believe_asgi(application)({**scope, "server": ("/", "t")}, None, None)
    assert seen[0]["server"] == (name, int(port))
    assert wanted.items() <= ASGIRequest(seen[0], None).META.items()
    assert len(headers) == 2, "what the server has is not written to"


async def test_the_port_that_a_trusted_proxy_tells_is_kept(fleet):
    assert ask(HTTP_HOST="a.org", HTTP_X_FORWARDED_PORT="8443")["HTTP_X_FORWARDED_PORT"] == "8443"
    seen = []

    async def application(scope, receive, send):
        seen.append(scope["headers"])

    headers = [(b"host", b"a.org"), (b"x-forwarded-port", b"8443")]
    await believe_asgi(application)({"type": "http", "headers": headers}, None, None)
    assert seen == [headers]


@pytest.mark.parametrize("port", ["", ":8443"])
async def test_csrf_believes_a_referer_of_the_port_that_was_asked_for(fleet, port, settings):
    settings.ALLOWED_HOSTS = [".example.org"]
    settings.CSRF_COOKIE_DOMAIN = ".example.org"
    seen = []

    async def application(scope, receive, send):
        seen.append(ASGIRequest(scope, None))

    headers = [(b"host", f"a.example.org{port}".encode()), (b"x-forwarded-proto", b"https")]
    headers.append((b"referer", f"https://a.example.org{port}/form/".encode()))
    scope = {"type": "http", "method": "POST", "path": "/", "server": ("/", "t")}
    await believe_asgi(application)({**scope, "headers": headers}, None, None)
    CsrfViewMiddleware(lambda _: None)._check_referer(seen[0])
    assert seen[0].build_absolute_uri("/b/") == f"https://a.example.org{port}/b/"
