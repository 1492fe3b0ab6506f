"""Rows 3, 17, 28 and 29: what comes in, and where it is sent.

Row 28 is about the endpoint that a server asks ahead of a certificate. There is none yet; what is
here is what it will stand on: an unknown host is answered without any work. That it answers to the
server alone, and logs a sample, waits for custom domains. Row 29 answers 503, 410 and 404 for
inactive sites, not 421: the host is the right one, and browsers show those pages.
"""

from urllib.parse import urlencode, urljoin, urlsplit

import pytest
from django.contrib.redirects.models import Redirect
from django.contrib.sessions.models import Session
from django.core.cache import cache

from sitefleet.registry import set_state
from sitefleet.resolver import resolver
from tests.attacks.project import ONE, TWO, expected, registry, told

SPOOFED = [
    "x-forwarded-host",
    "x_forwarded_host",
    "X_Forwarded_Host",
    "forwarded",
    "x-host",
    "x-original-host",
    "x-original-url",
    "x-rewrite-url",
    "x-forwarded-server",
    "x-forwarded-prefix",
    "x-script-name",
    "script_name",
    "path_info",
]

# --- row 3: headers that name another host ----------------------------------------------------


def test_row_3_no_header_moves_any_part_to_another_site(visit, sites, anna):
    visitor = visit(sites.one)
    visitor.log_in()
    spoofed = {name: f"host={TWO}" if name == "forwarded" else TWO for name in SPOOFED}
    for headers in (*({name: value} for name, value in spoofed.items()), spoofed):
        answer = visitor.get("/look/", headers=headers)
        assert told(answer) == expected(sites, "one"), headers
        assert (answer.json()["host"], answer.json()["domain"]) == (ONE, ONE)
    assert visitor.get("/who/", headers=spoofed).json()["user"] == "anna"
    assert visitor.get("/page/", headers=spoofed).text.split()[0] == str(sites.one.pk)
    other = visit(sites.two)
    assert told(other.get("/look/")) == expected(sites, "two")
    assert other.get("/page/").text.split()[0] == str(sites.two.pk)


def test_row_3_behind_a_trusted_proxy_all_parts_follow_it_together(visit, sites, anna, settings):
    settings.USE_X_FORWARDED_HOST = True
    visitor = visit(sites.two)
    visitor.forwarded = True
    visitor.log_in()
    for name, host in {"two": TWO, "one": ONE}.items():
        visitor.host = host
        assert told(visitor.get("/look/")) == expected(sites, name)
        assert visitor.user == ("anna" if name == "two" else "")
        assert visitor.get("/page/").text.split()[0] == str(getattr(sites, name).pk)
    for host, status in {"evil.test": 404, f"{TWO}, {ONE}": 400, f"{TWO},{TWO}": 400}.items():
        visitor.host = host
        assert visitor.get("/look/").status == status


def test_row_3_two_hosts_are_none(visit, sites):
    for host in (f"{ONE},{TWO}", f"{ONE}, {ONE}"):
        visitor = visit(sites.one)
        visitor.host = host
        answer = visitor.get("/form/")
        assert (answer.status, answer["set-cookie"]) == (400, "")


# --- row 17: redirects ------------------------------------------------------------------------

AWAY = [
    "//two.example.org/",
    "/\\two.example.org/",
    "\\\\two.example.org/",
    "/\t/two.example.org/",
    "https://two.example.org/",
    "https://one.example.org@two.example.org/",
    "https://one.example.org\\@two.example.org/",
    "http://one.example.org/",
    "/%2f%2ftwo.example.org/",
    "/x\r\nSet-Cookie: sessionid=evil",
]


def lands(answer, place):
    """Return the origin where a browser lands: it drops tabs and lines, and turns backslashes."""
    assert not any(end in value for _, value in answer.headers for end in (b"\r", b"\n"))
    assert b"sessionid=evil" not in answer["set-cookie"].encode()
    seen = "".join(char for char in answer["location"] if char not in "\t\r\n")
    parts = urlsplit(urljoin(place, seen.strip().replace("\\", "/")))
    return f"{parts.scheme}://{parts.netloc}"


