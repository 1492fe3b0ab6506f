"""Changes of the fleet: each one is whole, and right in live as in an environment with a format."""

import pytest
from django.contrib.sites.models import Site
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from sitefleet.exceptions import InvalidHost
from sitefleet.generation import Generation
from sitefleet.models import Alias, SiteConfig
from sitefleet.presented import shown
from sitefleet.registry import (
    add_alias,
    add_site,
    all_configs,
    change_site,
    find_alias,
    get_config,
    placeholder,
    promote_alias,
    set_state,
)
from sitefleet.resolver import resolver
from sitefleet.states import State
from sitefleet.sync import sync

LIVE = {"FRESHNESS": 0.0}
LOCAL = {"FRESHNESS": 0.0, "DOMAIN_FORMAT": "{slug}.localhost:8000"}


@pytest.fixture(params=[LIVE, LOCAL], ids=["live", "local"])
def environment(request):
    with override_settings(SITEFLEET=request.param):
        yield "live" if request.param is LIVE else "local"


def columns(site):
    return (
        Site.objects.values_list("domain", flat=True).get(pk=site.pk),
        SiteConfig.objects.values_list("domain", flat=True).get(pk=site.pk),
    )


def test_a_site_is_added_with_what_is_given(db, environment):
    site = add_site("DE", name="Germany", domain="Example.DE.", state=State.MAINTENANCE)
    config = get_config(site)
    assert (config.slug, config.production_domain, config.state) == (
        "de",
        "example.de",
        "maintenance",
    )
    host = {"live": "example.de", "local": "de.localhost:8000"}[environment]
    assert site.domain == host
    assert (
        columns(site) == {"live": ("example.de", None), "local": (host, "example.de")}[environment]
    )
    assert resolver.find(host).root.slug == "de"


def test_a_site_is_added_by_eight_statements(db):
    add_site("first", domain="first.example.org")
    with CaptureQueriesContext(connection) as found:
        add_site("de", domain="example.de")
    statements = [query["sql"] for query in found if "SAVEPOINT" not in query["sql"]]
    assert len(statements) == 8, statements


def test_slug_and_name_come_from_the_domain(db):
    site = add_site(domain="www.example.de")
    assert (site.name, shown(site).slug) == ("www.example.de", "example-de")
    assert add_site("only-slug").name == "only-slug"
    with pytest.raises(ValidationError):
        add_site()


def test_a_long_name_is_cut_to_what_the_column_holds(db):
    assert len(add_site("long", name="x" * 80).name) == 50


def test_a_site_without_a_domain_is_served_outside_of_live_only(db, environment):
    site = add_site("none")
    column = {"live": "none.invalid", "local": "none.localhost:8000"}[environment]
    assert columns(site) == (column, "")
    assert (resolver.find("none.localhost:8000").root is not None) == (environment == "local")
    assert resolver.find("none.invalid").root is None


def test_a_site_below_a_path_prefix_shares_the_domain(site):
    below = add_site("de", domain="one.example.org", path_prefix="de/")
    assert columns(below) == ("one.example.org/de", "one.example.org")
    assert below.domain == "one.example.org"
    with pytest.raises(ValidationError, match="is the domain of"):
        add_site("de2", domain="one.example.org", path_prefix="/de")
    with pytest.raises(ValidationError, match="needs a domain"):
        add_site("de3", path_prefix="/de")


def test_the_placeholder_becomes_the_first_site(db):
    before = Site.objects.get()
    assert placeholder() == before
    site = add_site("first", domain="first.example.org")
    assert site.pk == before.pk
    assert Site.objects.get().name == "first.example.org"
    assert placeholder() is None
    assert add_site("second").pk != before.pk


@pytest.mark.parametrize(
    "given", [{"slug": "example-com"}, {"domain": "example.com", "name": "Mine"}]
)
def test_the_first_site_may_be_called_as_the_placeholder_is(db, given):
    assert add_site(**given).pk == Site.objects.get().pk
    assert get_config(Site.objects.get()).slug == "example-com"


def test_the_placeholder_is_taken_over_with_its_own_id_only(db):
    pk = Site.objects.get().pk
    assert add_site("other", pk=pk + 6).pk == pk + 6
    assert Site.objects.count() == 2


def test_the_placeholder_is_known_after_sync_too(db):
    with override_settings(SITEFLEET=LOCAL):
        sync()
        assert placeholder() is not None
        assert resolver.is_empty()
        add_site("first", domain="first.example.org")
        assert Site.objects.count() == 1
        assert not resolver.is_empty()


@pytest.mark.parametrize("change", [{"name": "Mine"}, {"domain": "mine.example.org"}])
def test_a_placeholder_that_somebody_touched_is_a_site(db, change):
    Site.objects.update(**change)
    assert placeholder() is None
    add_site("first")
    assert Site.objects.count() == 2


def test_an_explicit_id_is_kept_and_the_next_one_is_free(site):
    assert add_site("fifty", pk=50).pk == 50
    assert add_site("next").pk > 50
    assert Site.objects.create(domain="more.example.org", name="More").pk > 50


def test_an_id_that_is_taken_is_refused(site):
    with pytest.raises(ValidationError, match="id"):
        add_site("again", pk=site.pk)
    assert Site.objects.get(pk=site.pk).name == "One"


