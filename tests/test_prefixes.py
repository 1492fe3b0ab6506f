"""Sites below path prefixes: /de and /gh, and the site at the root, on one host in one client."""

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from django.conf.urls.i18n import i18n_patterns
from django.contrib.auth import get_user_model
from django.test import Client, override_settings
from django.urls import get_script_prefix, path

from sitefleet.current import active_site_id
from sitefleet.models import SiteConfig
from sitefleet.prefixes import mount, mounted_prefix
from sitefleet.registry import add_site, set_state
from tests import views
from tests.asgi import ask

HOST = "shared.example"
PREFIXES = ["", "/de", "/gh"]


class ManyLanguages:
    """A URLconf with language prefixes, and one page that ends in a slash."""

    urlpatterns = [path("links/", views.links), *i18n_patterns(path("site/", views.site))]


@pytest.fixture
def sites(db):
    names = {"": "root", "/de": "de", "/gh": "gh"}
    return {p: add_site(slug, domain=HOST, path_prefix=p) for p, slug in names.items()}


@pytest.fixture
def jar(sites):
    """A client that sends all cookies it has, as for one host without regard to paths."""
    return Client(headers={"host": HOST})


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_site_believes_in_its_prefix(sites, jar, prefix):
    seen = jar.get(f"{prefix}/site/").json()
    assert seen["id"] == seen["django"] == sites[prefix].pk
    assert (seen["path"], seen["path_info"]) == (f"{prefix}/site/", "/site/")
    assert seen["domain"] == seen["host"] == HOST
    assert jar.get(f"{prefix}/links/?a=b").json() == {
        "reverse": f"{prefix}/site/",
        "static": "/static/a.css",
        "media": "/media/",
        "script_name": prefix,
        "prefix": f"{prefix}/",
        "absolute": f"http://{HOST}{prefix}/links/?a=b",
        "site_url": f"https://{HOST}{prefix}/site/",
    }
    assert (get_script_prefix(), mounted_prefix(), active_site_id()) == ("/", "", None)


@pytest.mark.parametrize("first", PREFIXES)
def test_static_and_media_are_those_of_the_host_whichever_site_is_first(sites, jar, first):
    with override_settings(STATIC_URL="s/", MEDIA_URL="m/"):
        for prefix in (first, "", "/de"):
            seen = jar.get(f"{prefix}/links/").json()
            assert (seen["static"], seen["media"]) == ("/s/a.css", "/m/")


def test_static_and_media_are_those_of_the_host_in_commands_too():
    with override_settings(STATIC_URL="s/", MEDIA_URL="m/"):
        with mount("/de"):
            assert (settings.STATIC_URL, settings.MEDIA_URL) == ("/s/", "/m/")
        assert (settings.STATIC_URL, settings.MEDIA_URL) == ("/s/", "/m/")


@pytest.mark.parametrize(
    ("asked", "status", "target"),
    [
        ("/de", 301, "/de/"),
        ("/de?a=b&c=%2F", 301, "/de/?a=b&c=%2F"),
        ("/delta", 404, None),
        ("/delta/", 404, None),
        ("/de/site", 301, "/de/site/"),
        ("/de/site?a=b", 301, "/de/site/?a=b"),
        ("/de/nothing/", 404, None),
    ],
)
def test_slashes_are_added_below_the_prefix(jar, asked, status, target):
    response = jar.get(asked)
    assert (response.status_code, response.headers.get("Location")) == (status, target)


def test_a_post_to_the_prefix_keeps_its_method(jar):
    response = jar.post("/de", {"a": "b"})
    assert (response.status_code, response["Location"]) == (308, "/de/")


@override_settings(ROOT_URLCONF=ManyLanguages, LANGUAGES=[("en", "English"), ("fr", "French")])
@pytest.mark.parametrize("prefix", PREFIXES)
def test_language_redirects_stay_below_the_prefix(jar, prefix):
    response = jar.get(f"{prefix}/site/?a=b", headers={"accept-language": "fr"})
    assert (response.status_code, response["Location"]) == (302, f"{prefix}/fr/site/?a=b")
    assert jar.get(f"{prefix}/fr/site/").json()["path"] == f"{prefix}/fr/site/"


@pytest.mark.parametrize("order", [["", "/de", "/gh"], ["/gh", "/de", ""], ["/de", "", "/gh"]])
def test_sessions_messages_and_tokens_are_kept_apart(jar, order):
    for round_ in (1, 2, 3):
        for prefix in order:
            seen = jar.get(f"{prefix}/cookies/?say=from{prefix or '/'}{round_}").json()
            assert seen["visits"] == round_
            heard = [f"from{prefix or '/'}{round_ - 1}"] if round_ > 1 else []
            assert seen["messages"] == heard


def test_cookies_have_the_name_and_path_of_their_site(sites, jar):
    for prefix in PREFIXES:
        response = jar.get(f"{prefix}/cookies/?say=x")
        mark = f"_{sites[prefix].pk}" if prefix else ""
        for name in ("sessionid", "csrftoken", "messages"):
            cookie = response.cookies[f"{name}{mark}"]
            assert cookie["path"] == (prefix or "/")
            assert cookie["samesite"] == "Lax"
        assert response.cookies[f"sessionid{mark}"]["httponly"]
        assert len(response.cookies) == 3


