"""What another connection changes, by whatever means, is seen after the interval."""

import pytest
from django.contrib.sites.models import Site
from django.test import override_settings

from sitefleet.models import Alias, SiteConfig
from sitefleet.registry import add_alias, change_site, set_state
from sitefleet.resolver import resolver
from tests.databases import elsewhere
from tests.resolver.asking import domain_of, found, sql

CHANGES = {
    "save": lambda pk: change_site(Site(pk=pk), domain="new.example.org"),
    "update": lambda pk: Site.objects.filter(pk=pk).update(domain="new.example.org"),
    "sql": lambda pk: sql("UPDATE django_site SET domain = 'new.example.org' WHERE id = %s", pk),
    "bulk update": lambda pk: Site.objects.bulk_update(
        [Site(pk=pk, domain="new.example.org")], ["domain"]
    ),
    "delete": lambda pk: Site.objects.get(pk=pk).delete(),
    "delete query": lambda pk: Site.objects.filter(pk=pk).delete(),
    "delete sql": lambda pk: (
        sql("DELETE FROM sitefleet_siteconfig WHERE site_id = %s", pk),
        sql("DELETE FROM django_site WHERE id = %s", pk),
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_by_another_connection_is_seen_after_the_interval(file_site, clock, change):
    assert found("one.example.org") == file_site.pk
    assert found("new.example.org") is None
    assert domain_of(file_site.pk) == "one.example.org"
    elsewhere(CHANGES[change], file_site.pk)
    clock.pass_(1.01)
    assert found("one.example.org") is None
    if "delete" in change:
        with pytest.raises(Site.DoesNotExist):
            domain_of(file_site.pk)
    else:
        assert found("new.example.org") == file_site.pk
        assert domain_of(file_site.pk) == "new.example.org"


@pytest.mark.parametrize("change", ["save", "delete"])
def test_a_change_by_the_orm_is_seen_at_once_by_who_makes_it(file_site, change):
    assert found("one.example.org") == file_site.pk
    assert domain_of(file_site.pk) == "one.example.org"
    CHANGES[change](file_site.pk)
    assert found("one.example.org") is None
    assert found("new.example.org") == (None if change == "delete" else file_site.pk)


@pytest.mark.parametrize(
    "change",
    [
        lambda pk: Alias.objects.create(site_id=pk, name="b.example.org"),
        lambda pk: Alias.objects.bulk_create([Alias(site_id=pk, name="b.example.org")]),
        lambda pk: sql(
            "INSERT INTO sitefleet_alias (site_id, name, redirect)"
            " VALUES (%s, 'b.example.org', false)",
            pk,
        ),
        lambda _: Site.objects.bulk_create([Site(domain="b.example.org", name="B")]),
    ],
)
def test_an_unknown_host_is_found_after_the_interval(site, clock, change):
    assert found("b.example.org") is None
    change(site.pk)
    clock.pass_(1.01)
    assert found("b.example.org")


def test_an_alias_that_moves_to_another_site_is_seen(site, other_site, clock):
    alias = add_alias(site, "b.example.org", redirect=False)
    assert found("b.example.org") == site.pk
    Alias.objects.filter(pk=alias.pk).update(site=other_site)
    clock.pass_(1.01)
    assert found("b.example.org") == other_site.pk
    alias.delete()
    assert found("b.example.org") is None


@pytest.mark.parametrize("how", ["orm", "update", "sql"])
def test_a_suspended_site_is_seen(site, clock, how):
    assert resolver.find("one.example.org").root.plain
    if how == "orm":
        set_state(site, "suspended")
    elif how == "update":
        SiteConfig.objects.filter(pk=site.pk).update(state="suspended")
    else:
        sql("UPDATE sitefleet_siteconfig SET state = 'suspended' WHERE site_id = %s", site.pk)
    if how != "orm":
        clock.pass_(1.01)
    assert resolver.find("one.example.org").root.state == "suspended"


def test_a_change_that_came_while_the_generation_was_read_is_not_missed(file_site, monkeypatch):
    found("one.example.org")

    def read_then_hear(connection):
        resolver.announced()
        return 1

    resolver.announced()
    monkeypatch.setattr("sitefleet.resolver.read_generation", read_then_hear)
    resolver.find("one.example.org")
    assert resolver.usual("one.example.org") is None, "it looks again"


def test_settings_that_change_start_anew(file_site):
    assert found("one.example.org") == file_site.pk
    assert domain_of(file_site.pk) == "one.example.org"
    with override_settings(SITEFLEET={"DOMAIN_FORMAT": "{slug}.localhost"}):
        assert found("one.example.org") is None
        assert found("one.localhost") == file_site.pk
        assert domain_of(file_site.pk) == "one.localhost"
    assert domain_of(file_site.pk) == "one.example.org"
