"""Sites from settings: as often as one likes, only what differs, all of it or nothing."""

import pytest
from django.contrib.sites.models import Site
from django.core.exceptions import ValidationError
from django.test import override_settings

from sitefleet.generation import Generation
from sitefleet.models import Alias, SiteConfig
from sitefleet.populate import Report, find_problems, populate
from sitefleet.registry import add_alias, add_site, get_config, set_state
from sitefleet.resolver import resolver
from tests.databases import together

SITES = {
    "de": {"id": 10, "domain": "example.de", "name": "Germany", "aliases": ["de.example.org"]},
    "gh": {
        "domain": "Example.GH",
        "name": "Ghana",
        "aliases": [{"name": "*.gh.example.org", "redirect": False}, {"name": "gh.example.org"}],
    },
    "us": {"domain": "example.org", "path_prefix": "us"},
    "bare": {},
}


@pytest.fixture
def wanted(settings):
    """Set the sites of the settings."""

    def want(sites, **conf):
        settings.SITEFLEET = {"FRESHNESS": 0.0, "SITES": sites, **conf}

    want(SITES)
    return want


def facts(slug):
    config = SiteConfig.objects.select_related("site").get(slug=slug)
    aliases = config.site.fleet_aliases.values_list("name", "redirect")
    return config.production_domain, config.site.name, config.path_prefix, list(aliases)


def everything():
    return [list(model.objects.order_by("pk").values()) for model in (Site, SiteConfig, Alias)]


def test_sites_are_created_as_they_are_described(db, wanted):
    report = populate()
    assert report == Report(created=list(SITES), missing_in_settings=["example-com"])
    assert facts("de") == ("example.de", "Germany", "", [("de.example.org", True)])
    aliases = [("*.gh.example.org", False), ("gh.example.org", True)]
    assert facts("gh") == ("example.gh", "Ghana", "", aliases)
    assert facts("us") == ("example.org", "example.org", "/us", [])
    assert facts("bare") == ("", "bare", "", [])
    assert Site.objects.get(name="Germany").pk == 10
    assert resolver.find("example.gh").root.slug == "gh"


@pytest.mark.parametrize("conf", [{}, {"DOMAIN_FORMAT": "{slug}.localhost:8000"}])
def test_a_second_run_changes_nothing(db, wanted, conf):
    wanted(SITES, **conf)
    populate()
    before, token = everything(), Generation.objects.get(pk=1).token
    assert populate() == Report(unchanged=list(SITES), missing_in_settings=["example-com"])
    assert everything() == before
    assert Generation.objects.get(pk=1).token == token, "nothing was written at all"


def test_only_what_the_settings_name_is_changed(db, wanted):
    populate()
    set_state(Site.objects.get(pk=10), "maintenance")
    before = facts("gh")
    wanted({"de": {"id": 10, "name": "Deutschland"}, "gh": {}})
    report = populate()
    assert (report.updated, report.unchanged) == (["de"], ["gh"])
    assert facts("de") == ("example.de", "Deutschland", "", [("de.example.org", True)])
    assert get_config(Site(pk=10)).state == "maintenance"
    assert facts("gh") == before


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"name": "Other"}, ("example.gh", "Other", "", [])),
        ({"domain": "other.example.gh"}, ("other.example.gh", "Ghana", "", [])),
        ({"domain": ""}, ("", "Ghana", "", [])),
        ({"path_prefix": "/x/"}, ("example.gh", "Ghana", "/x", [])),
        ({"aliases": ["B.example.gh"]}, ("example.gh", "Ghana", "", [("b.example.gh", True)])),
    ],
)
def test_what_differs_is_updated(db, wanted, change, expected):
    plain = {"domain": "example.gh", "name": "Ghana"}
    wanted({"gh": plain})
    populate()
    wanted({"gh": plain | change})
    assert populate().updated == ["gh"]
    assert facts("gh") == expected
    assert populate().unchanged == ["gh"]


def test_an_alias_changes_between_serving_and_redirecting(site, wanted):
    add_alias(site, "b.example.org")
    wanted({"one": {"aliases": [{"name": "b.example.org", "redirect": False}]}})
    assert populate().updated == ["one"]
    assert facts("one")[3] == [("b.example.org", False)]


