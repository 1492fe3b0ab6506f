"""Links from anywhere to a view of any site: `site_reverse()`, and `{% site_url %}`."""

import threading

import pytest
from asgiref.sync import async_to_sync
from django.contrib.sites.models import Site
from django.template import Context, Template
from django.test import override_settings
from django.urls import NoReverseMatch, set_script_prefix, set_urlconf
from django.utils import translation

from sitefleet import override_site
from sitefleet.addresses import site_reverse
from sitefleet.current import active_site_id
from sitefleet.exceptions import InvalidSetting, SiteError
from sitefleet.lookup import get_site
from sitefleet.models import SiteConfig
from sitefleet.registry import add_site, configure_site
from tests.persite.urlconfs import pages

MODULES = "tests.persite.urlconfs"
SHOP, BLOG, PLAIN = (f"{MODULES}.{name}" for name in ("shop", "blog", "plain"))
LINKS = {
    "one": "https://one.example.org/shop/where/",
    "two": "https://two.example.org/en/blog/where/",
    "de": "https://one.example.org/de/where/",
}


@pytest.fixture
def sites(settings, fleet):
    """A shop, a blog, and below a path prefix of the shop a site with the project's URLconf."""
    settings.ROOT_URLCONF, settings.LANGUAGE_CODE = PLAIN, "en"
    settings.SITEFLEET = {"FRESHNESS": 3600.0, "URLCONFS": [SHOP, BLOG]}
    configure_site(fleet[0], urlconf=SHOP)
    configure_site(fleet[1], urlconf=BLOG)
    return {slug: get_site(slug) for slug in LINKS}


def links(sites):
    return {slug: site_reverse(site, "where") for slug, site in sites.items()}


@pytest.mark.parametrize("here", [*LINKS, None])
def test_the_link_is_the_same_wherever_it_is_made(sites, here):
    with override_site(sites.get(here)):
        assert links(sites) == LINKS
        assert links({slug: site.pk for slug, site in sites.items()}) == LINKS
        assert links({slug: Site.objects.get(pk=site.pk) for slug, site in sites.items()}) == LINKS
    assert active_site_id() is None


@pytest.mark.parametrize("pinned", [SHOP, BLOG, PLAIN])
def test_what_is_pinned_for_this_request_does_not_matter(sites, pinned):
    set_urlconf(pinned)
    try:
        assert links(sites) == LINKS
    finally:
        set_urlconf(None)


@pytest.mark.django_db(transaction=True)  # so that the thread finds the sites in memory
def test_a_plain_thread_needs_no_site_of_its_own(sites):
    found, _, _ = {}, links(sites), links(sites)
    thread = threading.Thread(target=lambda: found.update(links(sites)))
    thread.start()
    thread.join()
    assert found == LINKS


def test_an_event_loop_needs_no_query(sites, django_assert_num_queries):
    async def look():
        return links(sites)

    with django_assert_num_queries(0):
        assert async_to_sync(look)() == LINKS


def test_it_takes_what_reverse_takes(sites):
    shop, front = sites["one"], "https://one.example.org/shop"
    assert site_reverse(shop, "item", args=[7]) == f"{front}/item/7/"
    assert site_reverse(shop, "item", kwargs={"pk": 7}) == f"{front}/item/7/"
    assert site_reverse(shop, pages.elsewhere) == f"{front}/elsewhere/"
    assert site_reverse(shop, "where", query={"a": ["1", "&"]}, fragment="top") == (
        f"{front}/where/?a=1&a=%26#top"
    )
    assert site_reverse(shop, "where", BLOG) == "https://one.example.org/en/blog/where/"
    admin = site_reverse(shop, "admin:index", "tests.urls", current_app="admin")
    assert admin == "https://one.example.org/admin/"


def test_the_language_is_the_active_one(sites):
    with translation.override("de"):
        assert site_reverse(sites["two"], "where") == "https://two.example.org/de/blog/where/"


def test_the_url_is_made_under_the_site_itself(sites, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "sitefleet.addresses.reverse", lambda *_, **__: seen.append(active_site_id()) or "/"
    )
    site_reverse(sites["two"], "where")
    assert seen == [sites["two"].pk]


def test_in_other_environments_it_leads_to_the_host_there(sites, settings):
    settings.SITEFLEET = {"DOMAIN_FORMAT": "{slug}.localhost:8000", "URLCONFS": [SHOP, BLOG]}
    with override_settings(DEBUG=True):
        assert site_reverse(sites["two"].pk, "where") == "http://two.localhost:8000/en/blog/where/"
        assert site_reverse(sites["de"].pk, "where") == "http://de.localhost:8000/where/"


def test_where_the_server_mounts_the_project_all_sites_are_mounted(sites):
    set_script_prefix("/app/")
    try:
        assert site_reverse(sites["one"], "where") == "https://one.example.org/app/shop/where/"
        assert site_reverse(sites["de"], "where") == "https://one.example.org/app/de/where/"
    finally:
        set_script_prefix("/")


def test_without_urlconfs_it_works_too(fleet):
    assert site_reverse(fleet[2], "site") == "https://one.example.org/de/site/"


def test_mistakes_are_told(sites):
    with pytest.raises(NoReverseMatch, match="'item' not found"):
        site_reverse(sites["two"], "item", args=[1])
    with pytest.raises(
        TypeError, match=r"site_reverse\(\) takes a site or its id; get_site\('two'"
    ):
        site_reverse("two", "where")
    with pytest.raises(Site.DoesNotExist):
        site_reverse(987654, "where")
    with pytest.raises(SiteError, match="sites rename new DOMAIN"):
        site_reverse(add_site("new"), "where")
    SiteConfig.objects.filter(site=sites["two"]).update(urlconf="evil.module")
    with pytest.raises(InvalidSetting, match="'two' has the URLconf 'evil"):
        site_reverse(get_site("two"), "where")
    assert active_site_id() is None


# --- the tag ------------------------------------------------------------------------


def render(text, **context):
    return Template(f"{{% load sitefleet %}}{text}").render(Context(context))


def test_the_tag_links_to_a_view_of_another_site(sites):
    assert render("{% site_url site 'item' 7 %}", site=sites["one"]) == (
        "https://one.example.org/shop/item/7/"
    )
    assert render("{% site_url site 'item' pk=7 as link %}<{{ link }}>", site=sites["one"].pk) == (
        "<https://one.example.org/shop/item/7/>"
    )
    assert render("{% site_url site view %}", site=sites["two"], view="where") == LINKS["two"]


def test_without_a_view_the_tag_links_to_the_front_page(sites):
    assert render("{% site_url site %}", site=sites["de"]) == "https://one.example.org/de/"


def test_the_tag_escapes_as_the_others_do(sites):
    text = "{% site_url site 'named' '<a&b>' %}"
    link = "https://one.example.org/shop/named/%3Ca&b%3E/"
    assert render(text, site=sites["one"]) == link.replace("&", "&amp;")
    assert render(f"{{% autoescape off %}}{text}{{% endautoescape %}}", site=sites["one"]) == link


@pytest.mark.parametrize("view", ["'item'", "no_such_variable", "''"])
def test_a_view_that_is_none_is_an_error_as_with_url(sites, view):
    with pytest.raises(NoReverseMatch):
        render(f"{{% site_url site {view} %}}", site=sites["two"])


def test_arguments_of_a_view_may_have_any_name(sites):
    text = "{% site_url site 'of' site=3 view=4 %}"
    assert render(text, site=sites["one"]) == "https://one.example.org/shop/3/of/4/"
