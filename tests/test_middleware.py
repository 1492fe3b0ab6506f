"""The door: what a request gets, the gate of ALLOWED_HOSTS, the forced site."""

import copy
import logging

import pytest
from django.conf import settings as django_settings
from django.db import OperationalError, connection
from django.http import HttpResponse, JsonResponse
from django.test import override_settings

from sitefleet import ACCEPTED_HOST, middleware, override_site
from sitefleet.current import AcceptedHost, active_site_id
from sitefleet.exceptions import UnknownSite
from sitefleet.middleware import SiteMiddleware
from sitefleet.registry import add_alias, add_site

MIDDLEWARE = django_settings.MIDDLEWARE


def get(client, host, path="/site/"):
    return client.get(path, headers={"host": host})


def ask_for_host_too_early(get_response):
    def middleware(request):
        request.get_host()
        return get_response(request)

    return middleware


def fail_behind(get_response):
    def middleware(request):
        message = "on purpose"
        raise RuntimeError(message)

    return middleware


def tell_later(get_response):
    """Stand ahead of SiteMiddleware: what is the site there, before and after?"""

    def middleware(request):
        before = active_site_id()
        response = get_response(request)
        return JsonResponse(
            {"before": before, "after": active_site_id(), "status": response.status_code}
        )

    return middleware


def test_everything_in_a_request_agrees_on_the_site(client, site, other_site):
    for entered, host in ((site, "one.example.org"), (other_site, "two.example.org")):
        seen = get(client, host).json()
        names = ("id", "setting", "request", "django", "shortcut")
        assert {seen[name] for name in names} == {entered.pk}
        assert seen["host"] == seen["domain"] == host


@pytest.mark.parametrize(
    ("host", "seen"),
    [
        ("ONE.Example.ORG", "ONE.Example.ORG"),
        ("one.example.org.", "one.example.org."),
        ("one.example.org:8000", "one.example.org:8000"),
        ("one.example.org.:443", "one.example.org.:443"),
        ("192.0.2.9:81", "192.0.2.9:81"),
        ("[0:0::1]:81", "[0:0::1]:81"),
        ("a.b.wild.example.org", "a.b.wild.example.org"),
    ],
)
def test_get_host_is_what_was_asked_for(client, site, host, seen):
    for name in ("192.0.2.9", "[::1]", "*.wild.example.org"):
        add_alias(site, name, redirect=False)
    for _ in range(2):
        response = get(client, host)
        assert response.status_code == 200
        assert response.json()["host"] == seen


def test_a_request_inside_of_a_block_gives_the_site_back(client, site, other_site):
    with override_site(other_site):
        assert get(client, "one.example.org").json()["id"] == site.pk
        assert active_site_id() == other_site.pk


@pytest.mark.parametrize("path", ["/fail/", "/async-fail/"])
def test_nothing_is_left_over_after_an_exception_in_a_view(client, site, path):
    with pytest.raises(RuntimeError, match=f"on site {site.pk}"):
        get(client, "one.example.org", path)
    assert active_site_id() is None
    client.raise_request_exception = False
    assert get(client, "one.example.org", path).status_code == 500
    assert active_site_id() is None


def test_nothing_is_left_over_after_an_exception_in_middleware(client, site):
    with override_settings(MIDDLEWARE=[*MIDDLEWARE, f"{__name__}.fail_behind"]):
        client.raise_request_exception = False
        assert get(client, "one.example.org").status_code == 500
    assert active_site_id() is None


def test_an_exception_that_is_no_error_leaves_nothing_over(rf, site):
    def stop(request):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        SiteMiddleware(stop)(rf.get("/", headers={"host": "one.example.org"}))
    assert active_site_id() is None


@override_settings(MIDDLEWARE=[f"{__name__}.tell_later", *MIDDLEWARE])
def test_ahead_of_the_middleware_there_is_no_site(client, site):
    seen = get(client, "one.example.org").json()
    assert seen == {"before": None, "after": None, "status": 200}


# --- the gate -----------------------------------------------------------------


@override_settings(MIDDLEWARE=[f"{__name__}.ask_for_host_too_early", *MIDDLEWARE])
def test_the_gate_is_shut_ahead_of_the_middleware(client, site):
    get(client, "one.example.org")
    assert get(client, "one.example.org").status_code == 400


def test_the_gate_is_for_the_host_of_this_request_only(rf, site, other_site):
    def view(request):
        other = rf.get("/", headers={"host": "two.example.org"})
        return HttpResponse(f"{request.get_host()} {other.get_host()}")

    with pytest.raises(Exception, match=r"Invalid HTTP_HOST header: 'two\.example\.org'"):
        SiteMiddleware(view)(rf.get("/", headers={"host": "one.example.org"}))


