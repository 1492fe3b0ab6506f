"""A site by what people type, and the site of this process."""

import pytest
from django.conf import settings
from django.contrib.sites.models import Site
from django.db import DatabaseError
from django.test import override_settings

from sitefleet import get_current_site, lookup
from sitefleet.exceptions import InvalidHost, NoCurrentSite, UnknownSite
from sitefleet.lookup import default_site_id, forced_match, get_site
from sitefleet.registry import add_alias, add_site, set_state

LOCAL = {"FRESHNESS": 0.0, "DOMAIN_FORMAT": "{slug}.localhost:8000"}


@pytest.fixture
def named(fleet):
    add_alias(fleet[0], "b.example.org")
    return fleet[0]


@pytest.mark.parametrize(
    "key",
    [
        "one",
        " ONE ",
        "one.example.org",
        "One.Example.org.",
        "one.example.org:443",
        "one.example.org:8000",
        "b.example.org",
    ],
)
def test_slug_domain_and_alias_name_a_site_in_any_spelling(named, key):
    assert get_site(key) == named


def test_the_id_names_a_site_as_number_and_as_text(named):
    assert get_site(named.pk) == get_site(str(named.pk)) == get_site(f" {named.pk} ") == named


@pytest.mark.parametrize(
    "key", ["one", "one.example.org", "one.localhost", "one.localhost:8000", "one.localhost:99"]
)
def test_outside_of_live_the_live_name_and_the_host_here_name_a_site(named, key):
    with override_settings(SITEFLEET=LOCAL):
        assert get_site(key) == named
        assert get_site(key).domain == "one.localhost:8000"


def test_of_sites_that_share_a_domain_it_names_the_one_at_the_root(named):
    assert get_site("one.example.org") == named
    assert get_site("de").domain == "one.example.org"


def test_a_site_without_a_configuration_is_found_by_its_domain(db):
    bare = Site.objects.bulk_create([Site(domain="bare.example.org", name="Bare")])[0]
    assert get_site("bare.example.org").name == bare.name


@pytest.mark.parametrize(
    "key", ["", "nobody", "99999", "9" * 18, "9" * 40, "-1", "²", "http://one", "a b", "%", "*.org"]
)
def test_what_names_no_site_is_an_error_that_says_so(named, key):
    with pytest.raises(UnknownSite) as raised:
        get_site(key)
    assert repr(key.strip()) in str(raised.value)


@pytest.mark.parametrize(("key", "near"), [("onw", "one"), ("two.example.or", "two.example.org")])
def test_the_error_names_what_is_near(named, key, near):
    with pytest.raises(UnknownSite) as raised:
        get_site(key, source="the test")
    assert near in raised.value.near
    assert f"Did you mean {raised.value.near[0]}" in str(raised.value)
    assert "from the test" in str(raised.value)


def test_the_default_site_is_that_of_the_settings(named):
    with override_settings(SITE_ID=named.pk):
        assert default_site_id() == named.pk
        assert get_current_site() == named


def test_without_any_default_there_is_no_current_site(named):
    assert default_site_id() is None
    with pytest.raises(NoCurrentSite):
        get_current_site()
    with pytest.raises(AttributeError):
        _ = settings.SITE_ID


@pytest.mark.parametrize("key", ["two", "two.example.org"])
def test_the_environment_variable_goes_before_the_settings(fleet, monkeypatch, key):
    monkeypatch.setenv("SITEFLEET_SITE", key)
    with override_settings(SITE_ID=fleet[0].pk):
        assert default_site_id() == fleet[1].pk
        assert fleet[1].pk == settings.SITE_ID


def test_an_environment_variable_that_names_no_site_is_an_error(fleet, monkeypatch):
    monkeypatch.setenv("SITEFLEET_SITE", "twoo")
    for ask in (default_site_id, get_current_site, lambda: settings.SITE_ID):
        with pytest.raises(UnknownSite, match=r"from SITEFLEET_SITE.*Did you mean two"):
            ask()


def test_the_pinned_site_is_looked_up_once(fleet, monkeypatch, django_assert_num_queries):
    monkeypatch.setenv("SITEFLEET_SITE", "two")
    default_site_id()
    with django_assert_num_queries(0):
        default_site_id()


def test_where_the_database_does_not_answer_there_is_no_default(fleet, monkeypatch):
    def refuse(*_, **__):
        message = "no tables"
        raise DatabaseError(message)

    monkeypatch.setenv("SITEFLEET_SITE", "two")
    monkeypatch.setattr(lookup, "get_site", refuse)
    # SITE_ID is another site than the one that was asked for: no fallback.
    with (
        override_settings(SITE_ID=fleet[0].pk),
        pytest.raises(NoCurrentSite, match="SITEFLEET_SITE=two could not be looked up"),
    ):
        default_site_id()
    # But Django's checks, which look here ahead of the first `migrate`, are not stopped.
    assert not hasattr(settings, "SITE_ID")


def test_a_pinned_process_answers_any_host_with_its_site(fleet, monkeypatch):
    monkeypatch.setenv("SITEFLEET_SITE", "two")
    match = forced_match("Anything.test:8000")
    assert (match.site.pk, match.host, match.redirect) == (fleet[1].pk, "anything.test", "")
    assert match.plain
    with pytest.raises(InvalidHost):
        forced_match("no way")


def test_a_pinned_site_keeps_its_state(fleet, monkeypatch):
    monkeypatch.setenv("SITEFLEET_SITE", "two")
    set_state(fleet[1], "maintenance")
    match = forced_match("anything.test")
    assert (match.state, match.plain) == ("maintenance", False)


def test_a_pinned_site_may_have_no_configuration(db, monkeypatch):
    bare = Site.objects.bulk_create([Site(domain="bare.example.org", name="Bare")])[0]
    bare = Site.objects.get(name=bare.name)
    monkeypatch.setenv("SITEFLEET_SITE", str(bare.pk))
    assert forced_match("anything.test").slug == f"site-{bare.pk}"


def test_a_site_found_by_its_slug_though_another_is_called_so(db):
    add_site("a", domain="b")
    by_slug = add_site("b", domain="z.example.org")
    assert get_site("b") == by_slug


def test_a_site_without_configuration_is_found_and_presented_by_its_number(db, settings):
    Site.objects.bulk_create([Site(domain="live.example.org", name="Bare")])
    pk = Site.objects.get(domain="live.example.org").pk
    settings.SITEFLEET = {"DOMAIN_FORMAT": "{slug}.localhost:8000"}
    for key in (pk, f"site-{pk}", f"site-{pk}.localhost:8000"):
        found = get_site(key)
        assert (found.pk, found.domain) == (pk, f"site-{pk}.localhost:8000")
