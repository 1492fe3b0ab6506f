"""Django's own cache of sites keeps the promise too."""

from threading import Event

from django.conf import settings
from django.contrib.sites import models as django_sites
from django.contrib.sites.models import Site

from sitefleet import override_site
from sitefleet.generation import Generation
from sitefleet.resolver import resolver
from tests.databases import elsewhere
from tests.resolver.asking import WAYS, domain_of


def test_djangos_cache_is_fresh_in_a_process_that_serves_no_requests(file_site, clock):
    assert domain_of(file_site.pk) == "one.example.org"
    elsewhere(WAYS["sql"], file_site.pk)
    assert domain_of(file_site.pk) == "one.example.org", "promised is the interval"
    clock.pass_(1.01)
    assert domain_of(file_site.pk) == "new.example.org"


def test_the_current_site_costs_no_query_once_it_is_known(file_site, django_assert_num_queries):
    domain_of(file_site.pk)
    with django_assert_num_queries(0):
        domain_of(file_site.pk)


def test_a_site_without_a_configuration_is_the_current_site_too(file_database):
    Site.objects.bulk_create([Site(domain="bare.example.org", name="Bare")])
    bare = Site.objects.get(name="Bare")
    assert domain_of(bare.pk) == "bare.example.org"
    assert resolver.site(bare.pk) == bare


async def test_the_event_loop_is_never_blocked_by_a_look(file_site, clock, monkeypatch):
    elsewhere(domain_of, file_site.pk)
    looked = Event()
    monkeypatch.setattr(resolver, "after_look", looked.set)
    elsewhere(WAYS["sql"], file_site.pk)
    clock.pass_(1.01)
    # By its id: a site that was entered would go back into the cache if the thread is quick.
    with override_site(file_site.pk):
        # A query in here would raise SynchronousOnlyOperation.
        assert file_site.pk == settings.SITE_ID
        assert looked.wait(10), "a thread looks"
    assert file_site.pk not in django_sites.SITE_CACHE
    assert elsewhere(domain_of, file_site.pk) == "new.example.org"


async def test_an_open_transaction_elsewhere_starts_no_threads_in_the_event_loop(
    file_site, monkeypatch
):
    elsewhere(domain_of, file_site.pk)
    monkeypatch.setattr("sitefleet.resolver.Thread", None)
    monkeypatch.setattr(resolver, "_views", {"a connection": "its view"})
    with override_site(file_site):
        assert file_site.pk == settings.SITE_ID


def test_the_generation_shows_its_token(db):
    assert str(Generation(token=5)) == "5"
