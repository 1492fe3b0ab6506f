"""What the checks say of CACHES, and the line that they tell to write."""

import functools

import pytest
from django.core import checks
from django.core.cache.backends import locmem

from sitefleet.persite.cache import PerSiteCache, check_caches, make_key

OURS = "sitefleet.persite.cache"
DJANGOS = "django.core.cache.backends"
LOCMEM = f"{DJANGOS}.locmem.LocMemCache"


class OtherCache(locmem.LocMemCache):
    pass


class OtherPerSiteCache(PerSiteCache, OtherCache):
    pass


def other_key(key, prefix, version):
    return key


@functools.wraps(make_key)
def wrapped_key(key, prefix, version):
    return make_key(key, prefix, version)


def said(settings, **params):
    """Return the ids and the hint."""
    settings.CACHES = {"x": params}
    found = check_caches()
    return [message.id.removeprefix("sitefleet.") for message in found], "".join(
        message.hint for message in found
    )


@pytest.mark.parametrize(
    ("backend", "function"),
    [
        (f"{OURS}.LocMemCache", None),
        (f"{OURS}.RedisCache", f"{OURS}.make_key"),
        (f"{OURS}.LocMemCache", f"{OURS}.shared_by_all"),
        (f"{__name__}.OtherPerSiteCache", ""),
        (f"{__name__}.OtherPerSiteCache", wrapped_key),
        (LOCMEM, f"{OURS}.shared_by_all"),
        (f"{DJANGOS}.dummy.DummyCache", None),
        ("no.such.Backend", None),
        (None, None),
    ],
)
def test_what_is_right_is_passed_over(settings, backend, function):
    assert said(settings, BACKEND=backend, KEY_FUNCTION=function) == ([], "")


@pytest.mark.parametrize("name", ["LocMemCache", "RedisCache", "DatabaseCache", "FileBasedCache"])
def test_w301_a_cache_that_is_not_keyed_by_site_is_named_with_the_line_to_write(settings, name):
    module = {"LocMemCache": "locmem", "RedisCache": "redis", "DatabaseCache": "db"}
    path = f"{DJANGOS}.{module.get(name, 'filebased')}.{name}"
    ids, hint = said(settings, BACKEND=path)
    assert ids == ["W301"]
    assert f'CACHES["x"]["BACKEND"] = "{OURS}.{name}"' in hint
    assert f'CACHES["x"]["KEY_FUNCTION"] = "{OURS}.shared_by_all"' in hint


@pytest.mark.parametrize(
    ("backend", "function"),
    [
        (f"{__name__}.OtherCache", None),
        (f"{__name__}.OtherCache", other_key),
        (f"{__name__}.OtherPerSiteCache", f"{__name__}.other_key"),
        (f"{OURS}.LocMemCache", other_key),
    ],
)
def test_w301_for_other_backends_and_functions_names_the_key_function(settings, backend, function):
    ids, hint = said(settings, BACKEND=backend, KEY_FUNCTION=function)
    assert ids == ["W301"]
    assert f'CACHES["x"]["KEY_FUNCTION"] = "{OURS}.make_key"' in hint


@pytest.mark.parametrize(
    "function",
    [
        f"{OURS}.make_keys",
        f"{OURS}.shared",
        f"{OURS}.clear_site_cache",
        f"{OURS}.EPOCH",
        OURS,
        "sitefleet.cache.make_key",
        "no.such.function",
        "make_key",
    ],
)
@pytest.mark.parametrize("backend", [LOCMEM, f"{OURS}.LocMemCache"])
def test_e302_what_is_no_key_function_is_told_with_the_one_that_is(settings, backend, function):
    ids, hint = said(settings, BACKEND=backend, KEY_FUNCTION=function)
    assert ids == ["E302"]
    assert f'CACHES["x"]["KEY_FUNCTION"] = "{OURS}.make_key"' in hint


@pytest.mark.parametrize("function", [f"{OURS}.make_key", make_key, wrapped_key])
def test_w303_a_clear_that_clears_all_sites_is_told(settings, function):
    ids, hint = said(settings, BACKEND=LOCMEM, KEY_FUNCTION=function)
    assert ids == ["W303"]
    assert hint == f'CACHES["x"]["BACKEND"] = "{OURS}.LocMemCache"'
    ids, hint = said(settings, BACKEND=f"{__name__}.OtherCache", KEY_FUNCTION=function)
    assert ids == ["W303"]
    assert "clear_site_cache()" in hint


def test_all_caches_are_looked_at_by_manage_py_check(settings):
    settings.CACHES = {alias: {"BACKEND": LOCMEM} for alias in ("default", "other")}
    found = checks.run_checks(tags=[checks.Tags.caches])
    assert [message.id for message in found] == ["sitefleet.W301"] * 2
