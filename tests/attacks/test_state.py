"""Rows 11, 16, 22, 23 and 25: what a process, a thread, a task and a connection keep of a site.

Without row-level security nothing is set on a connection, and what is kept beside it is what its
transaction has seen of its own, no more. What that sets, with poolers, savepoints and server-side
cursors, is in its own tests; rows of sites are in `test_rows`.
"""

import asyncio
import gc
import json
import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from asgiref.sync import async_to_sync
from django.contrib.sites.models import Site
from django.core import checks
from django.core.cache import cache
from django.core.handlers.asgi import ASGIHandler
from django.db import connection
from django.urls.resolvers import _get_cached_resolver
from django.utils import timezone
from django.utils.translation import gettext

from sitefleet.lookup import get_site
from sitefleet.models import SiteConfig
from sitefleet.registry import add_alias
from tests.asgi import ask
from tests.attacks import project, views
from tests.attacks.doors import WSGI
from tests.attacks.project import ONE, TWO, expected, expected_of, told
from tests.attacks.telling import nothing_is_left


def test_all_parts_are_switched_on_and_no_check_complains(sites):
    found = checks.run_checks(include_deployment_checks=True, databases=["default"])
    found = [message for message in found if message.id.startswith("sitefleet")]
    # The log of the admin, whose pages this project does not have; and models that are of no site.
    meant = {"sitefleet.W469", "sitefleet.W470", "sitefleet.W471"}
    assert [message for message in found if message.id not in meant] == []


# --- row 11: what Django keeps ----------------------------------------------------------------


@pytest.mark.parametrize("order", [("one", "two", "below"), ("two", "below", "one")])
def test_row_11_each_part_follows_whichever_site_comes_first(visit, sites, order):
    _get_cached_resolver.cache_clear()
    timezone.get_default_timezone.cache_clear()
    for name in (*order, *order[:2], order[0]):
        visitor = visit(getattr(sites, name))
        assert told(visitor.get("/look/")) == expected(sites, name)
        assert told(visitor.get("/async-look/")) == expected(sites, name)
        assert nothing_is_left()
        assert timezone.get_default_timezone_name() == "America/Chicago"
        assert gettext("Monday") == "Monday"


def test_row_11_a_change_is_seen_by_each_part_at_once(visit, sites):
    visitors = {name: visit(site) for name, site in sites._asdict().items()}
    for name, visitor in visitors.items():
        assert told(visitor.get("/look/")) == expected(sites, name)
    rows = SiteConfig.objects.in_bulk([sites.one.pk, sites.two.pk])
    for mine, other in ((sites.one.pk, sites.two.pk), (sites.two.pk, sites.one.pk)):
        row = rows[other]
        SiteConfig.objects.filter(pk=mine).update(
            theme=row.theme, urlconf=row.urlconf, settings=row.settings
        )
    changed = {"tickets", "from", "language", "text", "zone", "theme", "static", "urlconf", "where"}
    for name, like in (("one", "two"), ("two", "one")):
        taken = {key: expected(sites, like)[key] for key in changed}
        seen = told(visitors[name].get("/look/"))
        assert seen == {**expected(sites, name), **taken}
    assert told(visitors["below"].get("/look/")) == expected(sites, "below")


def test_row_11_a_name_takes_the_trust_of_its_pages_along(visit, sites):
    alias = add_alias(sites.one, "served.example", redirect=False)
    origin = {"origin": "https://served.example"}
    for owner in (sites.one, sites.two, sites.one):
        alias.site = owner
        alias.save()
        for site in (sites.one, sites.two):
            status = visit(site).post("/who/", {"note": "a"}, headers=origin).status
            assert status == (200 if site is owner else 403)


# --- row 22: what is left of the last request -------------------------------------------------


def break_on_the_way(get_response):
    def middleware(request):
        message = "on purpose"
        raise RuntimeError(message)

    return middleware


def break_on_the_way_back(get_response):
    def middleware(request):
        get_response(request)
        message = "on purpose"
        raise RuntimeError(message)

    return middleware


ENDS = {
    "a page": ("look", 200),
    "an async page": ("async-look", 200),
    "no page": ("nothing", 404),
    "an exception": ("fail", 500),
    "a view that cleans up nothing": ("careless", 200),
    "an exception on another site": ("fail-elsewhere", 500),
    "a stream": ("{}stream", 200),
}


@pytest.mark.parametrize("end", ENDS)
def test_row_22_nothing_is_left_after(visit, sites, door, end):
    path, status = ENDS[end]
    views.careless_site[:] = [get_site("two")]
    for site, theme in ((sites.one, "red over shared"), (sites.below, "shared")):
        answer = visit(site).get(f"/{path.format(door.streams)}/")
        assert answer.status == status
        assert status < 400 or answer.text == f"{status} in {theme}"
        assert nothing_is_left()
    look_around(visit, sites)


def look_around(visit, sites):
    """Look whether the next requests are what they would be without the one before."""
    stranger = visit(sites.one)
    stranger.host = "nobody.example"
    page = stranger.get("/look/")
    assert page.status == 404
    assert not any(word in page.text for word in ("red", "blue", "lundi", "Montag"))
    for name in ("two", "below"):
        assert told(visit(getattr(sites, name)).get("/look/")) == expected(sites, name)


@pytest.mark.parametrize("name", ["break_on_the_way", "break_on_the_way_back"])
def test_row_22_nothing_is_left_after_a_middleware_that_fails(visit, sites, settings, name):
    settings.MIDDLEWARE = [*project.MIDDLEWARE, f"{__name__}.{name}"]
    assert visit(sites.one).get("/look/").status == 500
    assert nothing_is_left()


