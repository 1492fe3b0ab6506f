"""The table: hosts x environments x what is found. Each behaviour is one row."""
# ruff: noqa: E501 - a table is read across

import pytest
from django.contrib.sites.models import Site
from django.test import override_settings

from sitefleet.exceptions import InvalidHost
from sitefleet.models import Alias, SiteConfig
from sitefleet.resolver import resolver

#: slug, production domain, path prefix
SITES = [
    ("germany", "germany.example", ""),
    ("ghana", "ghana.example", ""),
    ("usa", "usa.example:8443", ""),
    ("munich", "xn--mnchen-3ya.example", ""),
    ("shop", "www.shop.example", ""),
    ("index", "shared.example", ""),
    ("de", "shared.example", "/de"),
    ("berlin", "shared.example", "/de/berlin"),
    ("tools", "prefixonly.example", "/tools"),
    ("four", "192.0.2.7", ""),
    ("six", "[2001:db8::1]", ""),
    ("loop", "[::1]", ""),
    ("new", "", ""),
]
#: name, slug of its site, redirect
ALIASES = [
    ("deutschland.example", "germany", True),
    ("allemagne.example", "germany", False),
    ("*.germany.example", "germany", False),
    ("*.south.germany.example", "ghana", False),
    ("fixed.germany.example", "ghana", False),
    ("germany.example:8001", "usa", False),
    ("*.germany.example:8001", "usa", False),
    ("*.old.example", "ghana", True),
    ("deutsch.example", "de", True),
    ("served.example", "de", False),
    ("localhost", "index", False),
    ("*.preview.localhost", "munich", False),
    ("*.ghana.localhost", "germany", True),
]
FORMATS = {
    "live": "",
    "local": "{slug}.localhost:8000",
    "test": "{slug}.test.example.net",
    "flat": "t-{slug}.example.net",
}
# environment | host and path | what is found | which behaviour that is
TABLE = """
live  | germany.example               | germany by host                     | the domain
live  | germany.example/any/path/     | germany by host                     | whatever the path is
live  | germany.example:80            | germany by host                     | the port of HTTP is no port
live  | germany.example:443           | germany by host                     | nor is that of HTTPS
live  | germany.example:9999          | germany by host                     | a domain answers at any port
live  | GERMANY.Example               | germany by host                     | upper case
live  | germany.example.              | germany by host                     | trailing dot
live  | GERMANY.example.:9999         | germany by host                     | all of it together
live  | usa.example:8443              | usa by host with port               | a domain with its port
live  | usa.example                   | nobody                              | a domain with a port is at that port only
live  | usa.example:8444              | nobody                              | and at no other
live  | germany.example:8001          | usa by host with port               | host with port before host
live  | xn--mnchen-3ya.example        | munich by host                      | IDN as browsers send it
live  | XN--MNCHEN-3YA.example        | munich by host                      | IDN in upper case
live  | münchen.example               | refused                             | a header is ASCII
live  | www.germany.example           | germany by www twin -> germany.example | www before a domain redirects, ahead of wildcards
live  | shop.example                  | shop by www twin -> www.shop.example | and the domain without its www
live  | www.allemagne.example         | germany by www twin -> germany.example | www before an alias
live  | www.www.ghana.example         | nobody                              | one www, not two
live  | www.192.0.2.7                 | refused                             | no www before an address
live  | deutschland.example           | germany by host -> germany.example  | an alias that redirects
live  | deutschland.example:9999      | germany by host -> germany.example  | at any port
live  | allemagne.example             | germany by host                     | an alias that is served
live  | a.germany.example             | germany by wildcard                 | a wildcard
live  | a.b.c.germany.example         | germany by wildcard                 | at any depth
live  | a.south.germany.example       | ghana by wildcard                   | the longest wildcard
live  | south.germany.example         | germany by wildcard                 | a wildcard is not for its own parent
live  | fixed.germany.example         | ghana by host                       | a name before a wildcard
live  | a.germany.example:8001        | usa by wildcard                     | a wildcard with its port before one without
live  | a.germany.example:8002        | germany by wildcard                 | which is not for other ports
live  | a.old.example                 | ghana by wildcard -> ghana.example  | a wildcard that redirects
live  | old.example                   | nobody                              | not the parent of a wildcard
live  | agermany.example              | nobody                              | not just the same ending
live  | shared.example                | index by host                       | the site at the root of a shared host
live  | shared.example/               | index by host                       | with a slash
live  | shared.example/de             | de at /de by host                   | a path prefix without its slash
live  | shared.example/de/            | de at /de by host                   | with it
live  | shared.example/de/x/          | de at /de by host                   | and below
live  | shared.example/de/berlin/x    | berlin at /de/berlin by host        | the longest prefix
live  | shared.example/de/berliner/   | de at /de by host                   | a prefix ends at a slash
live  | shared.example/delta/         | index by host                       | /delta is not below /de
live  | shared.example/DE/            | index by host                       | paths have upper and lower case
live  | shared.example//de/           | index by host                       | a double slash is another path
live  | shared.example:9999/de/       | de at /de by host                   | prefixes at any port
live  | www.shared.example/de/        | de at /de by www twin -> shared.example | the www twin of a prefix
live  | www.shared.example/           | index by www twin -> shared.example | and of the root
live  | prefixonly.example/tools/     | tools at /tools by host             | a host with prefixes only
live  | prefixonly.example/           | nobody                              | has nothing at its root
live  | deutsch.example               | de by host -> shared.example/de     | an alias leads below the prefix
live  | served.example/x/             | de by host -> shared.example/de     | an alias redirects to a site below a prefix, to be served or not
live  | 192.0.2.7                     | four by host                        | IPv4
live  | 192.0.2.7:8000                | four by host                        | IPv4 with a port
live  | 192.0.2.8                     | nobody                              | another IPv4
live  | [2001:db8::1]                 | six by host                         | IPv6
live  | [2001:DB8:0:0:0:0:0:1]:8000   | six by host                         | IPv6, the long form
live  | [::1]                         | loop by host                        | IPv6, loopback
live  | [0:0:0:0:0:0:0:1]             | loop by host                        | and its long form
live  | unknown.example               | nobody                              | an unknown host
live  | germany.localhost:8000        | nobody                              | another environment's host
live  | new.invalid                   | nobody                              | a site without a domain
live  | localhost                     | index by host                       | a single label is a name too
live  | ger_many.example              | refused                             | an underscore
live  | germany.example:x             | refused                             | a port that is none
live  | a.example, b.example          | refused                             | a list
local | germany.localhost:8000        | germany by environment rule         | the rule
local | germany.localhost             | germany by environment rule         | at the default port
local | germany.localhost:9999        | germany by environment rule         | at any port
local | GERMANY.localhost.:8000       | germany by environment rule         | in any spelling
local | new.localhost                 | new by environment rule             | a site needs no domain here
local | usa.localhost                 | usa by environment rule             | a domain's port is its own
local | de.localhost:8000/x/          | de by environment rule              | a site below a prefix has its own host here
local | berlin.localhost:8000         | berlin by environment rule          | each of them
local | localhost:8000                | index by host                       | the parent can be an alias
local | a.preview.localhost:8000      | munich by wildcard                  | wildcards that fit the format
local | www.ghana.localhost           | germany by wildcard -> germany.localhost:8000 | a redirect stays in the environment
local | ghana.localhost               | ghana by environment rule           | the rule before wildcards
local | unknown.localhost             | nobody                              | a slug that is none
local | a.germany.localhost           | nobody                              | a slug is one label
local | germany.example               | nobody                              | live domains do not answer
local | www.germany.example           | nobody                              | nor do their twins
local | allemagne.example             | nobody                              | nor their aliases
local | a.germany.example             | nobody                              | nor their wildcards
local | shared.example/de/            | nobody                              | nor what is below prefixes
local | 192.0.2.7                     | nobody                              | nor their addresses
local | germany.localhost.evil.example | nobody                             | the format is the end of the host
local | xgermany.localhost            | nobody                              | and the slug all of its beginning
test  | germany.test.example.net      | germany by environment rule         | another environment
test  | germany.test.example.net:8000 | germany by environment rule         | at any port
test  | test.example.net              | nobody                              | its parent, when it is no alias
test  | germany.localhost:8000        | nobody                              | the other environment does not answer
test  | germany.example               | nobody                              | nor does live
flat  | t-germany.example.net         | germany by environment rule         | a format with text ahead of the slug
flat  | germany.example.net           | nobody                              | which has to be there
flat  | t-.example.net                | refused                             | and a slug
"""
ROWS = [[cell.strip() for cell in line.split("|")] for line in TABLE.strip().splitlines()]


