"""Which pages may post to a site: its own. Row 10 of the attacks."""

import pytest
from django.test import Client, override_settings

from sitefleet.registry import add_alias, add_site, set_state
from tests.persite.csrf.work import (
    DJANGOS,
    ONE,
    TOKEN,
    TWO,
    WILDCARD,
    post,
    post_async,
    with_middleware,
)

# --- row 10: a sibling posts ---------------------------------------------------------


def test_row_10_a_sibling_that_tossed_a_cookie_cannot_post(fleet, settings):
    settings.CSRF_TRUSTED_ORIGINS = WILDCARD
    assert post(TWO, f"https://{ONE}") == post(TWO, f"http://{ONE}", secure=False) == 403
    assert post_async(TWO, f"https://{ONE}") == 403
    settings.MIDDLEWARE = with_middleware(DJANGOS)
    assert post(TWO, f"https://{ONE}") == 200, "this is no attack any more"


@pytest.mark.parametrize(
    "origin",
    [
        f"https://{ONE}",
        f"http://{ONE}",
        f"https://{ONE.upper()}",
        f"https://{ONE}.",
        f"https://{ONE}:8443",
        f"https://{ONE}:443",
        f"https://www.{ONE}",
        "https://alias.plat.test",
        "https://served.plat.test",
        "https://x.wild.plat.test",
        "https://dead.plat.test",
    ],
)
@pytest.mark.parametrize("trusted", [WILDCARD, "exact"])
def test_row_10_no_host_of_another_site_is_trusted_whatever_the_settings_say(
    fleet, settings, origin, trusted
):
    add_alias(fleet[0], "alias.plat.test")
    add_alias(fleet[0], "served.plat.test", redirect=False)
    add_alias(fleet[0], "*.wild.plat.test", redirect=False)
    set_state(add_site("dead", domain="dead.plat.test"), "suspended")
    settings.CSRF_TRUSTED_ORIGINS = [origin] if trusted == "exact" else trusted
    for secure in (True, False):
        assert post(TWO, origin, secure=secure) == 403
        assert post(TWO, f"https://{TWO}", secure=secure) == 200
    assert post(TWO, referer=f"{origin}/page/") == 403
    assert post_async(TWO, origin) == 403


@pytest.mark.parametrize("origin", ["null", "", "https://", "https://[", "file://", "https://a:b"])
def test_row_10_an_origin_that_is_none_is_refused(fleet, settings, origin):
    settings.CSRF_TRUSTED_ORIGINS = WILDCARD
    assert post(TWO, origin) == 403
    assert post_async(TWO, origin) == 403
    assert post(TWO, referer=origin) == 403


def test_row_10_a_token_is_asked_for_all_the_same(fleet):
    client = Client(enforce_csrf_checks=True, headers={"host": TWO, "origin": f"https://{TWO}"})
    assert client.post("/posted/", secure=True).status_code == 403


@pytest.mark.parametrize("name", ["x-forwarded-host", "x_forwarded_host"])
def test_row_3_a_forwarded_host_does_not_make_an_origin_ones_own(fleet, settings, name):
    for trusted in ([], WILDCARD):
        settings.CSRF_TRUSTED_ORIGINS = trusted
        extra = {f"HTTP_{name.upper().replace('-', '_')}": ONE}
        assert post(TWO, f"https://{ONE}", **extra) == 403
        assert post_async(TWO, f"http://{ONE}", extra=[(name.encode(), ONE.encode())]) == 403


# --- a site's own pages -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (f"https://{TWO}", 200),
        ("https://served.example.org", 200),
        ("https://a.wild.example.org", 200),
        ("https://a.b.wild.example.org", 200),
        ("https://xn--mnchen-3ya.example", 200),
        ("https://ported.example.org:8443", 200),
        ("https://ported.example.org:9999", 403),
        ("https://served.example.org:9000", 403),
        (f"https://{TWO}:443", 200),
        (f"https://{TWO}:80", 403),
        (f"https://{TWO}:9000", 403),
        ("https://served.example.org:80", 403),
        ("http://served.example.org", 403),
        (f"http://{TWO}", 403),
        ("https://redirected.example.org", 403),
        (f"https://www.{TWO}", 403),
        ("https://unknown.example.org", 403),
        ("ftp://served.example.org", 403),
        ("https://user@served.example.org", 403),
        ("https://serv_ed.example.org", 403),
    ],
)
def test_pages_on_a_sites_own_served_hosts_may_post(fleet, origin, status):
    site = fleet[1]
    for name in ("served.example.org", "*.wild.example.org", "münchen.example"):
        add_alias(site, name, redirect=False)
    add_alias(site, "ported.example.org:8443", redirect=False)
    add_alias(site, "redirected.example.org")
    assert post(TWO, origin) == status
    assert post(TWO, referer=f"{origin}/page/?a=b") == status


def test_a_page_posts_from_an_alias_to_the_domain_and_back(fleet):
    add_alias(fleet[1], "served.example.org", redirect=False)
    for host, origin in ((TWO, "served.example.org"), ("served.example.org", TWO)):
        assert post(host, f"https://{origin}") == 200
        assert post(host, f"http://{origin}", secure=False) == 200
        assert post_async(host, f"http://{origin}") == 200


def test_behind_a_proxy_that_does_not_tell_of_https_a_site_posts_to_itself(fleet):
    assert post(TWO, f"https://{TWO}", secure=False) == 200


def test_an_alias_that_goes_to_another_site_takes_its_trust_along(fleet):
    alias = add_alias(fleet[1], "served.example.org", redirect=False)
    assert post(TWO, "https://served.example.org") == 200
    alias.delete()
    add_alias(fleet[0], "served.example.org", redirect=False)
    assert post(TWO, "https://served.example.org") == 403
    assert post(ONE, "https://served.example.org") == 200


def test_hosts_are_those_of_the_environment(fleet):
    local = {"DOMAIN_FORMAT": "{slug}.localhost:8000", "SCHEME": "http", "FRESHNESS": 0.0}
    with override_settings(SITEFLEET=local):
        host = "t2.localhost:8000"
        assert post(host, f"http://{host}", secure=False) == 200
        for origin in (TWO, "t1.localhost:8000", "t1.localhost", "t2.localhost:9000"):
            assert post(host, f"http://{origin}", secure=False) == 403


def test_sites_that_share_a_host_are_one_origin(fleet):
    de = add_site("de", domain=ONE, path_prefix="/de")
    client = Client(enforce_csrf_checks=True, headers={"host": ONE, "x-csrftoken": TOKEN})
    client.cookies["csrftoken"] = client.cookies[f"csrftoken_{de.pk}"] = TOKEN
    for where in ("/de/posted/", "/posted/"):
        for header in ({"origin": f"https://{ONE}"}, {"referer": f"https://{ONE}/de/posted/"}):
            assert client.post(where, headers=header, secure=True).status_code == 200


def test_a_host_in_allowed_hosts_is_that_of_the_default_site(fleet, settings):
    settings.ALLOWED_HOSTS = [*settings.ALLOWED_HOSTS, "listed.plat.test"]
    settings.CSRF_TRUSTED_ORIGINS = WILDCARD
    settings.SITE_ID = fleet[0].pk
    assert post(ONE, "https://listed.plat.test") == 200
    assert post(TWO, "https://listed.plat.test") == 403
