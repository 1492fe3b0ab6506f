"""Fragments, cached pages and cached sessions.

Here in the memory of the process; `test_redis` and `test_cached_pages` of the acceptance tests run
them on the other backends.
"""

import json
from itertools import count

import pytest
from asgiref.sync import async_to_sync
from django.contrib.sessions.backends.cached_db import SessionStore
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db import transaction
from django.http import HttpResponse, JsonResponse
from django.template import engines
from django.test import Client
from django.urls import path
from django.views.decorators.cache import cache_page
from django.views.decorators.vary import vary_on_headers

from sitefleet import get_current_site_id, override_site
from sitefleet.persite.cache import clear_site_cache
from tests.asgi import ask
from tests.persite.test_cache import all_caches  # noqa: F401 - a fixture

CACHE_MIDDLEWARE = (
    "django.middleware.cache.UpdateCacheMiddleware",
    "django.middleware.cache.FetchFromCacheMiddleware",
)
MENU = "{% load cache %}{% cache 60 menu %}{{ text }}{% endcache %}"
numbers = count()


def page(request):
    """Tell the site, and another number each time this runs."""
    return HttpResponse(f"{get_current_site_id()} {next(numbers)}")


async def async_page(request):
    return page(request)


def menu(request):
    template = engines["django"].from_string(MENU)
    return HttpResponse(template.render({"text": page(request).content.decode()}))


def cleared(request):
    """Clear and go on, as a view does that has changed something."""
    with transaction.atomic():
        before = menu(request).content
        cache.clear()
        after = menu(request).content
    return JsonResponse({"seen": [before.decode(), after.decode(), menu(request).content.decode()]})


def visits(request):
    request.session["visits"] = request.session.get("visits", 0) + 1
    return HttpResponse(f"{request.session['visits']}")


class Urls:
    """The URLconf of these tests."""

    urlpatterns = [
        path("async/", async_page),
        path("cached/", cache_page(60)(page)),
        path("varied/", cache_page(60)(vary_on_headers("X-Kind")(page))),
        path("menu/", menu),
        path("cleared/", cleared),
        path("visits/", visits),
    ]


@pytest.fixture
def one_cache(tmp_path):
    """The settings of a cache."""
    return {"BACKEND": "sitefleet.persite.cache.LocMemCache", "LOCATION": str(tmp_path)}


@pytest.fixture(autouse=True)
def urls(settings):
    settings.ROOT_URLCONF = Urls


@pytest.fixture(params=["wsgi", "asgi"])
def get(request):
    """Ask a host for a path; return the body."""

    def get_wsgi(host, path, **headers):
        return Client(headers={"host": host, **headers}).get(path).content.decode()

    def get_asgi(host, path, **headers):
        sent = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        return async_to_sync(ask)(host, path, headers=sent).body.decode()

    return get_wsgi if request.param == "wsgi" else get_asgi


@pytest.fixture
def cached(get, settings):
    """The path of a cached page: by the decorator under WSGI, by middleware under ASGI."""
    if get.__name__ == "get_wsgi":
        return "/cached/"
    first, *rest = settings.MIDDLEWARE
    settings.MIDDLEWARE = [first, CACHE_MIDDLEWARE[0], *rest, CACHE_MIDDLEWARE[1]]
    return "/async/"


def test_attack_13_a_fragment_of_one_site_does_not_show_on_another(fleet, get):
    places = {"one.example.org/": 0, "two.example.org/": 1, "one.example.org/de/": 2}
    seen = {}
    for place, number in places.items():
        host, _, prefix = place.partition("/")
        seen[place] = get(host, f"/{prefix}menu/")
        assert seen[place].split()[0] == str(fleet[number].pk)
        assert get(host, f"/{prefix}menu/") == seen[place]
    clear_site_cache(fleet[0])
    assert get("one.example.org", "/menu/") != seen["one.example.org/"]
    assert get("two.example.org", "/menu/") == seen["two.example.org/"]
    assert get("one.example.org", "/de/menu/") == seen["one.example.org/de/"]


def test_attack_14_a_page_is_cached_for_its_site_and_purged_with_it(fleet, get, cached):
    fleet[0].fleet_aliases.create(name="alias.example", redirect=False)
    hosts = {"one.example.org": 0, "alias.example": 0, "ONE.example.org": 0, "two.example.org": 1}
    places = {(host, cached): fleet[number].pk for host, number in hosts.items()}
    places["one.example.org", f"/de{cached}"] = fleet[2].pk
    seen = {place: get(*place) for place in places}
    for place, pk in places.items():
        assert seen[place].split()[0] == str(pk)
        assert get(*place) == seen[place]
    clear_site_cache(fleet[0])
    for place, pk in places.items():
        assert (get(*place) == seen[place]) == (pk != fleet[0].pk)


def test_attack_14_a_host_that_moves_to_another_site_takes_no_page_along(fleet, get, cached):
    alias = fleet[0].fleet_aliases.create(name="moved.example", redirect=False)
    assert get("moved.example", cached).split()[0] == str(fleet[0].pk)
    alias.site = fleet[1]
    alias.save()
    assert get("moved.example", cached).split()[0] == str(fleet[1].pk)


def test_attack_14_a_site_that_is_found_without_the_host_is_in_the_key(
    fleet, get, cached, monkeypatch
):
    for site in fleet:
        monkeypatch.setenv("SITEFLEET_SITE", str(site.pk))
        assert get("same.example", cached).split()[0] == str(site.pk)


def test_attack_14_what_a_page_varies_on_stays_in_the_key(site, other_site, get):
    seen = {
        (host, kind): get(host, "/varied/", **{"X-Kind": kind})
        for host in ("one.example.org", "two.example.org")
        for kind in "ab"
    }
    assert len(set(seen.values())) == 4
    for (host, kind), text in seen.items():
        assert get(host, "/varied/", **{"X-Kind": kind}) == text


def test_a_request_that_clears_sees_it_in_its_transaction_and_after(site, get):
    old = get("one.example.org", "/menu/")
    before, inside, after = json.loads(get("one.example.org", "/cleared/"))["seen"]
    assert before == old
    assert old not in (inside, after)
    assert get("one.example.org", "/menu/") == after


def test_a_cached_session_of_one_site_is_unknown_on_another(site, other_site, settings):
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.cache"
    client = Client(headers={"host": "one.example.org"})
    assert [client.get("/visits/").content for _ in range(3)] == [b"1", b"2", b"3"]
    key = client.cookies["sessionid"].value
    thief = Client(headers={"host": "two.example.org"})
    thief.cookies["sessionid"] = key
    assert thief.get("/visits/").content == b"1"
    assert thief.cookies["sessionid"].value != key
    assert client.get("/visits/").content == b"4"


def test_what_cached_db_keeps_of_a_session_is_kept_for_its_site(site, other_site):
    with override_site(site):
        session = SessionStore()
        session["who"] = "one"
        session.save()
    Session.objects.all().delete()
    with override_site(site):
        assert SessionStore(session.session_key).get("who") == "one"
    with override_site(other_site):
        assert SessionStore(session.session_key).get("who") is None