@pytest.fixture
def table_fleet(db):
    """All of the sites above, by as few statements as there can be."""
    rows = [
        Site(pk=pk, domain=f"{domain}{prefix}" or "new.invalid", name=slug)
        for pk, (slug, domain, prefix) in enumerate(SITES, 100)
    ]
    Site.objects.bulk_create(rows)
    SiteConfig.objects.bulk_create(
        SiteConfig(site=row, slug=slug, path_prefix=prefix, domain=None if not prefix else domain)
        for row, (slug, domain, prefix) in zip(rows, SITES, strict=True)
    )
    SiteConfig.objects.filter(slug="new").update(domain="")
    pks = {slug: pk for pk, (slug, _, _) in enumerate(SITES, 100)}
    Alias.objects.bulk_create(
        Alias(site_id=pks[slug], name=name, redirect=redirect) for name, slug, redirect in ALIASES
    )


def found(asked):
    host, slash, path = asked.partition("/")
    try:
        match = resolver.find(host).at(f"{slash}{path}" or "/")
    except InvalidHost:
        return "refused"
    if match is None:
        return "nobody"
    at = f" at {match.path_prefix}" if match.path_prefix else ""
    target = f" -> {match.redirect}" if match.redirect else ""
    return f"{match.slug}{at} by {match.how}{target}"


