"""What clearing a site's cache means in transactions, other threads and other processes."""

import time
from contextlib import suppress

import pytest
from django.contrib.sites.models import Site
from django.core import serializers
from django.core.cache import cache
from django.core.management import call_command
from django.db import transaction

from sitefleet import override_site
from sitefleet.exceptions import NoCurrentSite
from sitefleet.middleware import SiteMiddleware
from sitefleet.models import SiteConfig
from sitefleet.persite import cache as island
from sitefleet.persite.cache import LocMemCache, clear_site_cache
from sitefleet.registry import add_site, change_site, configure_site
from tests.databases import elsewhere

CACHES = {"default": {"BACKEND": "sitefleet.persite.cache.LocMemCache", "LOCATION": "clear"}}


class OnPurpose(Exception):
    pass


@pytest.fixture(autouse=True)
def own_cache(settings):
    settings.CACHES = CACHES
    yield
    LocMemCache("clear", {}).clear_all()
    island._raised.clear()


@pytest.fixture
def one(file_database):
    """A site in a database with real transactions; its cache holds ``key``."""
    site = add_site("one", domain="one.example.org")
    put(site, "old")
    return site


def put(site, value):
    with override_site(site):
        cache.set("key", value)


def found(site):
    with override_site(site):
        return cache.get("key")


def test_all_threads_find_it_cleared_at_once(one, settings):
    settings.SITEFLEET = {"FRESHNESS": 3600}
    assert elsewhere(found, one) == found(one) == "old"
    clear_site_cache(one)
    assert found(one) is None
    assert elsewhere(found, one) is None
    island._raised.clear()  # Without it, too: the resolver has been told.
    assert found(one) is None


@pytest.mark.parametrize("freshness", [0.0, 0.05])
def test_other_processes_find_it_cleared_in_time(one, settings, freshness):
    settings.SITEFLEET = {"FRESHNESS": freshness}
    assert found(one) == "old"
    SiteConfig.objects.update(cache_generation=2**31 - 1)  # behind the back of this process
    time.sleep(freshness)
    assert found(one) is None


def test_a_request_under_way_finds_it_cleared(one, rf, settings):
    settings.SITEFLEET = {"FRESHNESS": 3600}

    def view(request):
        seen = [cache.get("key")]
        elsewhere(clear_site_cache, one)
        seen.append(cache.get("key"))
        cache.set("key", "new")
        return [*seen, cache.get("key")]

    class Seen(list):
        streaming = False

    middleware = SiteMiddleware(lambda request: Seen(view(request)))
    assert middleware(rf.get("/", headers={"host": "one.example.org"})) == ["old", None, "new"]
    assert found(one) == "new"
    assert elsewhere(found, one) == "new"


def test_a_transaction_finds_it_cleared_and_others_when_it_is_committed(one):
    with transaction.atomic():
        clear_site_cache(one)
        assert found(one) is None
        put(one, "not committed")
        assert found(one) == "not committed"
        assert elsewhere(found, one) == "old"
    assert found(one) is None
    assert elsewhere(found, one) is None


def test_what_is_rolled_back_is_neither_cleared_nor_left_for_the_next_one(one):
    for _ in range(2):
        with suppress(OnPurpose), transaction.atomic():
            clear_site_cache(one)
            assert found(one) is None
            put(one, "not committed")
            raise OnPurpose
        assert found(one) == elsewhere(found, one) == "old"
    assert not island._waiting
    clear_site_cache(one)
    assert found(one) is None


def test_a_savepoint_that_is_rolled_back_takes_back_its_own_clearing_only(one):
    with transaction.atomic():
        with suppress(OnPurpose), transaction.atomic():
            clear_site_cache(one)
            raise OnPurpose
        assert found(one) == "old"
        clear_site_cache(one)
        put(one, "outer")
        with suppress(OnPurpose), transaction.atomic():
            clear_site_cache(one)
            assert found(one) is None
            raise OnPurpose
        assert found(one) == "outer"
    assert found(one) is None


def test_each_clearing_gives_a_generation_that_was_not_there_before(one):
    seen = set()
    for _ in range(5):
        with override_site(one):
            seen.add(cache.make_key("key"))
        clear_site_cache(one)
    assert len(seen) == 5


def test_a_site_that_gets_the_id_of_a_removed_one_does_not_get_its_cache(one, monkeypatch):
    later = island._seconds() + 1
    Site.objects.get(pk=one.pk).delete()
    monkeypatch.setattr(island, "_seconds", lambda: later)
    assert found(add_site("new", domain="new.example.org", pk=one.pk)) is None


