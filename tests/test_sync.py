"""`Site.domain` for this environment, and back to what it was; nothing else is touched."""

import pytest
from django.contrib.sites.models import Site
from django.contrib.sites.shortcuts import get_current_site
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import transaction
from django.test import RequestFactory, override_settings
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from sitefleet import override_site
from sitefleet.conf import get_conf
from sitefleet.generation import Generation
from sitefleet.models import Alias, SiteConfig
from sitefleet.registry import add_alias, add_site, change_site, get_config
from sitefleet.resolver import resolver
from sitefleet.sync import sync
from sitefleet.test import client_for
from tests.databases import together

LOCAL = {"FRESHNESS": 0.0, "DOMAIN_FORMAT": "{slug}.localhost:8000"}
TEST = {"FRESHNESS": 0.0, "DOMAIN_FORMAT": "{slug}.test.example.org"}
LIVE = {"FRESHNESS": 0.0}


def rows():
    """Return all that the fleet consists of, as it is in the database."""
    return [list(model.objects.order_by("pk").values()) for model in (Site, SiteConfig, Alias)]


def domains():
    return dict(Site.objects.values_list("siteconfig__slug", "domain"))


@pytest.fixture
def live(fleet):
    """A copy of a live database: domains of all kinds, with aliases."""
    add_site("none", name="No domain")
    add_site("port", domain="port.example.org:8443")
    add_site("idn", domain="bücher.example")
    add_alias(fleet[0], "b.example.org")
    add_alias(fleet[1], "*.example.net", redirect=False)
    return fleet


def test_every_site_gets_the_host_of_the_environment(live):
    with override_settings(SITEFLEET=LOCAL):
        changes = sync()
    assert {change.slug for change in changes} == {"de", "idn", "none", "one", "port", "two"}
    assert domains() == {slug: f"{slug}.localhost:8000" for slug in domains()}


def test_there_and_back_again_gives_the_same_rows(live):
    before = rows()
    for conf in (LOCAL, TEST, LOCAL):
        with override_settings(SITEFLEET=conf):
            sync()
            assert rows() != before
    with override_settings(SITEFLEET=LOCAL):
        sync(production=True)
    assert rows() == before


def test_a_sync_in_live_is_the_way_back_too(live):
    before = rows()
    with override_settings(SITEFLEET=LOCAL):
        sync()
    with override_settings(SITEFLEET=LIVE):
        sync()
    assert rows() == before


NAMES = st.from_regex("[a-z][a-z0-9]{0,7}", fullmatch=True)
FLEETS = st.dictionaries(
    NAMES,
    st.tuples(
        st.sampled_from(["", "{}.example.org", "www.{}.example", "{}.example.net:81"]),
        st.sampled_from(["", "/de"]),
    ),
    max_size=6,
)
FORMATS = st.sampled_from(
    [
        "{slug}.localhost:8000",
        "{slug}.test.example.org",
        "www-{slug}.example.org",
        "{slug}.example",
        "{slug}.invalid",
    ]
)


@hypothesis_settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(FLEETS, FORMATS, FORMATS)
def test_any_fleet_goes_there_and_back_again(db, fleet, first, second):
    with transaction.atomic():
        Site.objects.all().delete()
        for slug, (domain, prefix) in fleet.items():
            add_site(slug, domain=domain.format(slug), path_prefix=prefix if domain else "")
        before = rows()
        for domain_format in (first, second):
            with override_settings(SITEFLEET={"DOMAIN_FORMAT": domain_format}):
                sync()
                assert sync() == []
                host = get_config(Site.objects.first()).host() if fleet else ""
                assert not host or Site.objects.first().domain == host
        with override_settings(SITEFLEET={"DOMAIN_FORMAT": second}):
            sync(production=True)
        assert rows() == before
        transaction.set_rollback(True)


def test_a_second_run_finds_nothing_to_do(live):
    with override_settings(SITEFLEET=LOCAL):
        assert sync()
        token = Generation.objects.get(pk=1).token
        assert sync() == []
        assert Generation.objects.get(pk=1).token == token
    assert sync()
    assert sync(production=True) == []


def test_a_dry_run_tells_and_changes_nothing(live):
    Site.objects.bulk_create([Site(domain="bare.example.org", name="Bare")])
    before, token = rows(), Generation.objects.get(pk=1).token
    with override_settings(SITEFLEET=LOCAL):
        changes = sync(dry_run=True)
    assert [(c.slug, c.before, c.after, c.kept) for c in changes if c.slug == "one"] == [
        ("one", "one.example.org", "one.localhost:8000", "one.example.org")
    ]
    assert rows() == before
    assert Generation.objects.get(pk=1).token == token