@pytest.mark.parametrize(
    ("environment", "asked", "expected"),
    [row[:3] for row in ROWS],
    ids=[f"{row[0]}: {row[3]}" for row in ROWS],
)
def test_a_host_leads_to_its_site(environment, asked, expected, table_fleet):
    with override_settings(SITEFLEET={"DOMAIN_FORMAT": FORMATS[environment]}):
        assert found(asked) == expected
        assert found(asked) == expected, "the second time, from memory"


@override_settings(SITEFLEET={"WWW": False})
def test_the_www_twin_can_be_switched_off(table_fleet):
    assert found("www.ghana.example") == "nobody"
    assert found("shop.example") == "nobody"
    assert found("www.shop.example") == "shop by host"


@pytest.mark.django_db(transaction=True)  # inside of one the resolver looks more often
def test_a_first_visit_is_one_query_and_the_next_is_none(
    table_fleet, django_assert_num_queries, settings
):
    settings.SITEFLEET = {"FRESHNESS": 3600}
    found("germany.example")  # reads the generation
    for host in ("ghana.example", "unknown.example", "a.b.c.old.example:81", "www.shared.example"):
        with django_assert_num_queries(1):
            found(host)
        with django_assert_num_queries(0):
            found(host)


@pytest.mark.django_db(transaction=True)
def test_the_live_names_are_not_even_looked_up_in_another_environment(
    table_fleet, django_assert_num_queries, settings
):
    settings.SITEFLEET = {"FRESHNESS": 3600, "DOMAIN_FORMAT": FORMATS["local"]}
    found("germany.localhost")  # reads the generation
    with django_assert_num_queries(0):
        assert found("ghana.example") == "nobody"


def test_names_that_raw_sql_gave_twice_are_the_domain_first(table_fleet):
    Alias.objects.bulk_create([Alias(site_id=100, name="ghana.example", redirect=True)])
    assert found("ghana.example") == "ghana by host"
