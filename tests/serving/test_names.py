"""Names of sites as routers get them: proven equal with what the pipeline says."""

from itertools import product

import pytest
from django.contrib.sites.models import Site
from django.test import override_settings

from sitefleet.models import Alias, SiteConfig
from sitefleet.resolver import resolver
from sitefleet.serving.fleet import load_fleet
from tests.test_pipeline import ALIASES, FORMATS, SITES

pytestmark = pytest.mark.django_db

PORTS = ("", ":80", ":443", ":8000", ":8001", ":8443", ":65535")
PATHS = ("/", "/de", "/de/", "/de/berlin/x", "/tools", "/tools/x", "/any")
#: More than the pipeline's own table has: rows that only raw SQL can make.
STRANGE_SITES = [
    ("upper", "UPPER.example", ""),
    ("Slug", "slug.example", ""),
    ("twin", "fixed.germany.example", ""),  # an alias of another one too
    ("port", "ghana.example:8001", ""),
    ("site-77", "seventyseven.example", ""),
]


@pytest.fixture
def rows():
    for number, (slug, domain, prefix) in enumerate([*SITES, *STRANGE_SITES], 100):
        column = f"{domain}{prefix}" if domain else f"{slug}.invalid"
        Site.objects.bulk_create([Site(pk=number, domain=column, name=slug)])
        config = SiteConfig(site_id=number, slug=slug, path_prefix=prefix, mode="dedicated")
        config.domain = domain if prefix or not domain else None
        SiteConfig.objects.bulk_create([config])
    by_slug = {config.slug: config.pk for config in SiteConfig.objects.all()}
    Alias.objects.bulk_create(
        Alias(name=name, site_id=by_slug[slug], redirect=redirect)
        for name, slug, redirect in [*ALIASES, ("ghana.localhost", "usa", False)]
    )
    # Sites without a SiteConfig; the slug of the second one is taken.
    Site.objects.bulk_create(
        [
            Site(pk=76, domain="bare.example", name="bare"),
            Site(pk=77, domain="bare-too.example", name="bare too"),
        ]
    )
    resolver.reset()


@pytest.fixture(params=list(FORMATS))
def fleet(rows, request):
    conf = {
        "DOMAIN_FORMAT": FORMATS[request.param],
        "CACHE_SIZE": 10_000,
        "SERVING": {"mode": "dedicated"},
    }
    with override_settings(SITEFLEET=conf):
        yield load_fleet()


def leads_to(host, port, path):
    match = resolver.find(f"{host}{port}").at(path)
    return match and match.site.pk


def test_each_request_for_a_name_leads_to_its_site_whatever_its_port_and_path(fleet):
    named = [(site.id, name) for site in fleet.sites for name in site.names]
    assert len(named) > 5
    for (site, name), port, path in product(named, PORTS, PATHS):
        assert leads_to(name, port, path) == site, (name, port, path)


def test_a_name_is_left_out_only_where_it_leads_elsewhere_or_its_site_shares_its_host(fleet):
    named = {name for site in fleet.sites for name in site.names}
    alone = {site.id for site in fleet.sites if not site.shared_because}
    aliases = Alias.objects.filter(site__in=alone).exclude(name__contains="*")
    left_out = {alias.name: alias.site_id for alias in aliases if ":" not in alias.name}
    for name in left_out.keys() - named:
        found = {leads_to(name, port, path) for port, path in product(PORTS, PATHS)}
        assert found != {left_out[name]}, name


def test_a_site_shares_its_host_only_where_requests_for_it_lead_elsewhere(fleet):
    for site in fleet.sites:
        if site.shared_because:
            host = site.url.split("/")[2].rpartition(":")[0] or site.url.split("/")[2]
            found = {leads_to(host, port, path) for port, path in product(PORTS, PATHS)}
            assert found != {site.id}, site


def test_the_own_host_of_a_site_goes_before_its_aliases(fleet):
    site = next(site for site in fleet.sites if site.slug == "germany")
    if fleet.format:  # in live another site has a port of this host
        assert site.names[0] == fleet.format.format(slug="germany").partition(":")[0]
        return
    site = next(site for site in fleet.sites if site.slug == "shop")
    assert site.names[0] == "www.shop.example"