@pytest.mark.parametrize("name", ["one", "below"])
def test_row_17_no_page_of_a_site_redirects_away_from_it(visit, sites, name):
    visitor = visit(getattr(sites, name))
    for wanted in AWAY:
        path = wanted if wanted.startswith("/") else f"/{wanted}"
        for asked in (path.rstrip("/"), f"/any{path.rstrip('/')}")[name == "below" :]:
            answer = visitor.get(asked)
            assert answer.status in (200, 301, 302, 400, 404), asked
            assert lands(answer, f"https://{ONE}{visitor.prefix}{asked}") == f"https://{ONE}"


def test_row_17_nobody_is_sent_to_a_sibling_by_a_parameter(visit, sites, anna):
    visitor = visit(sites.one)
    login = {"username": "anna", "password": "secret"}
    for wanted in AWAY:
        answers = {
            "login": visitor.post("/login/", {**login, "next": wanted}),
            "language": visitor.post("/i18n/setlang/", {"language": "de", "next": wanted}),
            "away": visitor.get(f"/away/?{urlencode({'next': wanted})}"),
        }
        for how, answer in answers.items():
            assert answer.status in (200, 302), (how, wanted)
            assert lands(answer, f"https://{ONE}/login/") == f"https://{ONE}", (how, wanted)


def test_row_17_a_redirect_of_one_site_is_none_of_another(visit, sites, settings):
    middleware = "django.contrib.redirects.middleware.RedirectFallbackMiddleware"
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, middleware]
    Redirect.objects.create(site=sites.two, old_path="/gone/", new_path="https://two.example.org/")
    assert visit(sites.two).get("/gone/")["location"] == "https://two.example.org/"
    assert visit(sites.one).get("/gone/").status == 404


# --- row 28: hosts that nobody has ------------------------------------------------------------


def test_row_28_an_unknown_host_is_answered_without_any_work(
    visit, sites, settings, django_assert_num_queries
):
    settings.SITEFLEET = {**settings.SITEFLEET, "FRESHNESS": 3600, "CACHE_SIZE": 10}
    visitor = visit(sites.one)
    visitor.get("/look/")
    kept = len(cache._cache)
    for number in range(12):
        visitor.host = f"n{number}.two.example.org"
        answer = visitor.get("/who/")
        assert (answer.status, answer["set-cookie"], answer["location"]) == (404, "", "")
    with django_assert_num_queries(0):
        assert visitor.get("/who/").status == 404
    assert not Session.objects.exists()
    assert len(cache._cache) == kept
    assert len(resolver._memory.derived) <= 10
    samples = [sample for family in registry.collect() for sample in family.samples]
    assert not any("two.example.org" in sample.labels["site"] for sample in samples)


# --- row 29: the name of the connection -------------------------------------------------------


@pytest.mark.parametrize("state", ["active", "maintenance", "archived", "suspended"])
def test_row_29_the_host_alone_decides_and_not_the_name_of_the_connection(visit, sites, state):
    set_state(sites.two, state)
    visitor = visit(sites.one)
    visitor.wire = {
        # WSGI servers, mod_wsgi and mod_ssl
        "SERVER_NAME": TWO,
        "SERVER_PORT": "443",
        "SSL_TLS_SNI": TWO,
        # ASGI servers
        "server": (TWO, 443),
        "extensions": {"tls": {"server_name": TWO, "client_cert_name": TWO}},
    }
    assert told(visitor.get("/look/")) == expected(sites, "one")
    other = visit(sites.two)
    other.wire = {"SERVER_NAME": ONE, "SSL_TLS_SNI": ONE, "server": (ONE, 443)}
    status = {"active": 200, "maintenance": 503, "archived": 410, "suspended": 404}[state]
    assert other.get("/look/").status == status


def test_row_29_a_target_that_names_a_host_is_a_path(visit, sites):
    visitor = visit(sites.one)
    for target in (f"http://{TWO}/look/", f"//{TWO}/look/", f"{TWO}:443"):
        answer = visitor.get(f"/{target}")
        assert (answer.status, answer.text) == (404, "404 in red over shared")