@pytest.mark.parametrize("closes", [True, False])
def test_row_22_nothing_is_left_of_a_stream_that_a_visitor_leaves(visit, sites, door, closes):
    views.closed.clear()
    visitor = visit(sites.one)
    door.leaves_early, door.closes = True, closes
    assert json.loads(visitor.get(f"/{door.streams}stream/").text)["site"] == sites.one.pk
    assert nothing_is_left()
    door.leaves_early = False
    look_around(visit, sites)
    gc.collect()
    assert nothing_is_left()
    assert views.closed == [sites.one.pk], "the clean-up was that of the site"


def test_row_22_nothing_is_left_of_a_stream_that_fails(visit, sites, door):
    views.careless_site[:] = [get_site("two")]
    with pytest.raises(RuntimeError):
        visit(sites.below).get(f"/{door.streams}broken-stream/")
    assert nothing_is_left()
    look_around(visit, sites)


def test_row_22_nothing_is_left_of_a_request_that_is_cancelled(sites):
    views.closed.clear()

    async def leave():
        await ask(ONE, "/wait/", until=lambda _: views.closed == ["waiting"])
        return (await ask(TWO, "/async-look/")).json()["site"]

    assert async_to_sync(leave)() == sites.two.pk
    assert views.closed == ["waiting", sites.one.pk]
    assert nothing_is_left()


# --- row 23: many at once ---------------------------------------------------------------------


@pytest.fixture
def many(switched_on, settings, transactional_db):
    """Twenty sites of three kinds, known to this process: threads must not wait for a database."""
    settings.SITEFLEET = {**settings.SITEFLEET, "FRESHNESS": 3600.0}
    settings.SESSION_ENGINE = "sitefleet.persite.sessions.signed_cookies"
    rows = [Site(domain=f"s{number}.example.org", name="Many") for number in range(20)]
    Site.objects.bulk_create(rows)
    kinds = [("one", "two", "below")[number % 3] for number in range(20)]
    SiteConfig.objects.bulk_create(
        SiteConfig(site=row, slug=row.domain.partition(".")[0], **project.options(kind))
        for row, kind in zip(rows, kinds, strict=True)
    )
    yield {row.domain: expected_of(row, kind) for row, kind in zip(rows, kinds, strict=True)}
    cache.clear_all()


def test_row_23_requests_of_twenty_sites_in_one_loop_mix_nothing_up(many):
    handler, hosts = ASGIHandler(), list(many)
    chosen = [random.choice(hosts) for _ in range(100)]  # noqa: S311 - any will do

    async def visit(host):
        answer = await ask(host, "/wander/", handler=handler)
        return host, answer.json()["seen"]

    async def storm():
        for host in hosts:
            await visit(host)
        return await asyncio.gather(*map(visit, chosen))

    for host, seen in async_to_sync(storm)():
        assert seen == [many[host]] * len(seen)


def test_row_23_requests_of_twenty_sites_in_threads_mix_nothing_up(many):
    door, hosts = WSGI(), list(many)

    def visit(host):
        answers = [door(host, path, headers={}, wire={}) for path in ("/look/", "/stream/")]
        return host, [told(answers[0]), *map(json.loads, answers[1].body.splitlines())]

    for host in hosts:
        visit(host)
    with ThreadPoolExecutor(8) as threads:
        for host, seen in threads.map(visit, hosts * 5):
            assert seen == [many[host]] * 4


def test_row_16_threads_of_a_page_have_its_urls_only_if_they_are_told(many, door):
    for host in list(many)[:3]:
        assert told(door(host, "/look/", headers={}, wire={})) == many[host]
        seen = door(host, "/in-threads/", headers={}, wire={}).json()
        assert seen["plain"] == ["tests.attacks.urls", "/where/"]
        assert seen["carried"] == [many[host]["urlconf"], many[host]["where"]]


# --- row 25: connections ----------------------------------------------------------------------


def state_of_connection():
    """Return what Django, and the server, keep of a connection."""
    of_transaction = {"savepoint_state", "queries_log", "run_on_commit"}
    kept = {
        name: repr(value) for name, value in vars(connection).items() if name not in of_transaction
    }
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT name, setting FROM pg_settings WHERE source = 'session'")
            kept["session"] = sorted(cursor.fetchall())
    return kept


def test_row_25_a_connection_is_the_same_after_requests_of_any_site(visit, sites):
    visit(sites.one).get("/look/")
    before = state_of_connection()
    waiting = len(connection.run_on_commit)
    for site in (*sites, sites.one):
        visitor = visit(site)
        for path in ("/look/", "/fail/", "/articles/", "/nothing/"):
            visitor.get(path)
        visitor.host = "nobody.example"
        visitor.get("/look/")
    assert state_of_connection() == before
    assert len(connection.run_on_commit) == waiting


@pytest.mark.parametrize("end", ["fail", "rollback", "savepoint"])
def test_row_25_what_a_request_takes_back_is_not_seen_by_the_next_one(visit, sites, end):
    mine, theirs = visit(sites.one), visit(sites.two)
    kept = mine.get("/fragment/").text
    answer = mine.get(f"/change/{end}/")
    if end != "fail":
        seen = answer.json()
        assert (seen["theme"], seen["fragment"] == kept) == ("blue over shared", False)
    assert told(mine.get("/look/")) == expected(sites, "one")
    assert mine.get("/fragment/").text == kept
    assert told(theirs.get("/look/")) == expected(sites, "two")
    mine.host = "new.example"
    assert mine.get("/look/").status == 404
    assert nothing_is_left()
