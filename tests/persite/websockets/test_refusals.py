"""A handshake is refused as a request is, and to pages of other sites."""

import asyncio

import pytest
from django.contrib.auth import get_user_model

from sitefleet.persite.websockets import SiteWebSocketMiddleware
from sitefleet.registry import add_alias, add_site, set_state
from sitefleet.test import client_for
from tests.persite.websockets.wire import (
    LOOKS,
    ONE,
    TWO,
    Socket,
    echo,
    opened,
    refusal,
    run,
)


@pytest.mark.parametrize(
    ("host", "status"),
    [("nobody.example.org", 404), ("a b", 400), (f"{ONE},{TWO}", 400), ("", 400)],
)
def test_a_host_without_a_site_is_refused(site, host, status):
    assert refusal(host)[0] == status


def test_two_host_headers_are_refused(site, other_site):
    assert refusal(ONE, headers=[(b"host", TWO.encode())])[0] == 400


@pytest.mark.parametrize(
    ("state", "status"), [("archived", 410), ("suspended", 404), ("maintenance", 503)]
)
def test_row_34_a_site_that_is_not_active_has_no_sockets(site, state, status):
    set_state(site, state)
    found, headers, body = refusal(ONE)
    assert found == status
    assert headers[b"content-type"].startswith(b"text/html")
    assert b"<" in body


def test_row_34_an_archived_site_that_may_be_read_has_no_sockets_either(site, settings):
    settings.SITEFLEET = {"ARCHIVED_READ_ONLY": True, "FRESHNESS": 0.0}
    set_state(site, "archived")
    assert client_for(site).get("/site/").status_code == 200
    assert refusal(ONE)[0] == 405


def test_row_17_an_alias_redirects_to_the_sites_own_host(fleet):
    add_alias(fleet[0], "old.example.net")
    add_alias(fleet[2], "de.example.net")
    status, headers, _ = refusal("old.example.net", "/ws/", query_string=b"a=//evil.example")
    assert (status, headers[b"location"]) == (308, b"wss://one.example.org/ws/?a=//evil.example")
    status, headers, _ = refusal("de.example.net", "//evil.example/ws/")
    assert headers[b"location"].startswith(b"wss://one.example.org/de//evil.example")


def test_a_server_that_cannot_answer_a_handshake_closes_it(site):
    assert refusal("nobody.example.org", extensions=False) == {"type": "websocket.close"}
    assert refusal("nobody.example.org", extensions=None)["type"] == "websocket.close"


def test_a_query_that_is_no_text_is_no_mistake_of_ours(site):
    async def scenario():
        async with opened(SiteWebSocketMiddleware(echo), ONE, query_string=b"\xff\xfe"):
            pass

    run(scenario)


def test_staff_opens_sockets_in_maintenance(site):
    get_user_model().objects.create_user("anna", password="secret", is_staff=True)
    client = client_for(site)
    assert client.login(username="anna", password="secret")
    cookie = [(b"cookie", f"sessionid={client.cookies['sessionid'].value}".encode())]
    set_state(site, "maintenance")

    async def scenario():
        async with opened(SiteWebSocketMiddleware(echo), ONE, headers=cookie) as socket:
            await asyncio.sleep(LOOKS)
            assert await socket.say("?") == str(site.pk), "and they stay open"

    run(scenario)
    assert refusal(ONE)[0] == 503


ORIGINS = [
    ("https://one.example.org", True),
    ("http://one.example.org", True),
    ("https://ONE.example.org:443", True),
    ("https://alias.example.net", True),
    ("https://trusted.example", True),
    ("https://any.wild.example", False),
    ("http://any.wild.example", False),
    ("https://anywild.example", False),
    ("https://evil.example#.wild.example", False),
    ("https://of-two.wild.example", False),
    ("https://redirected.example", False),
    ("https://listed.example", False),
    ("https://two.example.org", False),
    ("https://also-two.example", False),
    ("https://evil.example", False),
    ("https://one.example.org.evil.example", False),
    ("https://evil-one.example.org", False),
    ("https://one.example.org:8443", False),
    ("https://one.example.org:80", False),
    ("https://one.example.org@evil.example", False),
    ("https://one.example.org, https://two.example.org", False),
    ("one.example.org", False),
    ("//one.example.org", False),
    ("ftp://one.example.org", False),
    ("javascript://one.example.org", False),
    ("https://[one", False),
    ("null", False),
    ("", False),
]


@pytest.fixture
def origins(site, other_site, settings):
    add_alias(site, "alias.example.net", redirect=False)
    add_alias(site, "redirected.example")
    for name in ("also-two.example", "of-two.wild.example"):
        add_alias(other_site, name, redirect=False)
    settings.ALLOWED_HOSTS = ["listed.example", *settings.ALLOWED_HOSTS]
    settings.SITE_ID = other_site.pk
    trusted = ("trusted.example", "also-two.example", "listed.example", "*.wild.example")
    settings.CSRF_TRUSTED_ORIGINS = [f"https://{name}" for name in trusted]


@pytest.mark.usefixtures("origins")
def test_only_pages_of_the_site_open_its_sockets():
    async def scenario():
        for origin, is_own in ORIGINS:
            headers = [(b"origin", origin.encode())]
            socket = Socket(SiteWebSocketMiddleware(echo), ONE, headers=headers)
            answer = await socket.open()
            assert socket.accepted is is_own, origin
            if is_own:
                await socket.leave()
            else:
                assert answer["status"] == 403

    run(scenario)


@pytest.mark.usefixtures("origins")
def test_a_page_that_came_without_https_opens_no_socket_that_has_it(settings):
    http, https = ([(b"origin", f"{scheme}://{ONE}".encode())] for scheme in ("http", "https"))

    async def scenario():
        async with opened(SiteWebSocketMiddleware(echo), ONE, headers=https, scheme="wss"):
            pass

    run(scenario)
    assert refusal(ONE, headers=http, scheme="wss")[0] == 403
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    assert refusal(ONE, headers=[*http, (b"x-forwarded-proto", b"https")])[0] == 403


def test_sites_below_prefixes_are_one_origin(fleet):
    async def scenario():
        headers = [(b"origin", f"https://{ONE}".encode())]
        async with opened(SiteWebSocketMiddleware(echo), ONE, "/de/ws/", headers=headers) as socket:
            assert await socket.say("?") == str(fleet[2].pk)

    run(scenario)
    headers = [(b"origin", f"https://{TWO}".encode())]
    assert refusal(ONE, "/de/ws/", headers=headers)[0] == 403
    add_site("own", domain="own.example.org")
    headers = [(b"origin", f"https://{ONE}".encode())]
    assert refusal("own.example.org", headers=headers)[0] == 403, "a host of several sites"


def test_outside_of_live_ports_are_part_of_the_origin(site, settings):
    settings.SITEFLEET = {"DOMAIN_FORMAT": "{slug}.localhost:8000", "FRESHNESS": 0.0}
    host = "one.localhost:8000"

    async def scenario():
        headers = [(b"origin", f"http://{host}".encode())]
        async with opened(SiteWebSocketMiddleware(echo), host, headers=headers):
            pass

    run(scenario)
    assert refusal(host, headers=[(b"origin", b"http://one.localhost:3000")])[0] == 403
