"""Cookies for one host, and for one host for certain."""

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model
from django.test import Client

from sitefleet.persite.cookies import CookieMiddleware
from sitefleet.registry import set_state
from sitefleet.test import async_client_for, client_for
from tests.asgi import ask
from tests.persite.cookies.work import DJANGOS, MIDDLEWARE, ONE, domains, get

# --- host-only --------------------------------------------------------------------------


def test_cookies_are_for_one_host_and_nothing_is_renamed(site):
    for secure in (True, False):
        response = get("/use/", secure=secure)
        assert domains(response) == dict.fromkeys([*DJANGOS, "theirs"], "") | {
            "deep": "elsewhere.example.org"
        }


def test_cookies_come_in_as_they_are(site):
    cookie = "sessionid=a; __Host-sessionid=b; theirs=c"
    told = {"sessionid": "a", "__Host-sessionid": "b", "theirs": "c"}
    assert get("/seen/", cookie=cookie).json() == told


# --- HOST_COOKIES: out ---------------------------------------------------------------------


@pytest.mark.parametrize("where", ["/use/", "/stream/"])
def test_under_https_the_cookies_of_django_are_for_the_host_alone(site, host_cookies, where):
    response = get(where)
    assert set(response.cookies) == {*(f"__Host-{name}" for name in DJANGOS), "theirs", "deep"}
    for name in DJANGOS:
        morsel = response.cookies[f"__Host-{name}"]
        assert (morsel["secure"], morsel["path"], morsel["domain"]) == (True, "/", "")
        assert "Secure" in morsel.OutputString().split("; ")
        assert "Domain" not in morsel.OutputString()
    assert response.cookies["__Host-sessionid"]["httponly"]
    assert response.cookies["__Host-csrftoken"]["samesite"] == "Lax"
    assert not response.cookies["theirs"]["secure"]


def test_on_plain_http_they_are_as_ever(site, host_cookies):
    response = get("/use/", secure=False)
    assert set(response.cookies) == {*DJANGOS, "theirs", "deep"}
    told = get("/seen/", secure=False, cookie="sessionid=a; __Host-sessionid=b").json()
    assert told == {"sessionid": "a", "__Host-sessionid": "b"}


def test_cookies_of_any_middleware_behind_are_renamed(site, host_cookies, settings):
    settings.MIDDLEWARE = [
        *MIDDLEWARE[:2],
        "tests.persite.cookies.work.setting_middleware",
        *MIDDLEWARE[2:],
    ]
    assert get("/site/").cookies["__Host-django_language"].value == "fr"


def test_a_cookie_is_deleted_under_the_name_and_for_the_host_that_it_has(site, host_cookies):
    client = Client(headers={"host": ONE})
    client.get("/use/", secure=True)
    response = client.get("/drop/", secure=True)
    for name in DJANGOS:
        morsel = response.cookies[f"__Host-{name}"]
        assert (morsel.value, morsel["max-age"], morsel["path"]) == ("", 0, "/")
        assert (morsel["secure"], morsel["domain"]) == (True, "")
    assert "theirs" in response.cookies


def test_a_name_that_has_the_prefix_already_gets_no_second_one(site, host_cookies, settings):
    settings.SESSION_COOKIE_NAME = "__Host-sid"
    response = get("/use/")
    key = response.cookies["__Host-sid"].value
    assert get("/seen/", cookie=f"__Host-sid={key}").json() == {"__Host-sid": key}


def test_values_come_back_as_they_went(site, host_cookies):
    client = Client(headers={"host": ONE})
    client.get("/use/", secure=True)
    heard = client.get("/cookies/", secure=True).json()
    assert heard["messages"] == ['heard; and "quoted"']
    assert heard["language"] == "de"


def test_async_views_have_them_too_without_a_thread(site, host_cookies):
    client = async_client_for(site)
    response = async_to_sync(client.get)("/aseen/", secure=True)
    assert {"__Host-sessionid", "__Host-csrftoken", "theirs"} == set(response.cookies)
    middleware = CookieMiddleware(client.handler)
    assert middleware.sync_capable
    assert middleware.async_capable


# --- HOST_COOKIES: in -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cookie", "taken"),
    [
        ("__Host-sessionid=good", "good"),
        ("sessionid=evil", None),
        ("sessionid=evil; __Host-sessionid=good", "good"),
        ("__Host-sessionid=good; sessionid=evil", "good"),
        ("__Host-sessionid=good; __host-sessionid=evil", "good"),
        ("__HOST-sessionid=evil", None),
        ("__Host-sessionid=good; __Host-sessionid=evil", None),
        ("__Host-sessionid=good; __Host-sessionid=good", "good"),
        ("__Host-sessionid", None),
        ("x=__Host-sessionid=evil", None),
        ('__Host-sessionid="good"', "good"),
        ("\t__Host-sessionid = good ", "good"),
        ("", None),
    ],
)
def test_row_9_a_tossed_cookie_is_not_taken(site, host_cookies, cookie, taken):
    told = get("/seen/", cookie=cookie).json()
    assert told.get("sessionid") == taken
    assert "__Host-sessionid" not in told