def test_names_may_swap_between_sites(site, other_site):
    # One is called as the other one's host in the environment, and the other way round.
    change_site(site, domain="two.localhost:8000")
    change_site(other_site, domain="one.localhost:8000")
    before = rows()
    with override_settings(SITEFLEET=LOCAL):
        sync()
        assert domains() == {"one": "one.localhost:8000", "two": "two.localhost:8000"}
        sync(production=True)
    assert rows() == before


def test_a_name_made_here_by_others_is_no_production_domain(site):
    with override_settings(SITEFLEET=LOCAL):
        sync()
        made = Site.objects.create(domain="new.localhost:8000", name="New")
        Site.objects.bulk_create([Site(domain="bulk.localhost:8000", name="Bulk")])
        sync()
        assert get_config(made).production_domain == ""
        sync(production=True)
    assert domains() == {"one": "one.example.org", "new": "new.invalid", "bulk": "bulk.invalid"}


def test_a_production_domain_given_here_by_others_is_kept(site):
    with override_settings(SITEFLEET=LOCAL):
        sync()
        Site.objects.create(domain="new.example.org", name="New")
        sync()
        assert domains()["new-example-org"] == "new-example-org.localhost:8000"
        sync(production=True)
    assert domains()["new-example-org"] == "new.example.org"


def test_a_host_that_the_column_cannot_hold_stops_all_of_it(live):
    before = rows()
    conf = {"DOMAIN_FORMAT": f"{{slug}}.{'x' * 60}.{'x' * 40}.org"}
    with override_settings(SITEFLEET=conf), pytest.raises(ValidationError, match="longer than"):
        sync()
    assert rows() == before


def test_progress_is_told_up_to_the_end(live):
    told = []
    with override_settings(SITEFLEET=LOCAL):
        sync(progress=lambda done, total: told.append((done, total)))
    assert told[-1][0] == told[-1][1] > 0
    assert told == sorted(told)


@pytest.mark.acceptance  # it makes the fleet
def test_a_large_fleet_is_written_in_few_statements(db, django_assert_max_num_queries):
    Site.objects.bulk_create([Site(domain=f"{n}.example.org", name="x") for n in range(1200)])
    rows_ = Site.objects.exclude(domain="example.com")
    SiteConfig.objects.bulk_create([SiteConfig(site=row, slug=f"s{row.pk}") for row in rows_])
    with override_settings(SITEFLEET=LOCAL), django_assert_max_num_queries(60):
        assert len(sync()) == 1201


def test_two_runs_at_once_come_to_the_same(file_database):
    for slug in ("one", "two", "three"):
        add_site(slug, domain=f"{slug}.example.org")
    with override_settings(SITEFLEET=LOCAL):
        results = together(lambda _: len(sync()), 4)
        assert sorted(results) == [0, 0, 0, 3]
        assert domains() == {slug: f"{slug}.localhost:8000" for slug in domains()}


@pytest.mark.parametrize("wanted", [True, False])
def test_migrate_syncs_where_that_is_switched_on(site, wanted):
    with override_settings(SITEFLEET=LOCAL | {"SYNC_AFTER_MIGRATE": wanted}):
        call_command("migrate", verbosity=0)
    assert domains()["one"] == ("one.localhost:8000" if wanted else "one.example.org")


# --- a restored copy of the live database, without any sync -------------------


@pytest.mark.parametrize("conf", [LOCAL, TEST])
def test_a_restored_copy_answers_to_hosts_of_the_environment_only(live, conf):
    live_names = [c.production_domain for c in SiteConfig.objects.all() if c.production_domain]
    live_names += ["b.example.org", "a.example.net", "www.one.example.org", "none.invalid"]
    with override_settings(SITEFLEET=conf):
        for config in SiteConfig.objects.all():
            assert resolver.find(config.host()).root.site.pk == config.pk
        for name in live_names:
            assert resolver.find(name).root is None, name
            assert resolver.find(name).below == ()


def test_in_a_restored_copy_the_current_site_shows_the_host_of_the_environment(live, settings):
    settings.SITEFLEET = LOCAL
    for one in live:
        slug = get_config(one).slug
        with override_settings(SITE_ID=one.pk):
            # A command, a shell, a worker: nothing was entered, the default site is current.
            Site.objects.clear_cache()
            assert Site.objects.get_current().domain == f"{slug}.localhost:8000"
        with override_site(one.pk):
            Site.objects.clear_cache()
            assert Site.objects.get_current().domain == f"{slug}.localhost:8000"
            assert get_current_site(RequestFactory().get("/")).domain == f"{slug}.localhost:8000"
        assert client_for(one.pk).get("/site/").json()["domain"] == f"{slug}.localhost:8000"
    assert LOCAL["DOMAIN_FORMAT"] == get_conf().DOMAIN_FORMAT
    assert domains()["one"] == "one.example.org", "no row was written"


def test_in_live_the_current_site_below_a_prefix_shows_the_host_alone(live):
    with override_site(live[2].pk):
        assert Site.objects.get_current().domain == "one.example.org"
