"""The keys themselves: nothing that callers choose can make one site's key that of another."""

import functools
import pickle
import sys

import pytest
from asgiref.sync import async_to_sync
from django.contrib.sites.models import Site
from django.core.cache import cache, caches
from django.core.cache.backends import locmem
from django.core.exceptions import SynchronousOnlyOperation
from hypothesis import assume, example, given
from hypothesis import strategies as st

from sitefleet import override_site
from sitefleet.current import current_state
from sitefleet.exceptions import NoCurrentSite
from sitefleet.persite.cache import (
    PerSiteCache,
    check_caches,
    make_key,
    shared,
    shared_by_all,
)
from sitefleet.presented import Options, present

#: What keys are made of, so that they meet.
PIECES = st.text(st.sampled_from("01:.%3Ad-s"), max_size=8) | st.sampled_from(
    ["shared", "shared.1", "1.0.1", "1.0.1:x", "1:x", "11:", "t0"]
)
PLACES = st.tuples(
    st.sampled_from([None, 1, 2, 10, 11]),  # a site, or shared
    st.sampled_from([0, 1, 10, 11]),  # its generation
    st.integers(-1, 111) | PIECES,  # the version
    PIECES,  # the key
)


def key_at(place, prefix):
    pk, generation, version, key = place
    if pk is None:
        return make_key(shared(key), prefix, version)
    site = present(Site(pk=pk), "", "", "s", Options(cache_generation=generation))
    outside = current_state.get()
    current_state.set((pk, "", None, site))
    try:
        return make_key(key, prefix, version)
    finally:
        current_state.set(outside)


def same(place):
    """Two places that say this are one: Django's own key has 1 and "1" for one version, too."""
    pk, generation, version, key = place
    return pk, pk and generation, str(version), key


@given(PLACES, PLACES, st.text(st.sampled_from("p1:.%"), max_size=4))
@example((1, 0, 1, "1:x"), (11, 0, 1, ":x"), "")
@example((1, 1, "1:1", "x"), (1, 1, "1", "1:x"), "1:1")
@example((1, 1, ":", "x"), (1, 1, "%3A", "x"), "")
@example((None, 0, 1, "x"), (1, 0, "shared.1", "x"), ":")
def test_different_places_never_have_one_key(one, other, prefix):
    assume(same(one) != same(other))
    assert key_at(one, prefix) != key_at(other, prefix)


@given(PLACES)
def test_a_key_has_the_three_parts_that_djangos_own_has(place):
    # Third-party backends take them apart to list keys.
    assert key_at(place, "p").split(":", 2)[::2] == ["p", place[3]]


def test_a_shared_key_equals_no_plain_one():
    key = shared("menu")
    assert key == shared("menu") == shared(shared("menu"))
    assert key != shared("other")
    assert key != "menu"
    assert "menu" != key  # noqa: SIM300 - the other way round
    assert key not in {"menu": 1}
    assert {"menu": 1, key: 2} == {key: 2, "menu": 1}
    assert str(key) == f"{key}" == "menu"
    assert pickle.loads(pickle.dumps(key)) == key  # noqa: S301 - our own


@pytest.mark.parametrize(
    "text", [str(shared("k")), f"{shared('k')}", shared("k") + "", "shared.1:k"]
)
def test_no_plain_text_reaches_the_shared_place(text):
    with pytest.raises(NoCurrentSite):
        make_key(text, "", 1)


def test_without_a_site_the_message_says_how_to_share():
    with pytest.raises(NoCurrentSite, match=r"'menu' is a site's own; shared\('menu'\) is for all"):
        make_key("menu", "", 1)


def test_a_cache_that_is_shared_by_all_has_the_keys_of_django():
    assert shared_by_all("menu", "p", 2) == "p:2:menu"


def test_a_site_that_is_gone_has_no_keys(db):
    with override_site(99), pytest.raises(Site.DoesNotExist):
        make_key("menu", "", 1)


async def test_an_event_loop_is_not_made_to_wait_for_a_key():
    with override_site(present(Site(pk=7), "", "", "s", Options(cache_generation=3))):
        assert make_key("menu", "", 1) == ":7.3.1:menu"
    with override_site(8), pytest.raises(SynchronousOnlyOperation):
        make_key("menu", "", 1)


def test_in_a_request_a_key_costs_no_query(site, django_assert_num_queries):
    with override_site(site):
        make_key("menu", "", 1)
    current_state.set((site.pk, "one.example.org", None, site))
    with django_assert_num_queries(0):
        make_key("menu", "", 1)
    current_state.set(None)


@pytest.mark.parametrize("given", [None, "", make_key, "wrapped"])
def test_a_backend_of_ours_has_our_key_function_unless_told_otherwise(fleet, settings, given):
    @functools.wraps(make_key)
    def wrapped(*args):
        return make_key(*args).upper()

    function = wrapped if given == "wrapped" else given
    backend = {"BACKEND": "sitefleet.persite.cache.LocMemCache", "KEY_FUNCTION": function}
    settings.CACHES = {"default": backend}
    for site in fleet:
        with override_site(site):
            cache.set("key", site.name)
    with override_site(fleet[0]):
        cache.clear()
    seen = []
    for site in fleet:
        with override_site(site):
            seen.append(cache.get("key"))
    assert seen == [None, "Two", "DE"]


class NativeCache(locmem.LocMemCache):
    """A backend as others make them, whose async methods wrap no other ones."""

    async def aclear(self):
        self._cache.clear()
        self._expire_info.clear()


class PerSiteNativeCache(PerSiteCache, NativeCache):
    pass


def test_other_backends_clear_one_site_in_async_code_too(site, other_site, settings):
    settings.CACHES = {"default": {"BACKEND": f"{__name__}.PerSiteNativeCache"}}
    with override_site(site):
        cache.set("key", 1)
    with override_site(other_site):
        cache.set("key", 2)
        async_to_sync(cache.aclear)()
        assert cache.get("key") is None
    with override_site(site):
        assert cache.get("key") == 1


@pytest.mark.parametrize("name", ["PyMemcacheCache", "PyLibMCCache", "RedisCache"])
def test_a_client_that_is_missing_is_missed_by_its_users_only(name, settings, monkeypatch):
    for client in ("pymemcache", "pymemcache.serde", "pylibmc", "redis"):
        monkeypatch.setitem(sys.modules, client, None)
    backend = f"sitefleet.persite.cache.{name}"
    settings.CACHES = {
        "default": {"BACKEND": "sitefleet.persite.cache.LocMemCache"},
        "remote": {"BACKEND": backend, "LOCATION": "localhost:1"},
    }
    assert not check_caches()
    caches["default"].set(shared("key"), 1)
    with pytest.raises(ImportError):
        caches["remote"].set(shared("key"), 1)
