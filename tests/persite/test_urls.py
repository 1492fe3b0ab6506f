"""Each site has the URLconf that it was given, wherever URLs are resolved or made."""

import asyncio
import random
import threading

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.conf import settings as django_settings
from django.core.handlers.asgi import ASGIHandler
from django.test import Client
from django.urls import NoReverseMatch, get_resolver, get_urlconf, resolve, reverse, set_urlconf
from django.urls.resolvers import _get_cached_resolver
from django.utils import translation

from sitefleet import carry_site, override_site
from sitefleet.models import SiteConfig
from sitefleet.registry import add_site, configure_site
from tests.asgi import ask
from tests.persite.urlconfs import pages
from tests.persite.urlconfs.sites import (
    ASYNC,
    BLOG,
    ELSEWHERE,
    HOSTS,
    MODULES,
    PLAIN,
    SHOP,
    WARM,
    WHERE,
    get,
    three_sites,  # noqa: F401 - the fixture `sites`
)


def remember(sites):
    """Let this process know the sites: threads must not ask a database in memory."""
    for entered in [*sites.values()] * 2:  # the first of all finds out that they have changed
        with override_site(entered):
            reverse("where")


# --- in requests --------------------------------------------------------------


@pytest.mark.parametrize("name", HOSTS)
def test_all_that_answers_where_a_view_is_agrees(sites, name):
    seen = get(name, WHERE[name]).json()
    assert seen.pop("setting") == f"{MODULES}.{name}"
    assert set(seen.values()) == {WHERE[name]}


@pytest.mark.parametrize("name", HOSTS)
def test_under_asgi_too_in_sync_and_async_views(sites, name):
    for path in (WHERE[name], ASYNC[name]):
        seen = async_to_sync(ask)(HOSTS[name], path).json()
        assert seen.pop("setting") == f"{MODULES}.{name}"
        assert seen.pop("asked") == path
        assert set(seen.values()) == {WHERE[name]}


@pytest.mark.parametrize("name", HOSTS)
@pytest.mark.parametrize("other", HOSTS)
def test_a_page_of_one_site_is_not_found_on_another(sites, name, other):
    expected = 200 if name == other else 404
    assert get(name, WHERE[other]).status_code == expected
    assert async_to_sync(ask)(HOSTS[name], WHERE[other]).status == expected


def test_sites_take_turns_in_one_process(sites):
    for name in ["shop", "blog", "plain", "blog", "shop", "shop", "plain"] * 3:
        assert get(name, WHERE[name]).json()["reverse"] == WHERE[name]


def test_a_site_that_gets_another_urlconf_is_served_with_it_at_once(sites):
    assert get("shop", WHERE["shop"]).status_code == 200
    SiteConfig.objects.filter(site=sites["shop"]).update(urlconf=BLOG)
    assert get("shop", WHERE["shop"]).status_code == 404
    assert get("shop", WHERE["blog"]).status_code == 200
    SiteConfig.objects.filter(site=sites["shop"]).update(urlconf="")
    assert get("shop", WHERE["plain"]).status_code == 200


@pytest.mark.parametrize("name", ["shop", "blog"])
def test_a_stream_is_produced_with_the_urlconf_of_its_site(sites, name):
    lines = [f"{sites[name].pk} {sites[name].pk} /{name}/site/"] * 3
    assert b"".join(get(name, f"/{name}/stream/")).decode().splitlines() == lines
    answer = async_to_sync(ask)(HOSTS[name], f"/{name}/async-stream/")
    assert answer.body.decode().splitlines() == lines


@pytest.mark.parametrize("name", HOSTS)
@pytest.mark.parametrize("other", HOSTS)
def test_another_site_can_be_entered_in_the_middle(sites, name, other):
    pages.elsewhere_site[:] = [sites[other]]
    seen = get(name, ELSEWHERE[name]).json()
    assert seen == async_to_sync(ask)(HOSTS[name], ELSEWHERE[name]).json()
    assert seen["before"] == WHERE[name]
    assert seen["inside"] == [WHERE[other]] * 3
    assert seen["after"] == [WHERE[name]] * 3
    assert seen["absolute"] == f"https://{HOSTS[other]}{WHERE[other]}"
    assert seen["own"] == f"https://{HOSTS[name]}{WHERE[name]}"


def test_another_site_can_be_activated_in_the_middle(sites):
    pages.elsewhere_site[:] = [sites["blog"]]
    seen = [WHERE["shop"], WHERE["blog"], WHERE["shop"]]
    assert get("shop", "/shop/activated/").json() == seen
    assert async_to_sync(ask)(HOSTS["shop"], "/shop/activated/").json() == seen


