"""`sitefleet.test`: clients that ask a site, as a user's tests do."""

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.contrib.sites.models import Site
from django.db import connection
from django.test import override_settings

from sitefleet import get_current_site
from sitefleet.exceptions import SiteError
from sitefleet.lookup import default_site_id
from sitefleet.registry import add_alias, add_site, set_state
from sitefleet.resolver import resolver
from sitefleet.test import async_client_for, client_for, forget_sites

LOCAL = {"DOMAIN_FORMAT": "{slug}.localhost:8000", "SCHEME": "http", "FRESHNESS": 0.0}


@pytest.fixture
def user(db):
    return User.objects.create_user("anna", password="secret")


@pytest.fixture
def clients(fleet):
    """A client for each of the fleet, the last one below a path prefix."""
    return [client_for(site) for site in fleet]


@pytest.fixture
def async_clients(fleet):
    return [async_client_for(site) for site in fleet]


def test_each_client_asks_its_own_site(clients, fleet):
    told = [client.get("/site/").json() for client in clients]
    assert [each["id"] for each in told] == [site.pk for site in fleet]
    assert [each["host"] for each in told] == [site.domain for site in fleet]
    assert told[2]["path"] == "/de/site/"


def test_each_async_client_asks_its_own_site(async_clients, fleet):
    told = [async_to_sync(client.get)("/async/").json() for client in async_clients]
    assert [each["id"] for each in told] == [site.pk for site in fleet]
    assert [each["host"] for each in told] == [site.domain for site in fleet]
    assert told[2]["path"] == "/de/async/"


def test_a_site_may_be_given_by_its_id_or_as_a_bare_row(fleet):
    assert client_for(fleet[2].pk).get("/site/").json()["id"] == fleet[2].pk
    assert client_for(Site.objects.get(pk=fleet[2].pk)).get("/site/").json()["id"] == fleet[2].pk


@override_settings(SITEFLEET=LOCAL)
def test_the_host_is_that_of_the_environment(fleet):
    assert [client_for(site).get("/site/").json()["host"] for site in fleet] == [
        "one.localhost:8000",
        "two.localhost:8000",
        "de.localhost:8000",
    ]


def test_an_environment_that_came_after_the_site_is_seen(fleet):
    with override_settings(SITEFLEET=LOCAL):
        client = client_for(fleet[1].pk)
        assert client.get("/site/").json()["host"] == "two.localhost:8000"


def test_a_path_that_has_the_prefix_already_is_taken_as_it_is(clients):
    assert clients[2].get("/de/site/").json()["path_info"] == "/site/"
    assert clients[2].get("/den/").status_code == 404


def test_redirects_can_be_followed_below_a_prefix(clients, user):
    response = clients[2].get("/admin/", follow=True)
    assert response.status_code == 200
    assert response.redirect_chain == [("/de/admin/login/?next=/de/admin/", 302)]


def test_every_method_goes_to_the_site(clients):
    for method in ("get", "post", "put", "patch", "delete", "head", "options"):
        assert getattr(clients[2], method)("/posted/").status_code == 200


@pytest.mark.parametrize("number", [0, 2], ids=["root", "prefix"])
def test_a_login_holds_on_the_site_and_nowhere_else(clients, user, number):
    clients[number].force_login(user)
    assert [client.get("/cookies/").json()["user"] for client in clients] == [
        "anna" if place == number else "" for place in range(3)
    ]
    clients[number].logout()
    assert clients[number].get("/cookies/").json()["user"] == ""


@pytest.mark.parametrize("number", [0, 2], ids=["root", "prefix"])
def test_the_session_of_a_client_is_that_of_the_site(clients, number):
    client = clients[number]
    assert [client.get("/cookies/").json()["visits"] for _ in range(3)] == [1, 2, 3]
    assert client.session["visits"] == 3
    session = client.session
    session["visits"] = 41
    session.save()
    assert client.get("/cookies/").json()["visits"] == 42


@pytest.mark.parametrize("number", [0, 2], ids=["root", "prefix"])
def test_a_login_holds_in_the_async_client_too(async_clients, user, number):
    client = async_clients[number]

    @async_to_sync
    async def visit():
        await client.aforce_login(user)
        told = [(await client.get("/cookies/")).json() for _ in range(2)]
        await client.alogout()
        return [*told, (await client.get("/cookies/")).json()]

    first, second, third = visit()
    assert (first["user"], second["user"], third["user"]) == ("anna", "anna", "")
    assert (second["visits"], third["visits"]) == (2, 1)


def test_headers_and_defaults_are_passed_on(site):
    client = client_for(site, headers={"accept-language": "de"}, enforce_csrf_checks=True)
    assert client.get("/cookies/").json()["language"] == "de"
    assert client.post("/posted/").status_code == 403
    assert client.get("/site/", headers={"x-test": "1"}).status_code == 200


def test_headers_are_passed_on_by_the_async_client(async_clients):
    get = async_to_sync(async_clients[0].get)
    response = get("/cookies/", headers={"accept-language": "de"})
    assert response.json()["language"] == "de"


def test_states_answer_as_they_do_for_the_world(site):
    set_state(site, "archived")
    assert client_for(site).get("/").status_code == 410


def test_a_site_without_a_host_cannot_be_asked(db):
    later = add_site("later")
    with pytest.raises(SiteError, match="has no host in this environment"):
        client_for(later)
    with pytest.raises(SiteError, match="has no host in this environment"):
        async_to_sync(async_client_for(later).get)("/")


def test_an_async_test_may_ask_for_a_client_itself(fleet):
    forget_sites()

    @async_to_sync
    async def visit():
        return [(await async_client_for(site).get("/async/")).json()["id"] for site in fleet]

    assert visit() == [site.pk for site in fleet]


def test_a_name_is_not_a_site(site):
    with pytest.raises(TypeError, match=r"get_site\('one'\) finds one by name"):
        client_for("one")


def test_two_clients_of_one_test_do_not_mix(fleet):
    one, two = client_for(fleet[0]), client_for(fleet[1])
    for _ in range(3):
        assert one.get("/site/").json()["id"] == fleet[0].pk
        assert two.get("/site/").json()["id"] == fleet[1].pk


def test_forget_sites_forgets_all_that_is_remembered(site, other_site, settings, monkeypatch):
    settings.SITEFLEET = {"FRESHNESS": 3600.0}
    add_alias(site, "old.example.org")
    monkeypatch.setenv("SITEFLEET_SITE", "one")
    assert default_site_id() == site.pk
    assert get_current_site().name == "One"
    assert resolver.find("one.example.org").root.site.pk == site.pk
    with connection.cursor() as cursor:
        table = "sitefleet_siteconfig"
        cursor.execute(f"UPDATE {table} SET slug = 'three' WHERE slug = 'one'")  # noqa: S608
        cursor.execute(f"UPDATE {table} SET slug = 'one' WHERE slug = 'two'")  # noqa: S608
        cursor.execute("UPDATE django_site SET domain = 'x.example.org' WHERE domain LIKE 'one.%'")
    forget_sites()
    assert default_site_id() == other_site.pk
    assert get_current_site().name == "Two"
    assert resolver.find("one.example.org").root is None