@override_settings(SESSION_COOKIE_NAME="__Host-sessionid", CSRF_COOKIE_NAME="__Host-csrftoken")
def test_cookies_that_browsers_take_for_a_whole_host_only_keep_its_path(sites, jar):
    response = jar.get("/de/cookies/?say=x")
    for name in ("__Host-sessionid", "__Host-csrftoken"):
        assert response.cookies[f"{name}_{sites['/de'].pk}"]["path"] == "/"
    assert jar.get("/cookies/").json()["visits"] == 1
    assert jar.get("/de/cookies/").json()["visits"] == 2


@override_settings(MESSAGE_STORAGE="django.contrib.messages.storage.cookie.CookieStorage")
def test_messages_in_cookies_are_kept_apart_too(sites, jar):
    for prefix in PREFIXES:
        jar.get(f"{prefix}/cookies/?say=from{prefix}")
    for prefix in PREFIXES:
        assert jar.get(f"{prefix}/cookies/").json()["messages"] == [f"from{prefix}"]
    for prefix in PREFIXES:
        assert jar.get(f"{prefix}/cookies/").json()["messages"] == []


def test_languages_are_kept_apart(jar):
    for prefix, language in zip(PREFIXES, ("en", "de", "fr"), strict=True):
        jar.post(f"{prefix}/i18n/setlang/", {"language": language, "next": f"{prefix}/site/"})
    seen = [jar.get(f"{prefix}/cookies/").json()["language"] for prefix in PREFIXES]
    assert seen == ["en", "de", "fr"]


@pytest.mark.parametrize("here", PREFIXES)
def test_a_login_is_for_one_site(jar, here):
    get_user_model().objects.create_user("anna", password="secret")
    jar.post(f"{here}/accounts/login/?next=/x/", {"username": "anna", "password": "secret"})
    for prefix in PREFIXES:
        user = jar.get(f"{prefix}/cookies/").json()["user"]
        assert user == ("anna" if prefix == here else "")


def test_a_token_is_for_one_site(sites):
    jar = Client(headers={"host": HOST}, enforce_csrf_checks=True)
    for prefix in PREFIXES:
        jar.get(f"{prefix}/cookies/")
    tokens = {
        "": jar.cookies["csrftoken"].value,
        "/de": jar.cookies[f"csrftoken_{sites['/de'].pk}"].value,
    }
    for owner, token in tokens.items():
        for prefix in tokens:
            response = jar.post(f"{prefix}/posted/", headers={"x-csrftoken": token})
            assert response.status_code == (200 if prefix == owner else 403)


def test_a_prefix_does_not_hear_the_cookies_of_the_root(sites, jar):
    jar.get("/cookies/")
    only_root = {name: morsel.value for name, morsel in jar.cookies.items()}
    below = Client(headers={"host": HOST})
    for name, value in only_root.items():
        below.cookies[name] = value
    assert below.get("/de/cookies/").json()["visits"] == 1
    assert below.get("/cookies/").json()["visits"] == 2


def test_nothing_is_left_over_after_an_exception(jar):
    with pytest.raises(RuntimeError):
        jar.get("/de/fail/")
    assert (get_script_prefix(), mounted_prefix(), active_site_id()) == ("/", "", None)


@pytest.mark.parametrize("root_path", ["/app", "/app/de"])
@pytest.mark.parametrize("prefix", PREFIXES)
def test_the_mount_of_the_server_goes_first(sites, mounted_by_server, root_path, prefix):
    seen = async_to_sync(ask)(HOST, f"{root_path}{prefix}/links/", root_path=root_path).json()
    assert seen["reverse"] == f"{root_path}{prefix}/site/"
    assert seen["script_name"] == f"{root_path}{prefix}"
    assert seen["absolute"] == f"http://{HOST}{root_path}{prefix}/links/"
    assert seen["site_url"] == f"https://{HOST}{root_path}{prefix}/site/"


def test_a_forced_script_name_goes_first(sites, mounted_by_server):
    with override_settings(FORCE_SCRIPT_NAME="/forced"):
        seen = async_to_sync(ask)(HOST, "/forced/de/links/").json()
        assert (seen["script_name"], seen["reverse"]) == ("/forced/de", "/forced/de/site/")
        answer = async_to_sync(ask)(HOST, "/forced/de")
        assert (answer.status, answer["Location"]) == (301, "/forced/de/")


@pytest.mark.parametrize(
    ("state", "status"), [("maintenance", 503), ("archived", 410), ("suspended", 404)]
)
def test_each_site_has_its_own_state(sites, jar, state, status):
    set_state(sites["/de"], state)
    assert [jar.get(f"{p}/site/").status_code for p in PREFIXES] == [200, status, 200]
    assert jar.get("/de").status_code == status


def test_staff_preview_and_log_in_below_the_prefix(sites, jar):
    get_user_model().objects.create_user("anna", password="secret", is_staff=True)
    set_state(sites["/de"], "maintenance")
    jar.post("/accounts/login/?next=/x/", {"username": "anna", "password": "secret"})
    assert jar.get("/de/site/").status_code == 503
    jar.post("/de/accounts/login/?next=/x/", {"username": "anna", "password": "secret"})
    assert jar.get("/de/site/").status_code == 200


def test_a_host_with_prefixes_only_has_nothing_at_its_root(sites, jar):
    SiteConfig.objects.filter(slug="root").delete()
    sites[""].delete()
    assert jar.get("/site/").status_code == 404
    assert jar.get("/de/site/").status_code == 200
