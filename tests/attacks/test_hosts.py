"""Hostile Host headers and redirects: a site of ours, or a refusal, and nothing of theirs."""

import pytest
from asgiref.sync import async_to_sync
from django.contrib.sites import models as django_sites
from django.core import mail
from django.http.request import host_validation_re
from django.test import Client, override_settings
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sitefleet.registry import add_alias, add_site
from sitefleet.resolver import resolver
from tests.asgi import ask

ONE = "one.example.org"
#: A function-scoped database is fine here: each example only reads.
PROPERTY = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def get(host, path="/site/", **headers):
    return Client().get(path, headers={"host": host, **headers})


# --- a Host header can be anything ----------------------------------------------


@PROPERTY
@given(st.one_of(st.binary(max_size=300), st.text(max_size=300).map(lambda text: text.encode())))
@example(b"\xff")
@example(b"one.example.org\x00")
@example(b"one.example.org\r\nX-Evil: 1")
@example(b"a." * 1000)
@example(b"[" * 300)
@example(b"one.example.org:" + b"9" * 280)
def test_random_bytes_are_never_an_error_of_ours(site, header):
    answer = async_to_sync(ask)(header)
    assert answer.status in (200, 301, 400, 404)
    response = get(header.decode("latin-1"))
    assert response.status_code == answer.status


@PROPERTY
@given(st.from_regex(host_validation_re, fullmatch=True))
def test_what_django_takes_for_a_host_is_served_redirected_or_refused(site, header):
    assert get(header).status_code in (200, 301, 400, 404)


@PROPERTY
@given(st.data())
def test_spellings_of_one_name_are_one_entry(site, data):
    upper = data.draw(st.lists(st.booleans(), min_size=len(ONE), max_size=len(ONE)))
    spelled = "".join(
        letter.upper() if up else letter for letter, up in zip(ONE, upper, strict=True)
    )
    spelled += data.draw(st.sampled_from(["", "."])) + data.draw(st.sampled_from(["", ":80"]))
    resolver.reset()
    memory_before = resolver.find(ONE)
    assert resolver.find(spelled).root.site.pk == memory_before.root.site.pk
    kept = [*resolver._memory.exact, *resolver._memory.derived]
    for view in resolver._viewed.values():
        kept += [*view.memory.exact, *view.memory.derived]
    assert set(kept) == {ONE}


@pytest.mark.parametrize(
    "host",
    [
        "one.example.org,evil.test",
        "evil.test,one.example.org",
        "one.example.org, one.example.org",
        "one.example.org evil.test",
        "one.example.org\tevil.test",
        "one.example.org@evil.test",
        "evil.test#one.example.org",
        "evil.test?one.example.org",
        "evil.test/one.example.org",
        "evil.test\\one.example.org",
        "evil_.one.example.org",
        "one.example.org%00",
        "one.example.org%2e",
        "one.example.org..",
        "..one.example.org",
        ".one.example.org",
        "*.one.example.org",
        "one.example.org:80:80",
        "one.example.org:99999",
        "[one.example.org]",
        "[::1%25lo]",
        "x" * 300 + ".org",
        "<script>alert(1)</script>",
    ],
)
def test_a_trick_is_a_bad_request(site, host):
    response = get(host)
    assert response.status_code == 400
    assert b"<script>" not in response.content
    assert not response.cookies


@pytest.mark.parametrize("path", ["/site/", "/admin/login/", "/accounts/login/", "/reset/"])
def test_an_unknown_host_reaches_no_view_and_gets_no_cookie_and_no_link(site, path):
    with override_settings(ALLOWED_HOSTS=["*"]):
        response = get("evil.test", path)
    assert response.status_code == 404
    assert not response.cookies
    assert b"//evil.test" not in response.content
    assert "Location" not in response.headers


def test_cache_variants_by_spelling_do_not_grow_djangos_cache(site):
    for host in (ONE, ONE.upper(), f"{ONE}.", f"{ONE}:80", f"{ONE}:9999"):
        assert get(host).status_code == 200
    assert list(django_sites.SITE_CACHE) == [site.pk]


# --- forwarded headers ------------------------------------------------------------


def test_a_forwarded_host_counts_only_where_the_settings_say_so(site, other_site):
    header = {"x-forwarded-host": "two.example.org"}
    assert get(ONE, **header).json()["id"] == site.pk
    with override_settings(USE_X_FORWARDED_HOST=True):
        seen = get(ONE, **header).json()
        assert (seen["id"], seen["host"]) == (other_site.pk, "two.example.org")
        assert get(ONE, **{"x-forwarded-host": "evil.test"}).status_code == 404
        assert get(ONE, **{"x-forwarded-host": "two.example.org, x.test"}).status_code == 400


@pytest.mark.parametrize("name", [b"x_forwarded_host", b"X_Forwarded_Host", b"x-forwarded-host"])
def test_under_asgi_no_spelling_of_the_header_counts(site, other_site, name):
    header = [(name, b"two.example.org")]
    assert async_to_sync(ask)(ONE, headers=header).json()["id"] == site.pk


