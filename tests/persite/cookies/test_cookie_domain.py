"""Cookies for a parent domain, on purpose."""

import pytest
from asgiref.sync import async_to_sync
from django.http import HttpResponse
from django.test import Client

from sitefleet import current
from sitefleet.persite.cookies import CookieMiddleware
from sitefleet.registry import add_alias, add_site
from tests.asgi import ask
from tests.persite.cookies.work import DJANGOS, ONE, domains, get


@pytest.mark.parametrize("secure", [True, False])
def test_below_the_domain_the_cookies_of_django_are_for_it(fleet, cookie_domain, secure):
    cookie_domain("example.org")
    told = domains(get("/use/", secure=secure))
    assert told == dict.fromkeys(DJANGOS, "example.org") | {
        "theirs": "",
        "deep": "elsewhere.example.org",
    }
    told = domains(get("/de/use/", secure=secure))
    assert told[f"sessionid_{fleet[2].pk}"] == "example.org"


@pytest.mark.parametrize(
    ("host", "domain", "shared"),
    [
        ("example.org", "example.org", "example.org"),
        ("a.b.example.org", "example.org", "example.org"),
        ("a.b.example.org", "b.example.org", "b.example.org"),
        ("a.b.example.org", "Example.ORG", "example.org"),
        ("a.münchen.example", "münchen.example", "xn--mnchen-3ya.example"),
        ("badexample.org", "example.org", ""),
        ("example.com", "example.org", ""),
        ("a.example.org", "b.a.example.org", ""),
        ("shop.co.uk", "co.uk", ""),
        ("me.github.io", "github.io", ""),
        ("a.me.github.io", "me.github.io", "me.github.io"),
        ("me.ours.app", "ours.app", ""),
        ("a.localhost", "localhost", ""),
        ("192.0.2.7", "192.0.2.7", ""),
        ("192.0.2.7", "2.7", ""),
        ("a.example.org", ".example.org", ""),
        ("a.example.org", "https://example.org", ""),
        ("a.example.org", "example.org:8000", ""),
    ],
)
def test_only_hosts_below_a_domain_of_ones_own_share_cookies(
    db, cookie_domain, host, domain, shared
):
    site = add_site("x", domain=host)
    cookie_domain(domain, OWN_SUFFIXES=["ours.app"])
    assert set(domains(get("/aseen/", site.domain)).values()) == {shared, ""}


def test_each_alias_has_what_fits_its_host(site, cookie_domain):
    add_alias(site, "one.example.com", redirect=False)
    cookie_domain("example.org")
    assert domains(get("/use/"))["sessionid"] == "example.org"
    assert domains(get("/use/", "one.example.com"))["sessionid"] == ""


@pytest.mark.parametrize("name", ["X-FORWARDED-HOST", "X_FORWARDED_HOST"])
def test_row_3_a_forwarded_host_does_not_choose_the_domain(site, cookie_domain, name):
    add_site("two", domain="two.example.com")
    cookie_domain("example.com")
    extra = {f"HTTP_{name.replace('-', '_')}": "two.example.com"}
    response = Client().get("/use/", headers={"host": ONE}, **extra)
    assert domains(response)["sessionid"] == ""
    headers = [(name.lower().encode(), b"two.example.com")]
    answer = async_to_sync(ask)(ONE, "/aseen/", headers=headers)
    assert "example.com" not in answer["set-cookie"]


def test_a_shared_cookie_is_deleted_for_the_domain_that_it_is_for(site, cookie_domain):
    cookie_domain("example.org")
    client = Client(headers={"host": ONE})
    client.get("/use/")
    told = client.get("/drop/").cookies
    for name in DJANGOS:
        assert (told[name]["domain"], told[name]["max-age"]) == ("example.org", 0)
    assert told["theirs"]["domain"] == ""


def test_what_the_settings_of_django_say_is_left_alone(site, cookie_domain, settings):
    settings.SESSION_COOKIE_DOMAIN = "one.example.org"
    settings.CSRF_COOKIE_NAME = "__Host-csrf"
    cookie_domain("example.org")
    told = domains(get("/use/"))
    assert (told["sessionid"], told["__Host-csrf"]) == ("one.example.org", "")


def test_host_cookies_win(site, cookie_domain):
    cookie_domain("example.org", HOST_COOKIES=True)
    for secure in (True, False):
        assert "example.org" not in domains(get("/use/", secure=secure)).values()


def test_async_views_share_too(site, cookie_domain):
    cookie_domain("example.org")
    assert "Domain=example.org" in async_to_sync(ask)(ONE, "/aseen/")["set-cookie"]


def test_no_thread_is_entered(site, cookie_domain, rf):
    cookie_domain("example.org")

    async def get_response(request):
        response = HttpResponse()
        response.set_cookie("sessionid", "1")
        return response

    async def answer():
        current.current_state.set((site.pk, ONE, None, None))
        return await CookieMiddleware(get_response)(rf.get("/", headers={"host": ONE}))

    coroutine = answer()
    with pytest.raises(StopIteration) as stop:
        coroutine.send(None)  # one step from begin to end: nothing was waited for
    current.current_state.set(None)
    assert domains(stop.value.value) == {"sessionid": "example.org"}
