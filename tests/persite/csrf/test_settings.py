"""What the settings say of origins, what decorators do, and where a login leads to."""

import pytest
from django.core import checks
from django.test import Client

from sitefleet.registry import add_alias
from tests.persite.csrf.work import (
    DJANGOS,
    ONE,
    OURS,
    TOKEN,
    TWO,
    WILDCARD,
    post,
    with_middleware,
)

# --- origins outside of the fleet -----------------------------------------------------------


@pytest.mark.parametrize(
    ("trusted", "origin", "status"),
    [
        (["https://shop.test"], "https://shop.test", 200),
        (["https://shop.test"], "http://shop.test", 403),
        (["https://*.shop.test"], "https://a.shop.test", 200),
        (["https://*.shop.test"], "https://ashop.test", 403),
        (["capacitor://localhost"], "capacitor://localhost", 200),
        (["https://my_app.test"], "https://my_app.test", 200),
        ([], "https://shop.test", 403),
        (WILDCARD, "https://nobody.plat.test", 200),
        (["https://alias.example.org"], "https://alias.example.org", 200),
    ],
)
def test_of_other_origins_the_settings_decide_as_ever(fleet, settings, trusted, origin, status):
    add_alias(fleet[1], "alias.example.org")  # redirected: served by nobody, but no other site's
    settings.CSRF_TRUSTED_ORIGINS = trusted
    assert post(TWO, origin) == status


def test_a_referer_is_asked_for_under_https_only(fleet, settings):
    settings.CSRF_TRUSTED_ORIGINS = ["https://shop.test"]
    assert post(TWO) == 403
    assert post(TWO, secure=False) == 200
    assert post(TWO, referer=f"https://{TWO}/") == 200
    assert post(TWO, referer="https://shop.test/") == 200
    assert post(TWO, referer=f"http://{TWO}/") == 403


def test_row_11_a_change_of_the_settings_is_seen(fleet, settings):
    client = Client(enforce_csrf_checks=True, headers={"host": TWO, "x-csrftoken": TOKEN})
    client.cookies["csrftoken"] = TOKEN
    seen = []
    for trusted in (["https://*.shop.test"], [], ["https://a.shop.test"], []):
        settings.CSRF_TRUSTED_ORIGINS = trusted
        seen += [
            client.post("/posted/", headers=headers, secure=True).status_code
            for headers in ({"origin": "https://a.shop.test"}, {"referer": "https://a.shop.test/"})
        ]
    assert seen == [200, 200, 403, 403, 200, 200, 403, 403]


def test_a_token_in_the_session_is_looked_after_as_well(fleet, settings):
    settings.CSRF_USE_SESSIONS, settings.CSRF_TRUSTED_ORIGINS = True, WILDCARD
    client = Client(enforce_csrf_checks=True, headers={"host": TWO})
    settings.ROOT_URLCONF = "tests.urls"
    form = client.get("/accounts/login/", secure=True)
    token = form.context["csrf_token"]
    for origin, status in ((ONE, 403), (TWO, 200)):
        headers = {"origin": f"https://{origin}", "x-csrftoken": str(token)}
        assert client.post("/posted/", headers=headers, secure=True).status_code == status


# --- decorators, and no site ------------------------------------------------------------------


def test_what_the_middleware_has_let_through_the_decorator_lets_through(fleet, settings):
    settings.CSRF_TRUSTED_ORIGINS = WILDCARD
    add_alias(fleet[1], "served.example.org", redirect=False)
    for origin, status in ((f"https://{ONE}", 403), ("https://served.example.org", 200)):
        assert post(TWO, origin, path="/protected/") == status
    assert post(TWO, f"https://{ONE}", path="/exempt/") == 200


def test_the_decorator_alone_is_djangos(fleet, settings):
    settings.CSRF_TRUSTED_ORIGINS = WILDCARD
    assert post(TWO, f"https://{ONE}", path="/own/") == 200


def test_ahead_of_a_site_all_hosts_of_the_fleet_are_those_of_others(fleet, settings):
    settings.MIDDLEWARE, settings.ALLOWED_HOSTS = [OURS], ["*"]
    settings.CSRF_TRUSTED_ORIGINS = WILDCARD
    assert post(TWO, f"https://{ONE}") == 403
    settings.ALLOWED_HOSTS = ["nothing.example"]
    assert post(TWO, f"https://{TWO}") == 403


def test_a_known_origin_costs_no_query(fleet, settings, django_assert_num_queries):
    settings.SITEFLEET = {"FRESHNESS": 3600.0}
    add_alias(fleet[1], "served.example.org", redirect=False)
    settings.MIDDLEWARE = ["sitefleet.middleware.SiteMiddleware", OURS]
    for origin in (TWO, "served.example.org", ONE, "unknown.example.org"):
        post(TWO, f"https://{origin}")
        with django_assert_num_queries(0):
            post(TWO, f"https://{origin}")


# --- row 17: redirects after a login ------------------------------------------------------------


@pytest.mark.parametrize("next_page", [f"https://{ONE}/", f"//{ONE}/", f"https://{ONE}:443/x"])
def test_row_17_a_login_does_not_lead_to_a_sibling(fleet, settings, django_user_model, next_page):
    settings.ROOT_URLCONF, settings.LOGIN_REDIRECT_URL = "tests.urls", "/here/"
    django_user_model.objects.create_user("anna", password="secret", is_staff=True)
    form = {"username": "anna", "password": "secret", "next": next_page}
    for url in ("/accounts/login/", f"/accounts/login/?next={next_page}", "/admin/login/"):
        response = Client(headers={"host": TWO}).post(url, form, secure=True)
        assert (response.status_code, response["Location"]) == (302, "/here/")
    form["next"] = f"https://{TWO}/x/"
    response = Client(headers={"host": TWO}).post("/accounts/login/", form, secure=True)
    assert response["Location"] == f"https://{TWO}/x/"


# --- the check ------------------------------------------------------------------------------------


def test_djangos_middleware_with_trusted_origins_is_reported(db, settings):
    def hints(middleware, trusted):
        settings.MIDDLEWARE = with_middleware(middleware)
        settings.CSRF_TRUSTED_ORIGINS = trusted
        return [each.hint for each in checks.run_checks() if each.id == "sitefleet.W360"]

    assert hints(DJANGOS, WILDCARD) == [
        f'Put "{OURS}" into MIDDLEWARE in place of "{DJANGOS}".',
    ]
    assert hints(DJANGOS, []) == hints(OURS, WILDCARD) == []
