"""The fleet as `hosting` gets it."""

import pytest
from django.contrib.sites.models import Site
from django.db import connection
from django.test.utils import CaptureQueriesContext

from sitefleet.exceptions import InvalidSetting
from sitefleet.hosting.planning.fleet import read_fleet
from sitefleet.hosting.planning.plan import make_plan
from sitefleet.models import SiteConfig
from sitefleet.registry import add_alias, configure_site, set_state
from sitefleet.serving import fleet as module
from sitefleet.serving.fleet import load_fleet


@pytest.fixture(autouse=True)
def conf(settings):
    settings.SITEFLEET = {"SERVING": {"environment": ["FLAVOUR"], "options": {"timeout": 60}}}


def only(fleet):
    (site,) = fleet.sites
    return site


def test_it_travels_as_one_line(site):
    configure_site(site, mode="dedicated", serving={"warm_up": ["/"], "workers": 5})
    fleet = load_fleet()
    assert "\n" not in fleet.as_json()
    assert read_fleet(fleet.as_json()) == fleet


def test_shared_sites_are_counted_and_not_loaded(fleet):
    for number in range(20):
        Site.objects.create(domain=f"{number}.example.com")
    with CaptureQueriesContext(connection) as few:
        found = load_fleet()
    assert (found.sites, found.total) == ((), 23)
    configure_site(fleet[1], mode="dedicated")
    with CaptureQueriesContext(connection) as more:
        found = load_fleet()
    assert (only(found).id, found.total) == (fleet[1].pk, 23)
    assert len(more) < len(few) + 10


def test_all_are_listed_where_that_is_asked_for_and_there_are_not_too_many(fleet, monkeypatch):
    configure_site(fleet[1], mode="dedicated")
    found = load_fleet(everything=True)
    assert [site.id for site in found.sites] == [site.pk for site in fleet]
    assert found.total == 3
    assert len(make_plan(found).dedicated) == 1
    monkeypatch.setattr(module, "MOST_LISTED", 2)
    assert only(load_fleet(everything=True)).id == fleet[1].pk


def test_what_has_decided_the_mode_of_a_site_is_told(fleet, monkeypatch):
    configure_site(fleet[1], mode="dedicated")
    told = [site.mode_by for site in load_fleet(everything=True).sites]
    assert told == ["the project's mode", "its own mode", "the project's mode"]
    monkeypatch.setenv("SITEFLEET_SERVING_MODE", "dedicated")
    assert [site.mode_by for site in load_fleet().sites] == ["--mode", "its own mode", "--mode"]


@pytest.mark.usefixtures("db")
def test_a_mode_of_the_environment_that_is_none_is_refused(monkeypatch):
    monkeypatch.setenv("SITEFLEET_SERVING_MODE", "dedicatd")
    with pytest.raises(InvalidSetting, match=r"SITEFLEET_SERVING_MODE='dedicatd'.*shared, ded"):
        load_fleet()


def test_a_shared_site_is_listed_where_it_wants_asgi_or_paths(fleet):
    configure_site(fleet[0], serving={"workers": 5})
    configure_site(fleet[1], serving={"warm_up": ["/"]})
    assert only(load_fleet()).id == fleet[1].pk
    configure_site(fleet[2], serving={"interface": "asgi"})
    assert [site.id for site in load_fleet().sites] == [fleet[1].pk, fleet[2].pk]
    assert load_fleet().total == 3


def test_all_are_listed_where_the_project_is_dedicated_but_for_those_that_are_not(fleet, settings):
    settings.SITEFLEET = {"SERVING": {"mode": "dedicated"}}
    configure_site(fleet[1], mode="shared")
    found = load_fleet()
    assert [site.id for site in found.sites] == [fleet[0].pk, fleet[2].pk]
    assert found.total == 3


def test_own_options_go_before_those_of_the_project(site):
    configure_site(site, mode="dedicated", serving={"workers": 5})
    options = only(load_fleet()).options
    assert (options.workers, options.timeout, options.threads) == (5, 60, 2)


