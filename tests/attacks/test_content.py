"""Rows 19 and 34: what a site shows, and that a site which is not active shows nothing."""

import asyncio

import pytest
from asgiref.sync import sync_to_async
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.http import HttpResponse

from sitefleet import override_site
from sitefleet.canary import Canary, crawling
from sitefleet.models import SiteConfig
from sitefleet.persite.websockets import SiteWebSocketMiddleware, watching
from sitefleet.registry import add_alias, set_state
from tests.attacks.doors import WSGI
from tests.attacks.project import ONE, TWO, expected, told
from tests.attacks.urls import NAMED, path_of
from tests.news.models import Article
from tests.persite.websockets.wire import Socket, echo, opened, run

STATUS = {"maintenance": 503, "archived": 410, "suspended": 404}


@pytest.fixture(autouse=True)
def media(settings, tmp_path, switched_on):
    settings.MEDIA_ROOT = str(tmp_path)


# --- row 19: nothing of another site ----------------------------------------------------------


class Client:
    """A visitor, as the canary knows clients."""

    def __init__(self, visitor):
        self.visitor, self.address = visitor, visitor

    def get(self, path):
        answer = self.visitor.get(path)
        response = HttpResponse(answer.body, status=answer.status)
        for name, value in answer.headers:
            response[name.decode()] = value.decode("latin-1")
        return response


@pytest.fixture
def canary(sites, visit, door, anna, monkeypatch):
    """A canary at the door of these tests, for a visitor who is logged in."""
    by_pk = {site.pk: site for site in sites}

    def client_for(site, **options):
        visitor = visit(by_pk[site.pk])
        visitor.log_in()
        return Client(visitor)

    monkeypatch.setattr(crawling, "client_for", client_for)
    chosen = sites if isinstance(door, WSGI) else sites[:2]
    return Canary(chosen, paths=["/search/?q=canary", "/nothing/", "/de/lang/"])


def test_row_19_no_page_mail_file_log_or_cache_shows_anything_of_another_site(canary):
    report = canary.assert_nothing_crosses()
    for slug in report.pages:
        pages = [page for page in report.pages[slug] if page.startswith("200 ")]
        assert len(pages) > len(NAMED)
        known = {"news.Article", "flatpages.FlatPage", "sites.Site"}
        known |= {"rooms.Building", "rooms.Big"}  # which is a proxy of Room
        assert report.seen[slug] >= known


# --- row 34: a site that is not active --------------------------------------------------------

WAYS = [*map(path_of, NAMED), "stream/", "async-stream/", "feed/", "sitemap.xml", "de/lang/"]


@pytest.mark.parametrize("state", STATUS)
def test_row_34_a_site_that_is_not_active_answers_nothing(visit, sites, anna, state):
    add_alias(sites.one, "served.example", redirect=False)
    add_alias(sites.one, "old.example")
    Article.objects.create(site=sites.one, title="secret")
    with override_site(sites.one):
        default_storage.save("secret.txt", ContentFile(b"secret"))
    visitor = visit(sites.one)
    visitor.log_in()
    kept = visitor.get("/page/").text
    link = visitor.get("/signed/").json()["link"]
    SiteConfig.objects.filter(pk=sites.one.pk).update(state=state)
    file = f"media/sites/{sites.one.pk}/secret.txt"
    ways = (file, "invoice/secret.txt", f"opened/{link}/", "red/where/", "page/", "nothing/", "")
    for way in (*ways, *(WAYS if state == "suspended" else ())):
        shut(visitor.get(f"/{way}"), state, kept)
    for method in ("POST", "HEAD", "OPTIONS"):
        shut(visitor.ask("/who/", method=method, body=b"note=x"), state, kept)
    for host in ("served.example", "old.example", f"www.{ONE}", f"{ONE}.:666"):
        visitor.host = host
        shut(visitor.get("/page/"), state, kept)
    for name in ("two", "below"):
        assert told(visit(getattr(sites, name)).get("/look/")) == expected(sites, name)


def shut(answer, state, kept):
    assert answer.status == STATUS[state]
    assert answer["location"] == answer["set-cookie"] == ""
    assert "no-store" in answer["cache-control"]
    assert not any(word in answer.text for word in ("secret", "anna", kept))


@pytest.mark.parametrize("state", STATUS)
def test_row_34_what_is_shut_below_a_prefix_is_not_answered_by_the_site_above(visit, sites, state):
    set_state(sites.below, state)
    visitor = visit(sites.below)
    for way in ("look/", "", "nothing/", "media/sites/1/x.txt"):
        answer = visitor.get(f"/{way}")
        assert (answer.status, "red" in answer.text) == (STATUS[state], False)
    assert told(visit(sites.one).get("/look/")) == expected(sites, "one")


def test_row_34_an_archive_that_may_be_read_takes_nothing_in(visit, sites, anna, settings):
    settings.SITEFLEET = {**settings.SITEFLEET, "ARCHIVED_READ_ONLY": True}
    visitor = visit(sites.one)
    visitor.log_in()
    set_state(sites.one, "archived")
    assert told(visitor.get("/look/")) == expected(sites, "one")
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        answer = visitor.ask("/who/", method=method, body=b"note=x")
        assert (answer.status, answer["allow"]) == (405, "GET, HEAD")


def test_row_34_in_maintenance_only_the_login_page_of_the_site_itself_is_open(visit, sites):
    row = SiteConfig.objects.get(pk=sites.one.pk)
    row.settings["LOGIN_URL"] = "/names/"
    row.save()
    for site in sites:
        set_state(site, "maintenance")
    for site, login, other in (
        (sites.one, "/names/", "/login/"),
        (sites.two, "/login/", "/names/"),
        (sites.below, "/login/", "/names/"),
    ):
        assert visit(site).get(login).status == 200
        assert visit(site).get(other).status == 503


def test_row_34_a_site_whose_urlconf_is_broken_is_shut_like_any_other(visit, sites, settings):
    broken = "tests.persite.urlconfs.broken"
    settings.SITEFLEET = {**settings.SITEFLEET, "URLCONFS": [broken]}
    for urlconf in (broken, "not.listed"):
        for state, status in STATUS.items():
            SiteConfig.objects.filter(pk=sites.one.pk).update(state=state, urlconf=urlconf)
            assert visit(sites.one).get("/look/").status == status


@pytest.mark.acceptance  # it waits for seconds
@pytest.mark.parametrize("state", STATUS)
def test_row_34_its_sockets_are_closed_and_no_others(sites, state, monkeypatch):
    monkeypatch.setattr(watching, "SHORTEST", 0.01)
    app = SiteWebSocketMiddleware(echo)

    async def scenario():
        async with opened(app, TWO) as two, opened(app, ONE, "/below/ws/") as below:
            socket = Socket(app, ONE)
            await socket.open()
            await sync_to_async(set_state)(sites.one, state)
            assert (await socket.get())["code"] == 4000 + STATUS[state]
            await asyncio.wait_for(socket.task, 2)
            again = Socket(app, ONE)
            assert (await again.open())["status"] == STATUS[state]
            await again.get()
            await again.task
            assert await two.say("?") == str(sites.two.pk)
            assert await below.say("?") == str(sites.below.pk)

    run(scenario)
