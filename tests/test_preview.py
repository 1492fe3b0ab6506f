"""Who sees a site in maintenance: members of staff, and who logs in."""

from types import SimpleNamespace

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings as django_settings
from django.conf.urls.i18n import i18n_patterns
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.views import LoginView
from django.contrib.sessions.models import Session
from django.contrib.sites.models import Site
from django.test import Client, override_settings
from django.urls import path as url

from sitefleet.current import override_site
from sitefleet.registry import set_state
from tests.asgi import ask

ONE = "one.example.org"
CACHE = [
    "sitefleet.middleware.SiteMiddleware",
    "django.middleware.cache.UpdateCacheMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.middleware.cache.FetchFromCacheMiddleware",
]


class ManyLanguages:
    """A URLconf with a language in front of all its paths."""

    urlpatterns = i18n_patterns(
        url("admin/", admin.site.urls),
        url("login/", LoginView.as_view(template_name="admin/login.html"), name="login"),
    )


class BackendOfSite(ModelBackend):
    """Lets in who has the name of the current site."""

    def get_user(self, user_id):
        user = super().get_user(user_id)
        return user if user.username == Site.objects.get_current().name else None


def get(client, host=ONE, path="/site/", **headers):
    return client.get(path, headers={"host": host, **headers})


@pytest.fixture
def staff_client(site, client):
    with override_site(site):
        client.force_login(get_user_model().objects.create_user("staff", is_staff=True))
    return client


@pytest.fixture
def user_client(site, client):
    with override_site(site):
        client.force_login(get_user_model().objects.create_user("user"))
    return client


def test_staff_may_look_at_a_site_in_maintenance(staff_client, site):
    set_state(site, "maintenance")
    assert get(staff_client).json()["id"] == site.pk


@pytest.mark.parametrize("who", ["client", "user_client"])
def test_others_may_not(request, site, who):
    set_state(site, "maintenance")
    assert get(request.getfixturevalue(who)).status_code == 503


def test_who_is_no_longer_staff_may_not(staff_client, site):
    set_state(site, "maintenance")
    for change in ({"is_staff": False}, {"is_staff": True, "is_active": False}):
        get_user_model().objects.update(**change)
        assert get(staff_client).status_code == 503


@pytest.mark.parametrize("key", ["", "x", "a" * 32, "../../etc", "\x00"])
def test_a_made_up_session_is_nobody(client, site, key):
    set_state(site, "maintenance")
    client.cookies["sessionid"] = key
    assert get(client).status_code == 503


@pytest.mark.parametrize("path", ["/accounts/login/", "/admin/login/?next=/admin/"])
def test_staff_find_the_login_pages_open(client, site, path):
    set_state(site, "maintenance")
    assert get(client, path=path).status_code == 200
    assert get(client, path="/admin/auth/").status_code == 503


def test_more_paths_can_be_open(client, site):
    set_state(site, "maintenance")
    with override_settings(SITEFLEET={"PREVIEW_PATHS": ["/site/"]}):
        assert get(client).status_code == 200
        assert get(client, path="/links/").status_code == 503


def test_open_paths_end_at_a_slash(client, site):
    set_state(site, "maintenance")
    with override_settings(LOGIN_URL="/", SITEFLEET={"PREVIEW_PATHS": ["/link"]}):
        assert get(client, path="/").status_code == 404  # open; there is no such page
        assert get(client, path="/site/").status_code == 503
        assert get(client, path="/links/").status_code == 503


@pytest.mark.parametrize("login", ["/app/accounts/login/", "login"])
def test_login_pages_are_open_below_the_mount_of_the_server(site, mounted_by_server, login):
    set_state(site, "maintenance")
    with override_settings(LOGIN_URL=login):
        for path, status in (("/accounts/login/", 200), ("/admin/login/", 200), ("/site/", 503)):
            assert async_to_sync(ask)(ONE, f"/app{path}", root_path="/app").status == status


