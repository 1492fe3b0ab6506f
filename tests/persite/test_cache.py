"""The low level cache on several sites; `tests.acceptance.test_redis` runs all of it on Redis."""

from itertools import product

import pytest
from asgiref.sync import async_to_sync
from django.core.cache import cache, caches
from django.core.cache.backends.db import BaseDatabaseCache
from django.core.management import call_command

from sitefleet import override_site
from sitefleet.exceptions import NoCurrentSite
from sitefleet.persite.cache import PerSiteCache, _raised, clear_site_cache, shared

#: A method, its arguments, and what it answers where the key is not known.
CALLS = (
    ("get", ("key",), None),
    ("get_many", (["key"],), {}),
    ("has_key", ("key",), False),
    ("add", ("key", "theirs"), True),
    ("incr", ("key",), ValueError),
    ("decr", ("key",), ValueError),
    ("touch", ("key",), False),
    ("delete", ("key",), False),
    ("delete_many", (["key"],), None),
    ("get_or_set", ("key", "theirs"), "theirs"),
    ("incr_version", ("key",), ValueError),
    ("decr_version", ("key",), ValueError),
    ("set", ("key", "theirs"), None),
    ("set_many", ({"key": "theirs"},), []),
    ("clear", (), None),
)


def cache_of(name, tmp_path):
    """Return the settings of a cache that needs no server."""
    location = "cache_entries" if name == "DatabaseCache" else str(tmp_path / "cache")
    return {"BACKEND": f"sitefleet.persite.cache.{name}", "LOCATION": location}


@pytest.fixture(params=["LocMemCache", "DatabaseCache", "FileBasedCache"])
def one_cache(request, tmp_path):
    """The settings of a cache."""
    return cache_of(request.param, tmp_path)


@pytest.fixture(autouse=True)
def all_caches(request, one_cache, settings):
    """``default``, and beside it the same place with another prefix."""
    settings.CACHES = {"default": one_cache, "prefixed": one_cache | {"KEY_PREFIX": "1:2"}}
    if one_cache["BACKEND"].endswith("DatabaseCache"):
        request.getfixturevalue("db")
        call_command("createcachetable", verbosity=0)
    yield
    if not one_cache["BACKEND"].endswith("DatabaseCache"):
        cache.clear_all()
    _raised.clear()  # ids come back in the next test


@pytest.fixture(params=["sync", "async"])
def call(request):
    """Call a method of a cache, or its async twin."""

    def call_sync(name, *args, alias="default", **kwargs):
        return getattr(caches[alias], name)(*args, **kwargs)

    def call_async(name, *args, alias="default", **kwargs):
        return async_to_sync(getattr(caches[alias], f"a{name}"))(*args, **kwargs)

    return call_sync if request.param == "sync" else call_async


def test_attack_13_no_call_on_one_site_reaches_a_key_of_another(site, other_site, call):
    kinds = (("default", None), ("prefixed", 2), ("prefixed", "1:key"))
    for (name, args, expected), (alias, version) in product(CALLS, kinds):
        with override_site(site):
            caches[alias].set("key", 7, version=version)
        with override_site(other_site):
            caches[alias].delete("key", version=version)
            named = {} if name == "clear" else {"version": version}
            if expected is ValueError:
                with pytest.raises(ValueError, match="not found"):
                    call(name, *args, alias=alias, **named)
            else:
                assert call(name, *args, alias=alias, **named) == expected, name
        with override_site(site):
            assert caches[alias].get("key", version=version) == 7, name


def test_attack_13_a_key_that_looks_like_that_of_another_site_is_none(site, other_site):
    with override_site(other_site):
        cache.set("key", "secret")
        full = cache.make_key("key")
    parts = full.lstrip(":").split(":")
    guesses = [full, full.lstrip(":"), *parts, ":".join(parts[1:]), f"x:{full}"]
    with override_site(site):
        versions = [None, *parts, f"{parts[0]}:key", "1:key", 1, 2]
        seen = {cache.get(guess, version=version) for guess in guesses for version in versions}
    assert seen == {None}


def test_prefixes_keep_caches_in_one_place_apart(site):
    with override_site(site):
        caches["default"].set("key", 1)
        assert caches["prefixed"].get("key") is None


def test_a_shared_key_is_one_for_all_sites_and_for_code_without_a_site(site, other_site, call):
    key = shared("key")
    with override_site(site):
        call("set", key, 1)
        assert call("get", "key") is None
    with override_site(other_site):
        assert call("get", key) == 1
        assert call("get_many", [key, "key"]) == {key: 1}
        assert call("incr", key) == 2
        assert call("add", key, 9) is False
        assert call("has_key", key)
        assert call("touch", key)
        assert call("get_or_set", key, 9) == 2
    assert call("decr", key) == 1
    assert call("incr_version", key) == 2
    assert call("get", key, version=2) == 1
    call("set_many", {key: 5, shared("more"): 6})
    with override_site(site):
        assert call("get_many", [key, shared("more")]) == {key: 5, shared("more"): 6}
        call("delete_many", [key, shared("more")])
    assert call("get_many", [key, shared("more")]) == {}


def test_what_is_shared_and_what_is_not_have_the_same_name_in_one_call(site, call):
    with override_site(site):
        call("set_many", {"key": "own", shared("key"): "shared"})
        assert call("get_many", ["key", shared("key")]) == {"key": "own", shared("key"): "shared"}


def test_without_a_site_a_plain_key_is_refused_and_told_how_to_be_shared(db, call):
    for name, args, _ in CALLS:
        with pytest.raises(NoCurrentSite, match=r"shared\('key'\)|clear_all\(\)"):
            call(name, *args)


def test_clear_clears_the_current_site_alone(site, other_site, call):
    for entered in (site, other_site):
        with override_site(entered):
            cache.set("key", entered.name, timeout=None)
    cache.set(shared("key"), "shared")
    with override_site(site):
        call("clear")
        assert call("get", "key") is None
        call("set", "key", "new")
        assert call("get", "key") == "new"
    with override_site(other_site):
        assert call("get", "key") == "Two"
    assert call("get", shared("key")) == "shared"


def test_clear_site_cache_clears_the_site_that_it_is_given(site, other_site):
    for entered in (site, other_site):
        with override_site(entered):
            cache.set("key", entered.name)
    with override_site(site):
        clear_site_cache(other_site)
        assert cache.get("key") == "One"
        clear_site_cache(site.pk)
        assert cache.get("key") is None
    with override_site(other_site):
        assert cache.get("key") is None


def test_clear_all_clears_all(site, other_site):
    for entered in (site, other_site):
        with override_site(entered):
            cache.set("key", 1)
    cache.set(shared("key"), 1)
    cache.clear_all()
    assert cache.get(shared("key")) is None
    for entered in (site, other_site):
        with override_site(entered):
            assert cache.get("key") is None


def test_the_default_site_has_a_cache_of_its_own_too(site, other_site, settings):
    with override_site(other_site):
        cache.set("key", "theirs")
    settings.SITE_ID = site.pk
    assert cache.get("key") is None
    cache.set("key", "own")
    with override_site(site):
        assert cache.get("key") == "own"


def test_django_knows_the_backend_as_its_own():
    assert isinstance(caches["default"], PerSiteCache)
    if "Database" in type(caches["default"]).__name__:
        assert isinstance(caches["default"], BaseDatabaseCache)  # createcachetable looks for it
