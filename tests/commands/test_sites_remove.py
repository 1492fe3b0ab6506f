"""``manage.py sites remove``: what goes, who is asked, and what is refused."""

import io

import pytest
from django.contrib.flatpages.models import FlatPage
from django.contrib.redirects.models import Redirect
from django.contrib.sites.models import Site
from django.db import models
from django.db.models.signals import post_delete

from sitefleet.models import SiteConfig
from sitefleet.registry import add_alias
from sitefleet.resolver import resolver
from tests.news.models import Article

ROWS = [
    ["model", "rows"],
    ["flatpages.FlatPage_sites", "1"],
    ["news.Article", "3"],
    ["redirects.Redirect", "1"],
    ["sitefleet.Alias", "2"],
    ["sitefleet.SiteConfig", "1"],
    ["sites.Site", "1"],
]


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def world(site, other_site):
    """A site with rows of five models, and another."""
    for number in range(3):
        Article.objects.create(site=site, title=f"{number}")
    Redirect.objects.create(site=site, old_path="/a/", new_path="/b/")
    FlatPage.objects.create(url="/f/", title="F").sites.set([site, other_site])
    add_alias(site, "old.example.org")
    add_alias(site, "*.one.example.org")
    Article.objects.create(site=other_site, title="stays")
    return site


@pytest.fixture
def typed(monkeypatch):
    """What somebody types at the terminal."""
    return lambda text: monkeypatch.setattr("sys.stdin", Terminal(text))


def table_in(text):
    return [line.split() for line in text.splitlines() if len(line.split()) == 2]


def test_a_site_goes_with_all_that_belongs_to_it(manage, world, other_site):
    assert resolver.find("one.example.org").root is not None
    ended = manage("sites", "remove", "one", "--no-input")
    assert ended.status == 0
    assert ended.out.startswith(f"Removed One (one, id {world.pk}) at https://one.example.org/\n")
    assert table_in(ended.out) == ROWS
    assert list(Site.objects.all()) == [other_site]
    assert [article.title for article in Article.objects.all()] == ["stays"]
    assert [page.title for page in other_site.flatpage_set.all()] == ["F"]
    assert resolver.find("one.example.org").root is None


def test_a_rehearsal_counts_and_runs_nothing(manage, world, unchanged):
    deleted = []

    def note(sender, **_):
        deleted.append(sender)

    post_delete.connect(note)
    try:
        with unchanged():
            ended = manage("sites", "remove", "one", "--dry-run")
    finally:
        post_delete.disconnect(note)
    assert table_in(ended.out) == ROWS
    assert (ended.status, deleted, Article.objects.count()) == (0, [], 4)


def test_who_sits_at_a_terminal_types_the_slug(manage, world, typed):
    typed("one\n")
    ended = manage("sites", "remove", "one.example.org")
    assert table_in(ended.err) == ROWS
    assert "Type the slug, one, to remove it for good: " in ended.err
    assert ended.status == 0
    assert not SiteConfig.objects.filter(slug="one").exists()


@pytest.mark.parametrize("text", ["", "\n", "two\n", "yes\n", "One\n"])
def test_anything_else_removes_nothing(manage, world, unchanged, typed, text):
    typed(text)
    with unchanged():
        ended = manage("sites", "remove", "one")
    assert (ended.status, ended.out) == (1, "")
    assert "nothing was removed" in ended.err


def test_nobody_is_waited_for_while_the_fleet_is_locked(manage, world, monkeypatch):
    locked = []
    monkeypatch.setattr(
        "sitefleet.management.commands.sites.registry_lock", lambda *_: locked.append(True)
    )

    class Asked(Terminal):
        def readline(self, *_):
            assert not locked
            raise KeyboardInterrupt

    monkeypatch.setattr("sys.stdin", Asked())
    assert manage("sites", "remove", "one").status == 1


def test_without_a_terminal_it_takes_an_option(manage, world, unchanged, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("one\n"))
    with unchanged():
        ended = manage("sites", "remove", "one")
    assert (ended.status, ended.out) == (2, "")
    assert "--no-input" in ended.err


@pytest.mark.parametrize("how", [models.PROTECT, models.RESTRICT])
def test_what_a_model_protects_is_refused(manage, world, unchanged, monkeypatch, how):
    monkeypatch.setattr(Article._meta.get_field("site").remote_field, "on_delete", how)
    for option in ("--no-input", "--dry-run"):
        with unchanged():
            ended = manage("sites", "remove", "one", option)
        assert (ended.status, ended.out) == (1, "")
        assert "One cannot be removed." in ended.err
        assert "Article.site" in ended.err