def test_what_staff_saw_does_not_reach_others_through_the_page_cache(staff_client, site):
    set_state(site, "maintenance")
    with override_settings(MIDDLEWARE=CACHE, CACHE_MIDDLEWARE_SECONDS=60):
        assert get(staff_client).status_code == 200
        assert get(Client()).status_code == 503
        set_state(site, "active")
        assert get(Client()).status_code == 200
        set_state(site, "maintenance")
        assert get(Client()).status_code == 503


@pytest.mark.parametrize("user", ["client", "user_client"])
def test_the_front_page_of_the_admin_sends_to_its_login_page(request, site, user):
    set_state(site, "maintenance")
    response = get(request.getfixturevalue(user), path="/admin/")
    assert (response.status_code, response["Location"]) == (302, "/admin/login/?next=/admin/")


@override_settings(ROOT_URLCONF=ManyLanguages, LOGIN_URL="login")
@pytest.mark.parametrize("language", ["en", "de", "pt-br"])
def test_login_pages_are_open_in_each_language(client, site, language):
    set_state(site, "maintenance")
    for path in ("login/", "admin/login/"):
        assert get(client, path=f"/{language}/{path}").status_code == 200
    assert get(client, path=f"/{language}/admin/auth/").status_code == 503
    assert get(client, path=f"/{language}/").status_code == 503
    response = client.get("/admin/", headers={"host": ONE, "accept-language": language})
    assert (response.status_code, response["Location"]) == (302, f"/{language}/admin/")
    login = f"/{language}/admin/login/?next=/{language}/admin/"
    assert get(client, path=f"/{language}/admin/")["Location"] == login


def test_a_language_is_none_where_paths_have_none(client, site):
    set_state(site, "maintenance")
    assert get(client, path="/de/admin/login/").status_code == 503


def test_without_a_login_url_there_is_no_page_for_it(client, site):
    set_state(site, "maintenance")
    with override_settings(LOGIN_URL=None):
        assert get(client).status_code == 503
        assert get(client, path="/admin/login/").status_code == 200


def test_a_preview_leaves_the_session_to_the_site(staff_client, site, settings):
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "new"
    set_state(site, "maintenance")
    before = list(Session.objects.values())
    for _ in range(2):
        assert get(staff_client).status_code == 200
    assert list(Session.objects.values()) == before
    settings.SECRET_KEY_FALLBACKS = []
    assert get(staff_client).status_code == 503
    assert list(Session.objects.values()) == before


def test_an_authentication_backend_may_ask_for_the_site(client, site, settings):
    backend = f"{__name__}.BackendOfSite"
    settings.AUTHENTICATION_BACKENDS = [backend]
    for name, status in (("One", 200), ("Two", 503)):
        set_state(site, "active")
        user = get_user_model().objects.create_user(name, is_staff=True)
        with override_site(site):
            client.force_login(user, backend)
        set_state(site, "maintenance")
        assert get(client).status_code == status


def test_a_backend_that_is_no_longer_in_the_settings_knows_nobody(staff_client, site, settings):
    settings.AUTHENTICATION_BACKENDS = [f"{__name__}.BackendOfSite"]
    set_state(site, "maintenance")
    assert get(staff_client).status_code == 503


def test_users_that_cannot_be_staff_are_none(staff_client, site, monkeypatch):
    set_state(site, "maintenance")
    user = SimpleNamespace(is_active=True)
    monkeypatch.setattr(ModelBackend, "get_user", lambda *_: user)
    assert get(staff_client).status_code == 503


def test_an_app_may_be_installed_by_its_config(staff_client, site, settings):
    config = "django.contrib.auth.apps.AuthConfig"
    found = django_settings.INSTALLED_APPS
    settings.INSTALLED_APPS = [config if app == "django.contrib.auth" else app for app in found]
    set_state(site, "maintenance")
    assert get(staff_client).status_code == 200


def test_without_the_app_of_the_sessions_nobody_has_one(staff_client, site, settings):
    found = django_settings.INSTALLED_APPS
    settings.INSTALLED_APPS = [app for app in found if app != "django.contrib.sessions"]
    set_state(site, "maintenance")
    assert get(staff_client).status_code == 503