def test_a_slug_that_is_taken_is_refused(site, other_site):
    with pytest.raises(ValidationError, match="slug one is taken"):
        add_site("ONE", domain="x.example.org")
    with pytest.raises(ValidationError, match="slug one is taken"):
        change_site(other_site, slug="one")


def test_a_host_that_is_too_long_for_the_column_is_refused(db):
    long = ".".join(["x" * 40] * 4)
    with pytest.raises(ValidationError, match="longer than the 100 characters"):
        add_site("long", domain=long)
    with override_settings(SITEFLEET=LOCAL):
        # The column holds the short local host, the long domain waits beside it.
        assert get_config(add_site("long", domain=long)).production_domain == long


def test_a_site_is_renamed(site, environment):
    sync()
    change_site(site, domain="New.example.org", name="New", slug="new")
    config = get_config(site)
    assert (config.slug, config.production_domain, config.site.name) == (
        "new",
        "new.example.org",
        "New",
    )
    host = {"live": "new.example.org", "local": "new.localhost:8000"}[environment]
    assert columns(site)[0] == host
    assert resolver.find(host).root.site.pk == site.pk
    for gone in ("one.example.org", "one.localhost:8000"):
        assert resolver.find(gone).root is None


def test_a_path_prefix_is_given_and_taken(site, environment):
    change_site(site, path_prefix="/de")
    assert get_config(site).path_prefix == "/de"
    assert columns(site)[1] == "one.example.org"
    change_site(site, path_prefix="")
    assert get_config(site).path_prefix == ""
    assert get_config(site).production_domain == "one.example.org"
    with pytest.raises(ValidationError, match="needs a domain"):
        change_site(site, domain="", path_prefix="/de")


def test_a_domain_can_be_taken_away(site, environment):
    change_site(site, domain="")
    assert get_config(site).production_domain == ""


def test_a_name_alone_leaves_the_columns_as_they_are(site):
    before = columns(site)
    with override_settings(SITEFLEET=LOCAL):
        change_site(site, name="Renamed")
    assert columns(site) == before
    assert Site.objects.get(pk=site.pk).name == "Renamed"


def test_nothing_is_written_when_nothing_differs(site, environment):
    sync()
    before = Generation.objects.get(pk=1).token
    change_site(site, slug="one", name="One", domain="one.example.org", path_prefix="")
    assert Generation.objects.get(pk=1).token == before


@pytest.mark.parametrize("state", State.values)
def test_the_state_is_set(site, state):
    assert set_state(site, state).state == state
    assert resolver.find(site.domain).root.state == state


def test_a_state_that_is_none_is_refused(site):
    with pytest.raises(ValueError, match="asleep"):
        set_state(site, "asleep")
    assert get_config(site).state == "active"


def test_an_alias_is_promoted_and_the_domain_becomes_an_alias(site, environment):
    add_alias(site, "new.example.org", redirect=False)
    promote_alias(find_alias("NEW.example.org"))
    assert get_config(site).production_domain == "new.example.org"
    assert list(Alias.objects.values_list("name", "redirect")) == [("one.example.org", True)]
    # And back, in one step too.
    promote_alias(find_alias("one.example.org"))
    assert get_config(site).production_domain == "one.example.org"
    assert list(Alias.objects.values_list("name", flat=True)) == ["new.example.org"]
    sync(production=True)
    assert columns(site) == ("one.example.org", None)


def test_a_promoted_alias_answers_at_once_and_the_old_name_redirects(site):
    promote_alias(add_alias(site, "new.example.org"))
    assert resolver.find("new.example.org").root.redirect == ""
    assert resolver.find("one.example.org").root.redirect == "new.example.org"


def test_an_alias_of_a_site_without_a_domain_can_be_promoted(db):
    site = add_site("none")
    promote_alias(add_alias(site, "new.example.org"))
    assert columns(site) == ("new.example.org", None)
    assert not Alias.objects.exists()


@pytest.mark.parametrize("promoted", ["root", "below"])
def test_a_domain_that_others_share_stays_theirs_when_an_alias_is_promoted(site, promoted):
    below = add_site("de", domain="one.example.org", path_prefix="/de")
    leaver = site if promoted == "root" else below
    promote_alias(add_alias(leaver, "new.example.org"))
    assert not Alias.objects.exists()
    assert get_config(leaver).production_domain == "new.example.org"
    stays = below if promoted == "root" else site
    assert get_config(stays).production_domain == "one.example.org"


def test_a_wildcard_cannot_be_promoted(site):
    alias = add_alias(site, "*.example.org")
    with pytest.raises(ValidationError, match="wildcard"):
        promote_alias(alias)
    assert Alias.objects.get() == alias


def test_aliases_are_found_in_any_spelling(site):
    alias = add_alias(site, "bücher.example")
    assert find_alias("XN--BCHER-KVA.example.") == alias
    assert find_alias("other.example") is None
    with pytest.raises(InvalidHost):
        find_alias("no way")


def test_all_sites_are_listed_by_slug(fleet):
    assert [config.slug for config in all_configs()] == ["de", "one", "two"]
