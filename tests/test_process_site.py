"""A process with SITE_ID in its environment is for that site alone."""

import pytest
from django.conf import settings as django_settings
from django.test import override_settings

from sitefleet import get_current_site, override_site
from sitefleet.conf import get_conf, process_site_id
from sitefleet.exceptions import InvalidSetting
from sitefleet.explain import PROCESS, explain
from sitefleet.lookup import default_site_id, find_match
from sitefleet.registry import add_alias
from sitefleet.resolver import resolver
from sitefleet.serving.pinning import become_site
from sitefleet.serving.signals import post_fork


@pytest.fixture
def alone(other_site, monkeypatch):
    monkeypatch.setenv("SITE_ID", str(other_site.pk))
    resolver.reset()
    return other_site


def get(client, host, path="/site/"):
    return client.get(path, headers={"host": host})


def test_it_answers_the_hosts_of_that_site_and_no_others(client, site, alone):
    add_alias(alone, "served.example.org", redirect=False)
    add_alias(alone, "*.wild.example.org", redirect=False)
    for host in ("two.example.org", "served.example.org:81", "a.wild.example.org"):
        assert get(client, host).status_code == 200
    assert get(client, "www.two.example.org").status_code == 301
    assert get(client, "one.example.org").status_code == 404


def test_its_site_is_the_default_whatever_the_settings_say(site, alone, settings):
    settings.SITE_ID = site.pk
    assert alone.pk == django_settings.SITE_ID
    assert get_current_site().pk == alone.pk
    with override_site(site):
        assert site.pk == django_settings.SITE_ID


def test_a_listed_host_is_answered_with_it(client, alone, settings):
    settings.ALLOWED_HOSTS = [*settings.ALLOWED_HOSTS, "health.internal"]
    assert find_match("health.internal", "/").site.pk == alone.pk
    assert get(client, "health.internal").status_code == 200


def test_of_sites_that_share_a_host_it_answers_its_own_path(client, fleet, monkeypatch):
    monkeypatch.setenv("SITE_ID", str(fleet[2].pk))
    assert get(client, "one.example.org", "/de/site/").status_code == 200
    assert get(client, "one.example.org").status_code == 404


@pytest.mark.parametrize("debug", [False, True])
def test_the_page_says_that_the_process_is_for_one_site(client, site, alone, debug):
    with override_settings(DEBUG=debug):
        page = get(client, "one.example.org").content.decode()
    assert f"the site with the id {alone.pk} alone" in page
    assert ("env -u SITE_ID manage.py runserver" in page) == debug
    assert "alias add" not in page
    assert ("two.example.org" in page) == debug
    assert "https://one.example.org/" not in page, "it is another process that answers there"


def test_without_it_the_page_says_nothing_of_it(client, site):
    assert "alone" not in get(client, "unknown.example").content.decode()


def test_an_explanation_tells_it(site, alone):
    here, there = explain("two.example.org"), explain("one.example.org")
    assert here.match.site.pk == alone.pk
    assert there.match is None
    said = {told.step: told.said for told in there.steps}
    assert said[PROCESS] == "One (one) is served by other processes"


@pytest.mark.parametrize("text", ["two", "-1", "1.0", "²", "9" * 19])
def test_what_is_no_id_is_refused(monkeypatch, text):
    monkeypatch.setenv("SITE_ID", text)
    with pytest.raises(InvalidSetting, match="a whole number"):
        process_site_id()


@pytest.mark.parametrize("text", ["", "  "])
def test_an_empty_one_is_none(monkeypatch, text):
    monkeypatch.setenv("SITE_ID", text)
    assert process_site_id() is None


def test_after_a_fork_a_process_becomes_one_for_a_site(client, site, other_site, monkeypatch):
    monkeypatch.setenv("SITE_ID", "")  # put back in the end
    monkeypatch.setenv("SITEFLEET_SITE", "one")
    told = []

    def receiver(site_id, **_):
        told.append(site_id)

    assert default_site_id() == site.pk
    with override_settings(SITEFLEET={"FRESHNESS": 60.0}):
        assert resolver.find("one.example.org").root.site.pk == site.pk
        post_fork.connect(receiver)
        try:
            become_site(other_site.pk)
        finally:
            post_fork.disconnect(receiver)
        assert not get_conf().SITE
        assert (default_site_id(), told) == (other_site.pk, [other_site.pk])
        assert get(client, "one.example.org").status_code == 404, "what it knew is forgotten"
        assert get(client, "two.example.org").status_code == 200


def test_a_receiver_that_fails_stops_no_process(site, monkeypatch):
    monkeypatch.setenv("SITE_ID", "")

    def receiver(**_):
        raise ZeroDivisionError

    post_fork.connect(receiver)
    try:
        become_site(site.pk)
    finally:
        post_fork.disconnect(receiver)
    assert default_site_id() == site.pk