def test_an_id_finds_its_site_under_any_slug(site, wanted):
    wanted({"new": {"id": site.pk}})
    assert populate().updated == ["new"]
    assert facts("new")[:2] == ("one.example.org", "One")
    assert Site.objects.count() == 1


def test_the_placeholder_becomes_the_first_site_whole(db, wanted):
    for spec in ({}, {"id": Site.objects.get().pk}):
        wanted({"de": spec | {"domain": "example.de"}})
        populate()
        assert facts("de") == ("example.de", "example.de", "", [])
        assert Site.objects.count() == 1
        assert populate().unchanged == ["de"]


def test_the_placeholder_without_a_domain_keeps_none(db, wanted):
    wanted({"de": {"id": Site.objects.get().pk}})
    populate()
    assert facts("de") == ("", "de", "", [])


def test_new_ids_follow_those_that_were_given(db, wanted):
    wanted({"far": {"id": 5000}})
    populate()
    assert Site.objects.create(domain="next.example.org", name="Next").pk > 5000


def test_sites_that_the_settings_do_not_name_are_reported_and_stay(fleet, wanted):
    wanted({"two": {}})
    report = populate()
    assert report.missing_in_settings == ["de", "one"]
    assert Site.objects.count() == 3


def test_a_dry_run_tells_and_changes_nothing(site, wanted):
    wanted(
        {
            "one": {"name": "Changed"},
            "new": {"domain": "new.example.org", "aliases": ["n.example.org"]},
        }
    )
    before, token = everything(), Generation.objects.get(pk=1).token
    report = populate(dry_run=True)
    assert (report.created, report.updated) == (["new"], ["one"])
    assert everything() == before
    assert Generation.objects.get(pk=1).token == token
    assert resolver.find("new.example.org").root is None


@pytest.mark.parametrize(
    "last",
    [
        {"domain": "one.example.org"},
        {"aliases": ["one.example.org"]},
        {"path_prefix": "/de"},
        {"domain": ".".join(["x" * 60] * 3)},
    ],
)
def test_one_mistake_and_nothing_is_changed(site, wanted, last):
    wanted({"new": {"domain": "new.example.org"}, "one": {"name": "Changed"}, "last": last})
    before = everything()
    with pytest.raises(ValidationError):
        populate()
    assert everything() == before


@pytest.mark.parametrize(
    ("sites", "said"),
    [
        ({"de": []}, "is not a dictionary"),
        ({"DE": {}}, "small letters"),
        ({"7": {}}, "is no number"),
        ({7: {}}, "is no number"),
        ({"de": {"domian": "x"}}, "did you mean 'domain'"),
        ({"de": {"zzz": "x"}}, "known are id, domain"),
        ({"de": {"id": "1"}}, "'id' cannot be '1'"),
        ({"de": {"id": True}}, "'id' cannot be True"),
        ({"de": {"name": None}}, "'name' cannot be None"),
        ({"de": {"aliases": "a.example.org"}}, "'aliases' cannot be"),
        ({"de": {"aliases": [5]}}, "an alias is a name or"),
        ({"de": {"aliases": [{"nam": "a.example.org"}]}}, "an alias is a name or"),
        ({"de": {"aliases": [{"name": 5}]}}, "an alias is a name or"),
        ({"de": {"aliases": [{"name": "a.org", "redirect": "no"}]}}, "an alias is a name or"),
        ({"de": {"aliases": [{"name": "a.org", "canonical": True}]}}, "an alias is a name or"),
        ({"de": {"domain": "http://example.de"}}, "without the scheme"),
        ({"de": {"domain": "*.example.de"}}, "only an alias can be a wildcard"),
        ({"de": {"domain": "co.uk"}}, "public suffix"),
        ({"de": {"path_prefix": "/a b"}}, "path prefix looks like"),
        ({"de": {"aliases": ["no way"]}}, "no spaces"),
        ({"de": {"id": 1}, "gh": {"id": 1}}, "the id 1 is that of 'de' too"),
        ({"de": {"domain": "a.org"}, "gh": {"domain": "A.org."}}, "a.org is a name of 'de' too"),
        (
            {"de": {"domain": "a.org"}, "gh": {"aliases": ["a.ORG:443"]}},
            "a.org is a name of 'de' too",
        ),
        (
            {
                "de": {"domain": "a.org", "path_prefix": "x"},
                "gh": {"domain": "a.org", "path_prefix": "/x/"},
            },
            "a.org/x is a name of 'de' too",
        ),
    ],
)
def test_every_mistake_is_found_without_a_database(sites, said):
    problems = list(find_problems(sites))
    assert len(problems) == 1
    assert said in problems[0]
    with (
        override_settings(SITEFLEET={"SITES": sites}),
        pytest.raises(ValidationError, match="SITES"),
    ):
        populate()


