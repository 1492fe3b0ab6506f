"""The canary sees what crosses, wherever it shows; and it says when it could not look."""

import logging
import re

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.contrib.flatpages.models import FlatPage
from django.contrib.redirects.models import Redirect
from django.core.cache import cache
from django.http import HttpResponse
from django.urls import path

from sitefleet import override_site
from sitefleet.canary import Canary, Crossed
from sitefleet.canary.stores import CACHE_KEY
from tests.canary import pages
from tests.news.models import Article

LEFT = ("cache", "files")


@pytest.fixture(autouse=True)
def small_site(settings):
    settings.ROOT_URLCONF = "tests.canary.pages"
    cache.clear()
    pages.leaks.clear()
    yield
    pages.leaks.clear()


def test_a_site_that_keeps_to_itself_passes(site, other_site):
    report = Canary([site, other_site], leave=LEFT).assert_nothing_crosses()
    assert report.crossings == []
    assert report.seen == {"one": {"news.Article"}, "two": {"news.Article"}}
    assert set(report.planted["one"]) >= {"news.Article", "flatpages.FlatPage", "sites.Site"}
    assert "200 /" in report.pages["one"]


@pytest.mark.parametrize(
    ("leak", "where"),
    [
        ("front", "/"),
        ("detail", "/news/"),
        ("json", "/api/"),
        ("header", "/header/"),
        ("mail", "mail to to@example.org"),
        ("cache", "/fragment/"),
        ("stream", "/stream/"),
    ],
)
def test_a_leak_is_seen_and_named(site, other_site, leak, where):
    pages.leaks.add(leak)
    with pytest.raises(Crossed, match=f"shows news.Article of (one|two): {re.escape(where)}"):
        Canary([site, other_site], leave=LEFT).assert_nothing_crosses()


def test_a_leak_in_a_log_is_seen(site, other_site, monkeypatch):
    def front(request):
        for title in Article.objects.values_list("title", flat=True):
            logging.getLogger("news").warning("read %s", title)
        return pages.front(request)

    monkeypatch.setattr(pages.urlpatterns[0], "callback", front)
    with pytest.raises(Crossed, match=r"shows news\.Article of one: log of news"):
        Canary([site, other_site], leave=LEFT).assert_nothing_crosses()


def test_a_shared_cache_and_shared_files_are_seen(site, other_site, settings):
    in_memory = "django.core.files.storage.InMemoryStorage"
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": in_memory}}
    with pytest.raises(Crossed) as caught:
        Canary([site, other_site]).assert_nothing_crosses()
    assert "one shows cache default of two: cache default" in str(caught.value)
    assert "two shows file of one: default_storage" in str(caught.value)


def test_what_only_members_see_is_looked_at_when_they_sign_in(site, other_site):
    pages.leaks.add("members")
    sites = [site, other_site]
    Canary(sites, leave=LEFT).assert_nothing_crosses()
    user = User.objects.create_user("joe")

    def sign_in(client, site):
        client.force_login(user)

    with pytest.raises(Crossed, match="/members/"):
        Canary(sites, leave=LEFT, sign_in=sign_in).assert_nothing_crosses()


def test_models_that_are_left_are_not_marked_and_then_pages_must_show_others(site, other_site):
    pages.leaks.add("front")
    with pytest.raises(Crossed, match="no page shows anything"):
        Canary([site, other_site], leave=[*LEFT, Article]).assert_nothing_crosses()


def test_pages_that_fail_are_told(site, other_site):
    pages.leaks.add("error")
    with pytest.raises(Crossed, match="one: /fail/ answers 500"):
        Canary([site, other_site], leave=LEFT).assert_nothing_crosses()


def test_models_that_cannot_be_filled_are_told_and_a_factory_helps(site, other_site, monkeypatch):
    def refuse(self, *args, **kwargs):
        message = "not by you"
        raise ValueError(message)

    monkeypatch.setattr(Redirect, "save", refuse)
    with pytest.raises(Crossed, match=r"one: no row could be made for redirects.Redirect: Value"):
        Canary([site, other_site], leave=LEFT).assert_nothing_crosses()

    def make(site, mark):
        rows = [Redirect(site=site, old_path=f"/{mark}/", new_path="/")]
        return Redirect.objects.bulk_create(rows)[0]

    report = Canary(
        [site, other_site], leave=LEFT, factories={"redirects.Redirect": make}
    ).assert_nothing_crosses()
    assert report.crossings == []


def test_rows_that_are_there_are_marked_and_keep_what_they_say(site, other_site):
    row = Article.objects.create(site=site, title="Old news")
    Canary([site, other_site], leave=LEFT).assert_nothing_crosses()
    row.refresh_from_db()
    assert row.title.startswith("Old news canary")
    assert Article.objects.filter(site=other_site).count() == 1


def test_each_page_of_one_site_is_asked_of_the_other(site, other_site):
    row = Article.objects.create(site=site, title="Old news")
    report = Canary([site, other_site], leave=LEFT).assert_nothing_crosses()
    assert f"200 /news/{row.pk}/" in report.pages["one"]
    assert f"404 /news/{row.pk}/" in report.pages["two"]


def test_rows_of_many_sites_are_marked_for_each(site, other_site):
    Canary([site, other_site], leave=LEFT).assert_nothing_crosses()
    assert FlatPage.objects.count() == 2
    assert [page.sites.count() for page in FlatPage.objects.all()] == [1, 1]


def test_one_site_alone_proves_nothing(site):
    with pytest.raises(ValueError, match="two sites"):
        Canary([site])


def test_the_fixture_looks_at_both_sites(canary):
    assert set(canary(leave=LEFT).pages) == {"one", "two"}


def test_files_and_cached_values_are_taken_away_again(site, other_site, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {"BACKEND": "sitefleet.persite.storage.SiteStorage"},
    }
    backend = "sitefleet.persite.cache.LocMemCache"
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": "canary"}}
    report = Canary([site, other_site]).assert_nothing_crosses()
    assert report.seen["one"] >= {"file", "cache default"}
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    for each in (site, other_site):
        with override_site(each):
            assert cache.get(CACHE_KEY) is None


def test_a_setting_of_one_site_that_shows_on_another_is_seen(site, other_site, settings):
    settings.SITEFLEET = {"FRESHNESS": 0.0, "SITE_SETTINGS": {"MOTTO": {"type": "str"}}}
    kept = {}

    def front(request):
        kept.setdefault("motto", django_settings.MOTTO)
        return HttpResponse(kept["motto"])

    settings.ROOT_URLCONF = type("Urls", (), {"urlpatterns": [path("", front)]})
    with pytest.raises(Crossed, match="two shows setting MOTTO of one: /"):
        Canary([site, other_site], leave=LEFT).assert_nothing_crosses()


def test_what_is_to_be_skipped_is_not_asked_for(site, other_site):
    pages.leaks.add("json")
    report = Canary([site, other_site], leave=LEFT, skip=["/api/"]).assert_nothing_crosses()
    assert "200 /api/" not in report.pages["one"]
