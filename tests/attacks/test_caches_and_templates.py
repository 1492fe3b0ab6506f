"""Rows 13, 14, 15 and 16: what is kept of a page, what it is made of, and where it is.

Row 14 asks that ``Vary`` names the header by which the site was found. It is found by the host and
the path, which are in the address that caches go by; a forwarded host is looked at with row 3. What
threads have of row 16 stands with the other threads, in `test_state`.
"""

import json
from itertools import product

from django.core.cache import cache
from django.template.loader import render_to_string
from django.urls import get_urlconf, reverse
from django.urls.resolvers import _get_cached_resolver

from sitefleet import override_site
from sitefleet.models import SiteConfig
from sitefleet.persite.cache import clear_site_cache
from sitefleet.registry import add_alias
from tests.attacks.project import HERE, ONE, TWO

# --- row 13: keys -----------------------------------------------------------------------------


def call(visitor, *calls):
    """Let a visitor do with the cache of his site whatever he likes; return what came of it."""
    headers = {"content-type": "application/json"}
    return visitor.post("/cached/", body=json.dumps(calls).encode(), headers=headers).json()


def pieces(raw):
    """Return all that can be made of a very key: its beginnings and its ends."""
    return {raw[start:] for start in range(len(raw))} | {raw[:end] for end in range(1, len(raw))}


def test_row_13_who_knows_the_very_key_of_another_site_does_not_reach_it(visit, sites):
    with override_site(sites.one):
        cache.set("menu", "secret", version=7)
    (raw,) = [key for key in cache._cache if "menu" in key]
    before = dict(cache._cache)
    visitor = visit(sites.two)
    place = raw.split(":")[1]
    versions = [None, 7, raw, place, f"7:{raw}", f"..{place}", f":{place}", ":", "7:menu"]
    keys = ["menu", "7:menu", f"{place}:menu", *pieces(raw)]
    places = list(product(keys, versions))
    found = call(visitor, *(["get", key, None, version] for key, version in places))
    assert set(found) == {None}
    few = list(product(["menu", raw, f"{place}:menu"], versions))
    for name, arguments, expected_ in (
        ("has_key", (), False),
        ("touch", (60,), False),
        ("delete", (), False),
        ("add", ("forged",), True),
    ):
        found = call(visitor, *([name, key, *arguments, version] for key, version in few))
        assert set(found) == {expected_}, name
    call(visitor, *(["set", key, "forged", 60, version] for key, version in few))
    call(visitor, *(["incr_version", key, 1, version] for key, version in few if version == 7))
    call(visitor, *(["delete_many", [key], version] for key, version in few))
    assert {key: value for key, value in cache._cache.items() if key in before} == before
    visitor.get("/purge/")
    with override_site(sites.one):
        assert cache.get("menu", version=7) == "secret"


def test_row_13_a_fragment_of_one_site_shows_on_no_other(visit, sites):
    visitors = {site.pk: visit(site) for site in sites}
    seen = {pk: visitor.get("/fragment/").text for pk, visitor in visitors.items()}
    for pk, text in seen.items():
        assert text.split()[0] == str(pk)
        assert visitors[pk].get("/fragment/").text == text
    visitors[sites.two.pk].get("/purge/")
    for pk, text in seen.items():
        assert (visitors[pk].get("/fragment/").text == text) == (pk != sites.two.pk)


# --- row 14: pages ----------------------------------------------------------------------------


def test_row_14_a_page_is_kept_for_its_site_under_each_of_its_names(visit, sites):
    add_alias(sites.one, "served.example", redirect=False)
    hosts = {ONE: sites.one, f"{ONE}.": sites.one, "served.example": sites.one, TWO: sites.two}
    seen = {}
    for host, site in hosts.items():
        visitor = visit(site)
        visitor.host = host
        seen[host] = visitor.get("/page/").text
        assert seen[host].split()[0] == str(site.pk)
        assert visitor.get("/page/").text == seen[host]
    below = visit(sites.below)
    kept = below.get("/page/").text
    assert kept.split()[0] == str(sites.below.pk)
    clear_site_cache(sites.one)
    for host, site in hosts.items():
        visitor = visit(site)
        visitor.host = host
        assert (visitor.get("/page/").text == seen[host]) == (site is sites.two)
    assert below.get("/page/").text == kept