def test_a_restored_backup_brings_no_old_entries_back(one, monkeypatch):
    before = SiteConfig.objects.get().cache_generation
    clear_site_cache(one)
    put(one, "since the backup")
    SiteConfig.objects.update(cache_generation=before)
    island._raised.clear()  # another process
    assert found(one) == "old"
    later = island._seconds() + 10
    monkeypatch.setattr(island, "_seconds", lambda: later)
    clear_site_cache(one)
    assert found(one) is None


def test_a_change_of_the_site_does_not_bring_the_old_generation_back(one):
    clear_site_cache(one)
    raised = SiteConfig.objects.get().cache_generation
    change_site(one, name="Other")
    configure_site(one, theme="dark")
    assert SiteConfig.objects.get().cache_generation == raised > 0


def test_a_configuration_that_was_read_before_does_not_bring_the_old_generation_back(one):
    read_before = SiteConfig.objects.get()
    clear_site_cache(one)
    read_before.theme = "dark"
    read_before.save()
    island._raised.clear()  # as in another process
    assert found(one) is None
    stored = SiteConfig.objects.get()
    assert (stored.theme, stored.cache_generation > 0) == ("dark", True)
    stored.cache_generation += 5
    stored.save()
    assert SiteConfig.objects.get().cache_generation == stored.cache_generation


def test_a_fixture_brings_the_generation_that_it_has(one):
    clear_site_cache(one)
    dumped = serializers.serialize("json", SiteConfig.objects.all())
    generation = SiteConfig.objects.get().cache_generation
    clear_site_cache(one)
    for loaded in serializers.deserialize("json", dumped):
        loaded.save()
    assert SiteConfig.objects.get().cache_generation == generation


def test_a_site_that_has_no_configuration_yet_can_be_cleared(db):
    bare = Site(domain="bare.example.org", name="Bare")
    Site.objects.bulk_create([bare])
    bare = Site.objects.get(domain=bare.domain)
    put(bare, "old")
    clear_site_cache(bare)
    assert found(bare) is None


def test_what_is_remembered_of_clearings_is_bounded(one, monkeypatch):
    monkeypatch.setattr(island, "REMEMBERED", 2)
    sites = [add_site(f"s{number}", domain=f"s{number}.example.org") for number in range(3)]
    for site in sites:
        put(site, "old")
        clear_site_cache(site)
    assert list(island._raised) == [site.pk for site in sites[1:]]
    assert [found(site) for site in sites] == [None, None, None]


def test_in_a_test_case_it_is_cleared_as_well(site, other_site, django_capture_on_commit_callbacks):
    for entered in (site, other_site):
        put(entered, "old")
    with django_capture_on_commit_callbacks(execute=True):
        clear_site_cache(site)
        assert found(site) is None
    assert found(site) is None
    assert found(other_site) == "old"
    assert site.pk in island._raised


def test_a_site_that_goes_with_the_transaction_needs_no_clearing(one):
    with transaction.atomic():
        clear_site_cache(one)
        Site.objects.get(pk=one.pk).delete()
    assert one.pk not in island._raised


@pytest.mark.parametrize("backend", ["LocMemCache", "DatabaseCache", "FileBasedCache"])
def test_making_room_clears_for_good_and_no_site_in_particular(site, settings, backend, tmp_path):
    location = str(tmp_path) if backend == "FileBasedCache" else tmp_path.name
    backend = f"sitefleet.persite.cache.{backend}"
    options = {"MAX_ENTRIES": 2, "CULL_FREQUENCY": 0}
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": location, "OPTIONS": options}}
    call_command("createcachetable", verbosity=0)
    with override_site(site):
        key = cache.make_key("key")
        for number in range(9):
            cache.set(str(number), number)
        kept = [number for number in range(9) if cache.get(str(number)) == number]
        assert cache.make_key("key") == key
    assert 1 <= len(kept) <= 3
    assert 8 in kept


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("timeout", [None, 60])
def test_a_database_makes_room_by_no_order_of_sites(fleet, settings, first, timeout):
    options = {"MAX_ENTRIES": 100}
    backend = "sitefleet.persite.cache.DatabaseCache"
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": "c", "OPTIONS": options}}
    call_command("createcachetable", verbosity=0)
    sites = (fleet[first], fleet[1 - first])
    for site, count, lasts in zip(sites, (30, 200), (None, timeout), strict=True):
        with override_site(site):
            for number in range(count):
                cache.set(str(number), 1, lasts)
    kept = []
    for site in sites:
        with override_site(site):
            kept.append(len(cache.get_many(map(str, range(200)))))
    assert sum(kept) <= 101
    assert kept[0] == 30 if timeout else min(kept) > 0
    assert kept[1] > kept[0]


def test_what_cannot_be_cleared_is_refused(site):
    with pytest.raises(NoCurrentSite):
        clear_site_cache()
    with pytest.raises(Site.DoesNotExist):
        clear_site_cache(99)
    with pytest.raises(TypeError, match="get_site"):
        clear_site_cache("one")