def test_two_host_headers_are_a_bad_request(site, other_site):
    answer = async_to_sync(ask)(ONE, headers=[(b"host", b"two.example.org")])
    assert answer.status == 400


def test_a_forwarded_port_chooses_no_other_site(site):
    other = add_site("port", domain="one.example.org:8443")
    with override_settings(USE_X_FORWARDED_PORT=True):
        assert get(ONE, **{"x-forwarded-port": "8443"}).json()["id"] == site.pk
    assert get(f"{ONE}:8443").json()["id"] == other.pk


def test_a_password_reset_mail_links_to_the_site_alone(site, django_user_model):
    django_user_model.objects.create_user("anna", email="anna@example.org", password="secret")
    add_alias(site, "served.example", redirect=False)
    for host in ("evil.test", "served.example:666"):
        Client().post(
            "/reset/",
            {"email": "anna@example.org"},
            headers={"host": host, "x-forwarded-host": "evil.test"},
        )
    (message,) = mail.outbox
    assert "//one.example.org/reset/" in message.body
    assert "evil" not in message.body
    assert "served" not in message.body


# --- redirects ----------------------------------------------------------------------


@pytest.fixture
def alias(site):
    return add_alias(site, "old.example")


@pytest.mark.parametrize(
    ("method", "status"),
    [("get", 301), ("head", 301), ("post", 308), ("put", 308), ("delete", 308), ("options", 308)],
)
def test_an_alias_redirects_and_keeps_the_method(alias, method, status):
    response = getattr(Client(), method)("/a/?b=c", headers={"host": "old.example"})
    assert response.status_code == status
    assert response["Location"].startswith("https://one.example.org/a/")


@pytest.mark.parametrize(
    ("path", "target"),
    [
        (b"/", "/"),
        (b"/a/b/?c=d&e=%2F%0a", "/a/b/?c=d&e=%2F%0a"),
        (b"/caf\xc3\xa9/", "/caf%C3%A9/"),
        (b"/a b/", "/a%20b/"),
        (b"/a%b/", "/a%25b/"),
        (b"/a?b//evil.test", "/a?b//evil.test"),
        (b"//evil.test/", "//evil.test/"),
        (b"///evil.test/", "///evil.test/"),
        (b"/\\evil.test/", "/%5Cevil.test/"),
        (b"/x\r\nSet-Cookie: a=b", "/x%0D%0ASet-Cookie:%20a%3Db"),
        (b"/@evil.test/", "/@evil.test/"),
        (b"/.evil.test/", "/.evil.test/"),
        (b"/:666/", "/:666/"),
        (b"/%2f%2fevil.test", "/%252f%252fevil.test"),
    ],
)
def test_a_redirect_keeps_path_and_query_and_stays_on_the_site(alias, path, target):
    answer = async_to_sync(ask)("old.example:666", path.decode())
    assert answer.status == 301
    assert answer["Location"] == f"https://one.example.org{target}"
    assert not answer["Set-Cookie"]


@pytest.mark.parametrize(
    ("conf", "target"),
    [
        ({}, "https://one.example.org/x/"),
        ({"SCHEME": "http"}, "http://one.example.org/x/"),
        ({"DOMAIN_FORMAT": "{slug}.localhost:8000"}, "https://one.localhost:8000/x/"),
        ({"DOMAIN_FORMAT": "{slug}.localhost", "SCHEME": "http"}, "http://one.localhost/x/"),
    ],
)
def test_a_redirect_has_the_scheme_and_port_of_the_environment(site, conf, target):
    add_alias(site, "*.old.localhost")
    add_alias(site, "old.example")
    host = "a.old.localhost:9999" if "DOMAIN_FORMAT" in conf else "old.example:9999"
    with override_settings(SITEFLEET=conf):
        assert get(host, "/x/")["Location"] == target


def test_an_alias_of_a_site_below_a_prefix_redirects_below_it(fleet):
    add_alias(fleet[2], "deutsch.example")
    assert get("deutsch.example", "/x/?a=b")["Location"] == "https://one.example.org/de/x/?a=b"
    assert get("www.one.example.org", "/de/x/")["Location"] == "https://one.example.org/de/x/"


@pytest.mark.parametrize("path", ["/de//evil.test/", "//de", "/de/\\evil.test"])
def test_no_redirect_leaves_the_host_below_a_prefix(fleet, path):
    response = async_to_sync(ask)(ONE, path)
    target = response["Location"]
    assert target == "" or (target.startswith("/") and target[1:2] not in ("/", "\\"))


def test_a_site_without_a_domain_has_its_alias_served_for_want_of_a_target(db):
    new = add_site("new")
    add_alias(new, "new.example")
    assert get("new.example").json()["id"] == new.pk