def test_language_redirects_are_those_of_the_site(sites):
    assert get("blog", "/blog/where/")["Location"] == "/en/blog/where/"
    assert get("shop", "/en/shop/where/").status_code == 404
    assert get("plain", "/en/where/").status_code == 404
    assert get("plain", "/de/where/").json()["reverse"] == "/de/where/"


def test_a_slash_is_added_where_the_site_has_the_page(sites):
    assert get("shop", "/shop/where")["Location"] == "/shop/where/"
    assert get("blog", "/shop/where").status_code == 404


def test_below_a_path_prefix_both_are_right(sites):
    below = add_site("de", domain="one.example.org", path_prefix="/de")
    configure_site(below, urlconf=BLOG)
    pages.elsewhere_site[:] = [below]
    assert get("shop", "/de/blog/site/").json()["path_info"] == "/blog/site/"
    assert get("shop", "/de/shop/site/").status_code == 404
    assert get("shop", "/shop/elsewhere/").json()["absolute"] == (
        "https://one.example.org/de/en/blog/where/"
    )
    pages.elsewhere_site[:] = [sites["shop"]]
    seen = get("shop", "/de/blog/elsewhere/").json()
    assert {seen["before"], *seen["after"]} == {"/de/en/blog/where/"}
    assert seen["absolute"] == "https://one.example.org/shop/where/"
    assert seen["own"] == "https://one.example.org/de/en/blog/where/"


@pytest.mark.parametrize("name", HOSTS)
def test_ahead_of_the_middleware_the_urlconf_is_that_of_the_project(sites, settings, name):
    settings.MIDDLEWARE = [f"{__name__}.look_ahead", *django_settings.MIDDLEWARE]
    seen = {"Before": WHERE["plain"], "After": WHERE["plain"], "Inside": WHERE["blog"]}
    pages.elsewhere_site[:] = [sites["blog"]]
    for response in (get(name, WHERE[name]), async_to_sync(ask)(HOSTS[name], WHERE[name])):
        assert {header: response[header] for header in seen} == seen


def look_ahead(get_response):
    def middleware(request):
        before = reverse("where")
        with override_site(pages.elsewhere_site[0]):
            inside = reverse("where")
        response = get_response(request)
        seen = {"Before": before, "Inside": inside, "After": reverse("where")}
        for header, where in seen.items():
            response[header] = where
        return response

    return middleware


def test_a_middleware_that_names_a_urlconf_wins_as_in_django(sites, settings):
    settings.MIDDLEWARE = [*django_settings.MIDDLEWARE, f"{__name__}.name_the_blog"]
    seen = get("shop", WHERE["blog"]).json()
    assert seen["setting"] == SHOP
    assert seen["reverse"] == WHERE["blog"]
    pages.elsewhere_site[:] = [sites["plain"]]
    assert get("shop", "/blog/elsewhere/").json()["absolute"] == "https://three.example.org/where/"


def name_the_blog(get_response):
    def middleware(request):
        request.urlconf = BLOG
        return get_response(request)

    return middleware


# --- errors -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "path", "status", "said"),
    [
        ("shop", "/nothing/", 404, "404 in shop"),
        ("blog", "/nothing/", 404, "404 in blog"),
        ("plain", "/nothing/", 404, "Not Found"),
        ("shop", "/shop/fail/500/", 500, "500 in shop"),
        ("shop", "/shop/fail/403/", 403, "403 in shop"),
        ("shop", "/shop/fail/400/", 400, "400 in shop"),
    ],
)
def test_pages_for_errors_are_those_of_the_site(sites, name, path, status, said):
    response = get(name, path, raise_request_exception=False)
    assert (response.status_code, said in response.content.decode()) == (status, True)
    answer = async_to_sync(ask)(HOSTS[name], path)
    assert (answer.status, said in answer.body.decode()) == (status, True)
    assert reverse("where") == WHERE["plain"]


@pytest.mark.parametrize("name", ["shop", "blog"])
def test_an_error_in_middleware_has_the_page_of_the_site(sites, settings, name):
    settings.MIDDLEWARE = [*django_settings.MIDDLEWARE, f"{__name__}.fail_on_the_way"]
    response = get(name, WHERE[name], raise_request_exception=False)
    assert response.content.decode() == f"500 in {name}"


def fail_on_the_way(get_response):
    def middleware(request):
        message = "on purpose"
        raise RuntimeError(message)

    return middleware


def test_in_debug_the_page_for_404_lists_the_patterns_of_the_site(sites, settings):
    settings.DEBUG = True
    page = get("shop", "/nothing/").content.decode()
    assert SHOP in page
    assert "shop/where/" in page
    assert "blog/" not in page