def test_row_9_a_name_that_only_django_takes_for_the_same_is_not_taken(site, host_cookies):
    good = "__Host-sessionid=good"
    for space in ("\u2000", "\u00a0", "\u0085", "\u3000", "\x0b", "\x1f", "\x0c"):
        before, behind = f"{space}__Host-sessionid=evil", f"__Host-sessionid{space}=evil"
        for evil in (before, behind):
            for cookie in (evil, f"{good}; {evil}", f"{evil}; {good}"):
                told = get("/seen/", cookie=cookie.encode().decode("latin-1")).json()
                assert told.get("sessionid") == ("good" if good in cookie else None)
                assert "__Host-sessionid" not in told


@pytest.mark.parametrize("space", [b"\xa0", b"\x85", b"\xe2\x80\x80", b"\x0b"])
def test_row_9_a_tossed_cookie_is_not_taken_over_asgi_either(site, host_cookies, settings, space):
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    good, evil = b"__Host-sessionid=good", space + b"__Host-sessionid=evil"
    for pairs, taken in (([good, evil], "good"), ([evil, good], "good"), ([evil], None)):
        headers = [(b"x-forwarded-proto", b"https"), (b"cookie", b"; ".join(pairs))]
        assert async_to_sync(ask)(ONE, "/seen/", headers=headers).json().get("sessionid") == taken


def test_row_9_a_session_of_the_attacker_cannot_be_tossed(site, host_cookies):
    eve = client_for(site)
    eve.force_login(get_user_model().objects.create_user("eve"))
    key = eve.session.session_key
    for cookie in (f"sessionid={key}", f"\u2000__Host-sessionid={key}"):
        told = get("/cookies/", cookie=cookie.encode().decode("latin-1")).json()
        assert told["user"] == ""
    assert get("/cookies/", cookie=f"__Host-sessionid={key}").json()["user"] == "eve"


def test_row_10_a_tossed_token_does_not_fit(site, host_cookies):
    client = Client(enforce_csrf_checks=True, headers={"host": ONE, "origin": f"https://{ONE}"})
    client.cookies["csrftoken"] = "t" * 32
    headers = {"x-csrftoken": "t" * 32}
    assert client.post("/posted/", headers=headers, secure=True).status_code == 403
    client.cookies["__Host-csrftoken"] = "t" * 32
    assert client.post("/posted/", headers=headers, secure=True).status_code == 200


# --- HOST_COOKIES: with the rest ---------------------------------------------------------------


def test_sites_below_prefixes_have_names_of_their_own_for_the_whole_host(fleet, host_cookies):
    client = Client(headers={"host": ONE})
    root, below = client.get("/use/", secure=True), client.get("/de/use/", secure=True)
    for name in DJANGOS:
        assert root.cookies[f"__Host-{name}"]["path"] == "/"
        assert below.cookies[f"__Host-{name}_{fleet[2].pk}"]["path"] == "/"
    assert len(below.cookies) == len(DJANGOS) + 2
    assert [client.get(f"{at}/cookies/", secure=True).json()["visits"] for at in ("", "/de")] == [
        1,
        1,
    ]
    told = client.get("/de/seen/", secure=True).json()
    assert told["sessionid"] == below.cookies[f"__Host-sessionid_{fleet[2].pk}"].value
    tossed = f"sessionid_{fleet[2].pk}=evil; sessionid=evil"
    assert "sessionid" not in get("/de/seen/", cookie=tossed).json()


def test_staff_look_at_a_site_in_maintenance_under_https(fleet, host_cookies):
    user = get_user_model().objects.create_user("staff", is_staff=True)
    for site in (fleet[0], fleet[2]):
        set_state(site, "maintenance")
        client = client_for(site)
        client.force_login(user)
        assert client.get("/site/", secure=True).status_code == 200
        assert client.get("/site/").status_code == 200
        key = client.session.session_key
        tossed = Client(headers={"host": ONE})
        for name in ("sessionid", f"sessionid_{site.pk}"):
            tossed.cookies[name] = key
        prefix = client.address.path_prefix
        assert tossed.get(f"{prefix}/site/", secure=True).status_code == 503
        assert tossed.get(f"{prefix}/site/").status_code == 200


@pytest.mark.parametrize("number", [0, 2], ids=["root", "prefix"])
def test_clients_log_in_under_https(fleet, host_cookies, number):
    user = get_user_model().objects.create_user("anna")
    client = client_for(fleet[number])
    client.force_login(user)
    told = [client.get("/cookies/", secure=secure).json() for secure in (True, True, False)]
    assert [each["user"] for each in told] == ["anna"] * 3
    assert [each["visits"] for each in told] == [1, 2, 3]
    assert client.session["visits"] == 3
    client = async_client_for(fleet[number])
    async_to_sync(client.aforce_login)(user)
    told = [async_to_sync(client.get)("/cookies/", secure=True).json() for _ in range(2)]
    assert [(each["user"], each["visits"]) for each in told] == [("anna", 1), ("anna", 2)]
