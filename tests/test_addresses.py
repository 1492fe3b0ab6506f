import pytest
from django.contrib.sites.models import Site
from django.test import override_settings
from django.urls import reverse, set_script_prefix

from sitefleet import override_site
from sitefleet.addresses import site_url
from sitefleet.exceptions import SiteError
from sitefleet.registry import add_site


@pytest.mark.parametrize(
    ("conf", "debug", "expected"),
    [
        ({}, False, "https://one.example.org/x/"),
        ({}, True, "http://one.example.org/x/"),
        ({"SCHEME": "http"}, False, "http://one.example.org/x/"),
        ({"DOMAIN_FORMAT": "{slug}.localhost:8000"}, True, "http://one.localhost:8000/x/"),
        (
            {"DOMAIN_FORMAT": "{slug}.t.example", "SCHEME": "https"},
            True,
            "https://one.t.example/x/",
        ),
    ],
)
def test_a_site_has_its_address_in_each_environment(site, conf, debug, expected):
    with override_settings(SITEFLEET=conf, DEBUG=debug):
        assert site_url(site.pk, "/x/") == expected
        assert site_url(Site.objects.get(pk=site.pk), "/x/") == expected
        with override_site(site):
            assert site_url(Site.objects.get_current(), "/x/") == expected


def test_the_front_page_is_the_default(site):
    assert site_url(site) == "https://one.example.org/"


def test_a_path_prefix_belongs_to_the_address_in_live_only(fleet):
    below = fleet[2]
    assert site_url(below, "/x/?a=b#c") == "https://one.example.org/de/x/?a=b#c"
    with override_settings(SITEFLEET={"DOMAIN_FORMAT": "{slug}.localhost"}):
        assert site_url(below.pk, "/x/") == "https://de.localhost/x/"


def test_in_requests_the_prefix_of_the_served_site_is_taken_off(fleet, client):
    response = client.get("/de/links/", headers={"host": "one.example.org"})
    assert response.json()["site_url"] == "https://one.example.org/de/site/"
    response = client.get("/links/", headers={"host": "one.example.org"})
    assert response.json()["site_url"] == "https://one.example.org/site/"


@pytest.mark.parametrize("served", ["/links/", "/de/links/"])
def test_another_site_is_linked_without_the_prefix_of_this_one(fleet, client, served, monkeypatch):
    one, two, below = fleet
    seen = []

    def look(request):
        path = reverse("site")
        seen.extend(site_url(site, path) for site in (one, two, below))
        return {}

    monkeypatch.setattr("tests.views.report", look)
    client.get(served.replace("links", "site"), headers={"host": "one.example.org"})
    assert seen == [
        "https://one.example.org/site/",
        "https://two.example.org/site/",
        "https://one.example.org/de/site/",
    ]


def test_where_the_server_mounts_the_project_all_sites_are_mounted(fleet):
    one, _, below = fleet
    set_script_prefix("/app/")
    try:
        path = reverse("site")
        assert site_url(one, path) == "https://one.example.org/app/site/"
        assert site_url(below, path) == "https://one.example.org/app/de/site/"
    finally:
        set_script_prefix("/")


@pytest.mark.parametrize("path", ["", "x/", "//evil.example/", "https://evil.example/"])
def test_a_path_begins_with_just_one_slash(site, path):
    with pytest.raises(ValueError, match="one slash"):
        site_url(site, path)


def test_a_site_without_a_domain_has_no_address_in_live(site):
    new = add_site("new")
    with pytest.raises(SiteError, match="sites rename new DOMAIN"):
        site_url(new)
    with pytest.raises(SiteError, match="sites rename new DOMAIN"):
        site_url(new.pk)
    with override_settings(SITEFLEET={"DOMAIN_FORMAT": "{slug}.localhost"}):
        assert site_url(new.pk) == "https://new.localhost/"


def test_a_name_is_not_a_site(site):
    with pytest.raises(TypeError, match=r"site_url\(\) takes a site or its id; get_site\('one'\)"):
        site_url("one", "/x/")


def test_no_site_no_address(db):
    with pytest.raises(Site.DoesNotExist):
        site_url(987654)


def test_the_address_of_the_current_site_costs_no_query(site, django_assert_num_queries, settings):
    settings.SITEFLEET = {"FRESHNESS": 3600}
    with override_site(site):
        current = Site.objects.get_current()
        with django_assert_num_queries(0):
            site_url(current, "/x/")


@pytest.mark.django_db(transaction=True)  # inside of one the resolver looks more often
def test_another_address_costs_a_query_once(site, other_site, django_assert_num_queries, settings):
    settings.SITEFLEET = {"FRESHNESS": 3600}
    for _ in range(2):  # the first reads the site, the second the generation it belongs to
        site_url(other_site.pk)
    with django_assert_num_queries(0):
        site_url(other_site.pk)
