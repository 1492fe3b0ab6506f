"""What `url()` says: a path on the host of the site, with all that goes before it."""

import pytest
from django.core.files.storage import default_storage, storages
from django.test import RequestFactory
from django.urls import set_script_prefix

from sitefleet import override_site
from sitefleet.lookup import get_site
from sitefleet.middleware import SiteMiddleware
from sitefleet.persite.storage import SiteStorage
from sitefleet.prefixes import mount
from sitefleet.registry import add_site


def url_in_request(host, path="/", *, script="", entered=None, alias="default"):
    """Return what `url()` says in a request for this address, and below `override_site`."""
    seen = []

    def view(request):
        with override_site(entered) if entered else override_site(request.site):
            seen.append(storages[alias].url("a b.txt"))
        seen.append(storages[alias].url("a b.txt"))

    class Response:
        streaming, cookies = False, {}

    request = RequestFactory().get(path, headers={"host": host}, SCRIPT_NAME=script)
    set_script_prefix(f"{script}/")
    try:
        SiteMiddleware(lambda request: view(request) or Response())(request)
    finally:
        set_script_prefix("/")
    return seen


def test_url_is_a_path_on_the_sites_own_host(site):
    expected = f"/media/sites/{site.pk}/a%20b.txt"
    assert url_in_request("one.example.org") == [expected] * 2
    with override_site(site):
        assert default_storage.url("a b.txt") == expected


def test_url_has_the_prefix_of_a_site_below_one(fleet):
    one, _, below = fleet
    own = f"/de/media/sites/{below.pk}/a%20b.txt"
    assert url_in_request("one.example.org", "/de/x/") == [own] * 2
    assert url_in_request("one.example.org", "/x/") == [f"/media/sites/{one.pk}/a%20b.txt"] * 2
    with override_site(below):
        assert default_storage.url("a b.txt") == own, "outside of requests"
        assert default_storage.base_url == f"/de/media/sites/{below.pk}/"
        with mount("/de"):
            assert default_storage.url("a b.txt") == own, "in a command with --site"


def test_in_a_request_of_another_site_url_names_the_host(fleet):
    one, two, below = fleet
    files = {pk: f"media/sites/{pk}/a%20b.txt" for pk in (one.pk, two.pk, below.pk)}
    seen = url_in_request("two.example.org", entered=below)
    assert seen == [
        f"https://one.example.org/de/{files[below.pk]}",
        f"/{files[two.pk]}",
    ]
    seen = url_in_request("one.example.org", "/de/x/", entered=two)
    assert seen == [f"https://two.example.org/{files[two.pk]}", f"/de/{files[below.pk]}"]
    seen = url_in_request("one.example.org", "/de/x/", entered=one)
    assert seen[0] == f"https://one.example.org/{files[one.pk]}"


def test_the_files_of_another_site_have_its_address_in_a_request(fleet):
    _, two, below = fleet
    seen = []

    def view(request):
        seen.append(default_storage.for_site(below).url("a.txt"))
        return Response()

    class Response:
        streaming = False

    SiteMiddleware(view)(RequestFactory().get("/", headers={"host": "two.example.org"}))
    assert seen == [f"https://one.example.org/de/media/sites/{below.pk}/a.txt"]
    with override_site(two):
        assert default_storage.for_site(below.pk).url("a") == f"/de/media/sites/{below.pk}/a"


def test_where_the_site_is_served_without_its_prefix_url_has_none(fleet, monkeypatch):
    below = fleet[2]
    monkeypatch.setenv("SITEFLEET_SITE", "de")  # at the root of any host
    assert url_in_request("127.0.0.1") == [f"/media/sites/{below.pk}/a%20b.txt"] * 2


def test_outside_of_live_sites_have_hosts_and_no_prefixes(fleet, settings):
    below = fleet[2]
    settings.SITEFLEET = {"DOMAIN_FORMAT": "{slug}.localhost:8000", "FRESHNESS": 0.0}
    assert url_in_request("de.localhost:8000") == [f"/media/sites/{below.pk}/a%20b.txt"] * 2
    assert (
        url_in_request("one.localhost:8000", entered=below)[0]
        == f"https://de.localhost:8000/media/sites/{below.pk}/a%20b.txt"
    )


@pytest.mark.parametrize("media_url", ["media/", "/app/media/"])
@pytest.mark.usefixtures("mounted_by_server")
def test_the_mount_of_the_server_goes_first(fleet, settings, media_url):
    settings.MEDIA_URL = media_url
    one, two, below = fleet
    own = f"/app/de/media/sites/{below.pk}/a%20b.txt"
    assert url_in_request("one.example.org", "/de/x/", script="/app") == [own] * 2
    file = f"media/sites/{one.pk}/a%20b.txt"
    assert url_in_request("one.example.org", "/x/", script="/app") == [f"/app/{file}"] * 2
    seen = url_in_request("one.example.org", "/de/x/", script="/app", entered=two)
    assert seen[0] == f"https://two.example.org/app/media/sites/{two.pk}/a%20b.txt"
    if media_url == "media/":  # which Django has completed by now
        with override_site(below):
            assert default_storage.url("a b.txt") == own, "in a thread without a script prefix"


@pytest.mark.usefixtures("mounted_by_server")
def test_an_address_that_is_not_below_the_mount_gets_none(fleet, settings):
    below = fleet[2]
    settings.STORAGES["default"]["OPTIONS"] = {"OPTIONS": {"base_url": "/files/"}}
    seen = url_in_request("one.example.org", "/de/x/", script="/app")
    assert seen == [f"/de/files/sites/{below.pk}/a%20b.txt"] * 2


def test_an_address_elsewhere_is_left_as_it_is(fleet):
    below = fleet[2]
    expected = f"https://cdn.example/b/sites/{below.pk}/a%20b.txt?expires=3600"
    assert url_in_request("one.example.org", "/de/x/", alias="remote") == [expected] * 2
    seen = url_in_request("two.example.org", entered=below, alias="remote")
    assert seen[0] == expected
    with override_site(below):
        assert storages["remote"].url("a", expire=5).endswith("?expires=5")
        assert storages["remote"].url("a", 6).endswith("?expires=6")


@pytest.mark.parametrize("base", ["//cdn.example/m/", "https://cdn.example/m/"])
def test_a_base_url_elsewhere_gets_no_prefix(fleet, base):
    below = fleet[2]
    storage = SiteStorage(OPTIONS={"base_url": base})
    with override_site(below):
        assert storage.url("a") == f"{base}sites/{below.pk}/a"
        assert storage.base_url == f"{base}sites/{below.pk}/"


def test_a_site_without_a_host_has_paths_only(site):
    add_site("bare")
    bare = get_site("bare")
    seen = url_in_request("one.example.org", entered=bare)
    assert seen[0] == f"/media/sites/{bare.pk}/a%20b.txt"


def test_url_asks_no_database_in_a_request(site, settings, django_assert_num_queries):
    settings.SITEFLEET = {"FRESHNESS": 3600}
    url_in_request("one.example.org")
    with django_assert_num_queries(0):
        url_in_request("one.example.org")