def test_the_gate_is_shut_outside_of_requests(rf, site):
    request = rf.get("/", headers={"host": "one.example.org"})
    for block in (override_site(site), override_site(None)):
        with block, pytest.raises(Exception, match="Invalid HTTP_HOST"):
            request.get_host()


def test_the_gate_stays_open_in_a_block_inside_of_a_request(rf, site, other_site):
    def view(request):
        with override_site(other_site):
            return HttpResponse(request.get_host())

    response = SiteMiddleware(view)(rf.get("/", headers={"host": "one.example.org"}))
    assert response.content == b"one.example.org"


def test_no_host_equals_the_words_of_a_shut_gate(client, site):
    assert get(client, "<no host accepted>").status_code == 400
    assert get(client, str(ACCEPTED_HOST)).status_code == 400


def test_the_gate_survives_what_is_done_to_settings():
    # Django's set-up of the test environment copies the list, and adds a host of its own.
    assert any(isinstance(pattern, AcceptedHost) for pattern in django_settings.ALLOWED_HOSTS)
    assert "testserver" in django_settings.ALLOWED_HOSTS
    assert "*" not in django_settings.ALLOWED_HOSTS
    for copied in (list(django_settings.ALLOWED_HOSTS), copy.deepcopy([ACCEPTED_HOST])):
        assert type(copied[0]) is AcceptedHost


def test_a_host_that_django_allows_besides_still_needs_a_site(client, site):
    assert "testserver" in django_settings.ALLOWED_HOSTS
    assert get(client, "testserver").status_code == 404


# --- the forced site ----------------------------------------------------------


@pytest.mark.parametrize("key", ["two", "TWO", "two.example.org", "www.alias.example", "id"])
def test_a_forced_site_answers_any_host(client, site, other_site, monkeypatch, key):
    add_alias(other_site, "www.alias.example")
    monkeypatch.setenv("SITEFLEET_SITE", str(other_site.pk) if key == "id" else key)
    for host in (
        "anything.example",
        "one.example.org",
        "127.0.0.1:8000",
        "[::1]:8000",
        "LOCALHOST",
    ):
        seen = get(client, host).json()
        assert (seen["id"], seen["host"]) == (other_site.pk, host)


def test_a_forced_site_is_the_default_outside_of_requests(other_site, monkeypatch, settings):
    settings.SITE_ID = 999
    monkeypatch.setenv("SITEFLEET_SITE", "two")
    assert other_site.pk == django_settings.SITE_ID


def test_a_forced_site_is_told_at_start(site, monkeypatch, caplog):
    middleware._tell_forced.cache_clear()
    monkeypatch.setenv("SITEFLEET_SITE", "one")
    with caplog.at_level(logging.WARNING, "sitefleet"):
        SiteMiddleware(lambda _: None)
    assert caplog.messages == ["SITEFLEET_SITE is set: every host is answered with the site 'one'."]


def test_a_forced_site_that_is_unknown_names_near_ones(client, site, monkeypatch):
    monkeypatch.setenv("SITEFLEET_SITE", "one.exmple.org")
    with pytest.raises(UnknownSite, match=r"from SITEFLEET_SITE.*Did you mean one.example.org"):
        get(client, "anything.example")
    with pytest.raises(UnknownSite, match="SITEFLEET_SITE"):
        _ = django_settings.SITE_ID


def test_a_forced_site_does_not_answer_what_is_no_host(client, site, monkeypatch):
    monkeypatch.setenv("SITEFLEET_SITE", "one")
    assert get(client, "no_host").status_code == 400


def test_a_forced_site_below_a_prefix_is_served_at_the_root(client, fleet, monkeypatch):
    monkeypatch.setenv("SITEFLEET_SITE", "de")
    seen = get(client, "localhost").json()
    assert (seen["id"], seen["path"]) == (fleet[2].pk, "/site/")


def test_a_forced_site_may_be_in_maintenance(client, monkeypatch, db):
    add_site("closed", domain="closed.example.org", state="maintenance")
    monkeypatch.setenv("SITEFLEET_SITE", "closed")
    assert get(client, "localhost").status_code == 503


def test_without_tables_the_page_says_what_to_run(client, site, settings, monkeypatch):
    def without_tables(host):
        raise OperationalError("no such table")

    monkeypatch.setattr(middleware.resolver, "find", without_tables)
    monkeypatch.setattr(connection.introspection, "table_names", list)
    settings.DEBUG = True
    answer = get(client, "one.example.org")
    assert (answer.status_code, b"manage.py migrate" in answer.content) == (503, True)
    settings.DEBUG = False
    with pytest.raises(OperationalError):
        get(client, "one.example.org")
