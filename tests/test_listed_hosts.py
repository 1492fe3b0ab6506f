"""A host that ALLOWED_HOSTS lists as it is, and that no site has, gets the default site."""

import pytest
from django.test import Client, TestCase

from sitefleet import ACCEPTED_HOST
from sitefleet.registry import add_site, set_state


@pytest.fixture
def default_site(site, settings):
    settings.SITE_ID = site.pk
    return site


def test_the_test_suite_of_an_existing_project_goes_on_as_it_was(default_site, client):
    answer = client.get("/site/")  # Django's own client asks "testserver"
    assert (answer.status_code, answer.json()["id"]) == (200, default_site.pk)


def test_so_does_what_an_operator_lists(default_site, settings, client):
    settings.ALLOWED_HOSTS = [ACCEPTED_HOST, "10.0.0.7"]
    assert client.get("/site/", headers={"host": "10.0.0.7:8000"}).json()["id"] == default_site.pk
    assert client.get("/site/", headers={"host": "10.0.0.8"}).status_code == 404


@pytest.mark.parametrize("pattern", ["*", ".example.net"])
def test_a_pattern_says_nothing_of_a_site(default_site, settings, client, pattern):
    settings.ALLOWED_HOSTS = [ACCEPTED_HOST, pattern]
    assert client.get("/site/", headers={"host": "www.example.net"}).status_code == 404


def test_without_a_default_site_such_a_host_is_unknown(site, client):
    assert client.get("/site/").status_code == 404


def test_a_site_that_has_the_name_goes_first(default_site, client):
    own = add_site("own", domain="testserver")
    assert client.get("/site/").json()["id"] == own.pk


def test_the_state_of_the_default_site_counts(default_site, client):
    set_state(default_site, "suspended")
    assert client.get("/site/").status_code == 404


class Unchanged(TestCase):
    def test_djangos_own_test_case_works_too(self):
        site = add_site("one", domain="one.example.org")
        with self.settings(SITE_ID=site.pk):
            assert Client().get("/site/").status_code == 200