def test_row_14_a_name_that_goes_to_another_site_takes_no_page_along(visit, sites):
    alias = add_alias(sites.one, "moved.example", redirect=False)
    visitor = visit(sites.one)
    visitor.host = "moved.example"
    assert visitor.get("/page/").text.split()[0] == str(sites.one.pk)
    alias.site = sites.two
    alias.save()
    assert visitor.get("/page/").text.split()[0] == str(sites.two.pk)


def test_row_14_what_a_visitor_is_shown_is_kept_for_no_other(visit, sites, anna):
    """The same cookies on another site are another visitor, and so is one without any."""
    mine = visit(sites.one)
    mine.log_in()
    page = mine.get("/account/")
    assert page.text.split()[1] == "anna"
    assert "cookie" in page["vary"].lower()
    assert mine.get("/account/").text == page.text
    for site in sites:
        other = visit(site)
        assert other.get("/account/").text.split()[:2] == [str(site.pk), "nobody"]
        other.cookies = dict(mine.cookies) if site is not sites.one else {}
        assert other.get("/account/").text.split()[:2] == [str(site.pk), "nobody"]


def test_row_14_a_page_for_one_who_is_logged_in_on_both_is_kept_for_each(visit, sites, anna):
    seen = {}
    for site in sites:
        visitor = visit(site)
        visitor.log_in()
        seen[site.pk] = visitor.get("/account/").text.split()[:2]
    assert seen == {site.pk: [str(site.pk), "anna"] for site in sites}


def test_row_14_a_page_in_the_language_of_one_site_is_not_shown_by_another(visit, sites):
    answers = [visit(site).get("/page/") for site in sites]
    assert [answer["content-language"] for answer in answers] == ["de", "fr", "en"]
    again = [visit(site).get("/page/") for site in sites]
    assert [answer["content-language"] for answer in again] == ["de", "fr", "en"]


# --- row 15: templates ------------------------------------------------------------------------


def test_row_15_the_same_name_is_another_template_for_each_theme(visit, sites, lines):
    looks = {"one": "red over shared", "two": "blue over shared", "below": "shared"}
    for name in ("one", "two", "below", "one", "two"):
        visitor, look = visit(getattr(sites, name)), looks[name]
        assert visitor.get("/look/").json()["theme"] == look
        assert visitor.get("/nothing/").text == f"404 in {look}"
        assert visitor.get("/fail/").text == f"500 in {look}"
        assert visitor.get("/names/").text.endswith(f"|{look}")
        assert render_to_string("look.html") == "shared", "outside of sites"


def test_row_15_another_theme_is_seen_at_once_and_the_old_one_never_again(visit, sites):
    visitors = [visit(site) for site in sites]
    for themes in (("blue", "red", "red"), ("", "", "blue"), ("gone", "red", "")):
        for site, theme in zip(sites, themes, strict=True):
            SiteConfig.objects.filter(pk=site.pk).update(theme=theme)
        for visitor, theme in zip(visitors, themes, strict=True):
            seen = visitor.get("/look/").json()
            known = theme in ("red", "blue")
            assert seen["theme"] == (f"{theme} over shared" if known else "shared")
            assert seen["static"] == f"/static/{f'themes/{theme}/' if known else ''}look.css"


# --- row 16: URLs -----------------------------------------------------------------------------


def test_row_16_a_site_has_its_own_pages_and_links_and_none_of_another(visit, sites):
    where = {"one": "/red/where/", "two": "/blue/where/", "below": "/where/"}
    for name in ("one", "two", "below", "one"):
        visitor = visit(getattr(sites, name))
        for other, path in where.items():
            answer = visitor.get(path)
            assert answer.status == (200 if name == other else 404)
        seen = visitor.get("/look/").json()["where"]
        assert seen == visitor.prefix + where[name]
        assert (get_urlconf(), reverse("where")) == (None, "/where/")


def test_row_16_whatever_rows_name_there_are_no_more_resolvers(visit, sites):
    _get_cached_resolver.cache_clear()
    visitors = [visit(site) for site in sites]
    for number in range(4):
        for site, visitor in zip(sites, visitors, strict=True):
            name = ("no.such.module", f"{HERE}.urls_red", f"{HERE}.urls_blue", "")[number % 4]
            SiteConfig.objects.filter(pk=site.pk).update(urlconf=name)
            assert visitor.get("/form/").status == (503 if number % 4 == 0 else 200)
    assert _get_cached_resolver.cache_info().currsize <= 3