def test_what_raw_sql_has_put_there_does_not_count(site):
    strange = {"workers": 999, "idle": 5, "environment": {"FLAVOUR": "mild", "LD_PRELOAD": "x"}}
    SiteConfig.objects.update(mode="dedicated", serving=strange, state="asleep")
    found = only(load_fleet())
    assert (found.options.workers, found.options.idle) == (1, 5)
    assert found.options.environment == {"FLAVOUR": "mild"}
    assert found.state == "suspended", "as requests for it are answered"
    for values in ([], "text", 5, [{}]):
        SiteConfig.objects.update(serving=values)
        assert only(load_fleet()).options.workers == 1
    SiteConfig.objects.update(mode="forked")
    assert load_fleet().sites == ()


@pytest.mark.skipif(connection.vendor != "sqlite", reason="others keep texts in columns of text")
@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("django_site", "name"),
        *(("sitefleet_siteconfig", name) for name in ("slug", "domain", "path_prefix", "state")),
        *(("sitefleet_siteconfig", name) for name in ("mode", "serving")),
        ("sitefleet_alias", "name"),
    ],
)
def test_what_is_no_text_in_one_row_hides_no_other(fleet, table, column):
    add_alias(fleet[1], "alias.example.org")
    for site in fleet:
        configure_site(site, mode="dedicated", serving={"workers": 2})
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA ignore_check_constraints = 1")
        where = "id" if table == "django_site" else "site_id"
        sql = f"UPDATE {table} SET {column} = x'ff3a3a' WHERE {where} = %s"  # noqa: S608
        cursor.execute(sql, [fleet[1].pk])
        cursor.execute("PRAGMA ignore_check_constraints = 0")
    found = read_fleet(load_fleet().as_json())
    assert {fleet[0].pk, fleet[2].pk} <= {site.id for site in found.sites}
    if column == "serving" or table == "django_site":
        assert found.sites[1].names[0] == "two.example.org"
    assert all(site.options.workers == 2 for site in found.sites if site.id != fleet[1].pk)


def test_a_site_without_a_configuration_is_served_too(site, settings):
    settings.SITEFLEET = {"SERVING": {"mode": "dedicated"}}
    SiteConfig.objects.all().delete()
    found = only(load_fleet())
    assert (found.slug, found.names) == (f"site-{site.pk}", ("one.example.org",))


def test_a_site_with_everything(other_site):
    configure_site(other_site, mode="dedicated")
    add_alias(other_site, "old.example.org")
    add_alias(other_site, "a.example.org", redirect=False)
    add_alias(other_site, "*.wild.example.org", redirect=False)
    set_state(other_site, "maintenance")
    found = only(load_fleet())
    assert (found.slug, found.name, found.state) == ("two", "Two", "maintenance")
    assert found.url == "https://two.example.org/"
    assert found.names == ("two.example.org", "a.example.org", "old.example.org")


def test_a_host_that_is_shared_is_never_led_to_a_process_of_one_site(fleet):
    configure_site(fleet[0], mode="dedicated")
    configure_site(fleet[2], mode="dedicated")
    loaded = load_fleet()
    assert all(site.shared_because and not site.names for site in loaded.sites)
    assert make_plan(loaded).routes() == {}


def test_the_examples_are_shared_sites_with_their_addresses(fleet):
    configure_site(fleet[1], mode="dedicated")
    set_state(fleet[2], "suspended")
    assert load_fleet().examples == (("one", "https://one.example.org/"),)


def test_that_sites_are_asgi_by_default_is_for_dedicated_ones(fleet, settings):
    settings.SITEFLEET = {"SERVING": {"options": {"interface": "asgi"}}}
    configure_site(fleet[0], serving={"warm_up": ["/"]})
    configure_site(fleet[1], mode="dedicated")
    shared, dedicated = load_fleet().sites
    assert (shared.options.interface, dedicated.options.interface) == ("wsgi", "asgi")
