"""Three sites for the tests of URLconfs, and how to ask them."""

import pytest
from django.test import Client
from django.urls import get_urlconf

from sitefleet.registry import add_site, configure_site
from tests.persite.urlconfs import pages

MODULES = "tests.persite.urlconfs"
SHOP, BLOG, PLAIN = (f"{MODULES}.{name}" for name in ("shop", "blog", "plain"))
HOSTS = {"shop": "one.example.org", "blog": "two.example.org", "plain": "three.example.org"}
WHERE = {"shop": "/shop/where/", "blog": "/en/blog/where/", "plain": "/where/"}
ASYNC = {"shop": "/shop/async/", "blog": "/blog/async/", "plain": "/async/"}
ELSEWHERE = {"shop": "/shop/elsewhere/", "blog": "/blog/elsewhere/", "plain": "/elsewhere/"}
#: So that answers come from memory: threads must not wait for a database in memory.
WARM = pytest.mark.django_db(transaction=True)


@pytest.fixture(name="sites")
def three_sites(request, settings, site, other_site):
    """Three sites: two that have a URLconf, and one that has that of the project."""
    settings.ROOT_URLCONF, settings.LANGUAGE_CODE = PLAIN, "en"
    warm = request.node.get_closest_marker("django_db")
    settings.SITEFLEET = {"FRESHNESS": 3600.0 if warm else 0.0, "URLCONFS": [SHOP, BLOG]}
    configure_site(site, urlconf=SHOP)
    configure_site(other_site, urlconf=BLOG)
    third = add_site("three", domain="three.example.org")
    yield {"shop": site, "blog": other_site, "plain": third}
    pages.elsewhere_site.clear()
    assert get_urlconf() is None, "a URLconf was left over"


def get(name, path, **kwargs):
    client = Client(headers={"host": HOSTS[name]}, **kwargs)
    return client.get(path)