def test_all_mistakes_are_told_at_once():
    sites = {"DE": {"id": "1", "domain": "no way"}, "gh": {"nam": ""}}
    assert len(list(find_problems(sites))) == 4


def test_sites_that_share_a_domain_below_prefixes_are_no_mistake():
    sites = {"a": {"domain": "a.org"}, "b": {"domain": "a.org", "path_prefix": "/b"}}
    assert list(find_problems(sites | SITES)) == []


def test_several_at_once_make_each_site_once(file_database):
    with override_settings(SITEFLEET={"SITES": SITES}):
        reports = together(lambda _: populate(), 6)
        created = [slug for report in reports for slug in report.created]
        assert sorted(created) == sorted(SITES)
        assert Site.objects.count() == 1 + len(SITES)
        assert Alias.objects.count() == 3


def test_a_slug_with_an_id_that_belongs_to_another_site_is_refused(site, other_site, wanted):
    wanted({"one": {"id": other_site.pk}})
    with pytest.raises(ValidationError, match="slug one is taken"):
        populate()
    wanted({"two": {}, "one": {"id": other_site.pk}})
    with pytest.raises(ValidationError, match="is that of 'two'"):
        populate()


def test_an_id_that_is_given_is_not_taken_by_a_site_without_one(site, wanted):
    sites = {"a": {"id": 50}, "b": {"domain": "b.example.org"}, "c": {"id": 51}}
    wanted(sites)
    populate()
    assert populate().unchanged == ["a", "c", "b"]
    assert Site.objects.get(siteconfig__slug="c").pk == 51
    assert facts("b")[0] == "b.example.org"


def test_sites_are_not_mixed_up_when_one_was_added_by_hand(db, wanted):
    add_site("hand", domain="hand.example.org")
    populate()
    assert Site.objects.count() == 5
    assert facts("hand")[0] == "hand.example.org"


def test_what_follows_a_site_is_put_there_too(db, wanted):
    spec = {"theme": "gold", "urlconf": "tests.urls", "settings": {"DEFAULT_FROM_EMAIL": "a@b.de"}}
    declared = {
        "URLCONFS": ["tests.urls"],
        "SITE_SETTINGS": {"DEFAULT_FROM_EMAIL": {"type": "email"}},
    }
    wanted({"de": {"domain": "example.de", **spec}}, **declared)
    assert populate().created == ["de"]
    assert populate().unchanged == ["de"]
    config = SiteConfig.objects.get(slug="de")
    assert (config.theme, config.urlconf) == ("gold", "tests.urls")
    assert config.settings == {"DEFAULT_FROM_EMAIL": "a@b.de"}
    wanted({"de": {"theme": "silver"}}, **declared)
    assert populate().updated == ["de"]
    config.refresh_from_db()
    assert (config.theme, config.urlconf) == ("silver", "tests.urls")


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"theme": "../x"}, "theme"),
        ({"theme": 3}, "'theme'"),
        ({"urlconf": "os.path"}, "URLCONFS"),
        ({"settings": {"NOBODY_KNOWS": 1}}, "NOBODY_KNOWS"),
    ],
)
def test_what_cannot_follow_a_site_is_told(spec, reason):
    assert [problem for problem in find_problems({"de": spec}) if reason in problem]