def test_a_urlconf_that_does_not_import_harms_its_own_site_only(sites, settings):
    settings.SITEFLEET = {"FRESHNESS": 0.0, "URLCONFS": [SHOP, f"{MODULES}.broken"]}
    configure_site(sites["blog"], urlconf=f"{MODULES}.broken")
    response = get("blog", "/blog/site/", raise_request_exception=False)
    assert (response.status_code, response.content.decode()) == (500, "500 in plain")
    assert get("shop", WHERE["shop"]).status_code == 200


# --- after requests, beside them, and outside -----------------------------------


@pytest.mark.parametrize("path", ["/shop/where/", "/nothing/", "/shop/fail/500/"])
def test_after_the_response_nothing_is_left_over(sites, path):
    get("shop", path, raise_request_exception=False)
    assert (get_urlconf(), reverse("where")) == (None, WHERE["plain"])

    async def look():
        await ask(HOSTS["shop"], path)
        return get_urlconf(), reverse("where")

    assert async_to_sync(look)() == (None, WHERE["plain"])


def test_a_response_that_is_never_closed_leaves_nothing_over(sites, rf, client):
    client.handler.load_middleware()
    client.handler.get_response(rf.get(WHERE["shop"], headers={"host": HOSTS["shop"]}))
    assert reverse("where") == WHERE["plain"]
    with override_site(sites["blog"]):
        assert reverse("where") == WHERE["blog"]


@WARM
def test_a_plain_thread_has_that_of_the_project_and_a_carried_one_that_of_the_site(sites):
    remember(sites)
    seen = get("shop", "/shop/threads/").json()
    assert seen == {"pinned": SHOP, "plain": PLAIN, "carried": SHOP}


def test_blocks_commands_and_tasks_have_that_of_their_site(sites):
    for name, entered in sites.items():
        with override_site(entered):
            assert reverse("where") == WHERE[name]
            assert resolve(WHERE[name]).url_name == "where"
    assert reverse("where") == WHERE["plain"]


@WARM
def test_threads_of_several_sites_mix_none_up(sites):
    found = {}

    def look(name):
        found[name] = {reverse("where") for _ in range(200)}

    threads = []
    remember(sites)
    for name, entered in sites.items():
        with override_site(entered):
            threads.append(threading.Thread(target=carry_site(look), args=[name]))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {name: {where} for name, where in WHERE.items()}


@WARM
def test_requests_of_two_sites_that_are_interleaved_mix_none_up(sites, settings):
    settings.MIDDLEWARE = [
        name for name in settings.MIDDLEWARE if "Site" in name or "Locale" in name
    ]
    handler = ASGIHandler()

    async def one(name):
        await asyncio.sleep(random.random() / 500)  # noqa: S311 - a wait, no secret
        path = random.choice((ASYNC[name], WHERE[name]))  # noqa: S311
        answer = (await ask(HOSTS[name], path, handler=handler)).json()
        return answer["setting"] == f"{MODULES}.{name}" and answer["lazy"] == WHERE[name]

    async def all_of_them():
        for name in HOSTS:
            await one(name)
        return await asyncio.gather(*(one(name) for name in ["shop", "blog"] * 100))

    assert all(async_to_sync(all_of_them)())


@WARM
def test_a_presented_site_can_be_entered_in_an_event_loop(sites):
    async def look():
        with override_site(sites["blog"]):
            return reverse("where"), await sync_to_async(reverse)("where")

    sites["blog"] = SiteConfig.objects.get(site=sites["blog"]).presented_site()
    assert async_to_sync(look)() == (WHERE["blog"],) * 2


def test_there_are_never_more_resolvers_than_urlconfs(sites):
    _get_cached_resolver.cache_clear()
    for number in range(30):
        new = add_site(f"s{number}", domain=f"s{number}.example.org")
        configure_site(new, urlconf=(SHOP, BLOG, "")[number % 3])
        Client().get("/", headers={"host": f"s{number}.example.org"})
        SiteConfig.objects.filter(site=new).update(urlconf=f"no.such.module{number}")
        Client().get("/", headers={"host": f"s{number}.example.org"})
    assert _get_cached_resolver.cache_info().currsize == 3


def test_a_urlconf_that_somebody_pins_stays_pinned(sites):
    set_urlconf(BLOG)
    try:
        with override_site(sites["shop"]):
            assert reverse("where") == WHERE["blog"]
            assert get_resolver().reverse("where") == "shop/where/"
    finally:
        set_urlconf(None)


def test_a_view_that_the_urlconf_does_not_have_is_not_found_elsewhere(sites):
    with override_site(sites["blog"]), pytest.raises(NoReverseMatch):
        reverse("item", args=[1])
    with override_site(sites["shop"]), translation.override("de"):
        assert reverse("item", args=[1]) == "/shop/item/1/"
