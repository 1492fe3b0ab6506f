"""Names of sites: in normal form when saved, each once in the fleet, sites and aliases together."""

import pytest
from django.contrib.sites.models import Site
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.test import override_settings

from sitefleet.models import Alias, SiteConfig, ensure_free, registry_lock
from sitefleet.naming import clean_path_prefix
from sitefleet.registry import add_alias, add_site, get_config
from sitefleet.states import State
from tests.databases import together

BAD_NAMES = [
    "http://a.example.org",
    "a.example.org/de",
    "a b.example.org",
    "a..example.org",
    "-a.example.org",
    "a_b.example.org",
    "a.example.org:0",
    "[::1",
    "1.2.3",
    "co.uk",
    "x" * 64 + ".example.org",
    ".".join(["x" * 60] * 5),
    "",
]


@pytest.mark.parametrize("name", [*BAD_NAMES, "a.*.example.org", "*", "*.co.uk", "*.127.0.0.1"])
def test_an_alias_with_a_bad_name_is_not_saved(site, name):
    with pytest.raises(ValidationError) as raised:
        Alias(site=site, name=name).save()
    assert list(raised.value.message_dict) == ["name"]
    assert not Alias.objects.exists()


@pytest.mark.parametrize("name", [*BAD_NAMES, "*.example.org"])
def test_a_site_with_a_bad_name_is_not_saved_by_the_orm(db, name):
    before = Site.objects.count()
    with pytest.raises(ValidationError) as raised:
        Site.objects.create(domain=name, name="Bad")
    assert list(raised.value.message_dict) == ["domain"]
    assert Site.objects.count() == before


@pytest.mark.parametrize(
    ("name", "saved"),
    [
        ("B.Example.ORG", "b.example.org"),
        (" b.example.org. ", "b.example.org"),
        ("b.example.org:443", "b.example.org"),
        ("b.example.org:8000", "b.example.org:8000"),
        ("Bücher.example", "xn--bcher-kva.example"),
        ("[0:0::1]:80", "[::1]"),
    ],
)
def test_names_are_saved_in_normal_form(site, name, saved):
    assert add_alias(site, name).name == saved
    Alias.objects.all().delete()
    made = Site.objects.create(domain=name, name="B")
    made.refresh_from_db()
    assert made.domain == saved


def test_a_wildcard_alias_is_saved_in_normal_form(site):
    assert add_alias(site, "*.B.Example.org.").name == "*.b.example.org"


def test_full_clean_shows_the_mistake_beside_the_field(site, other_site):
    for alias in (Alias(site=site, name="no way"), Alias(site=site, name=other_site.domain)):
        with pytest.raises(ValidationError) as raised:
            alias.full_clean()
        assert list(raised.value.message_dict) == ["name"]
    with pytest.raises(ValidationError) as raised:
        SiteConfig(site=Site(pk=99), slug="x", path_prefix="/a b").full_clean()
    assert "path_prefix" in raised.value.message_dict


def test_an_alias_that_is_a_domain_is_refused_and_the_owner_named(site, other_site):
    with pytest.raises(ValidationError, match=r"two\.example\.org is the domain of Two \(two\)"):
        add_alias(site, "TWO.example.org.")


def test_an_alias_of_another_site_is_refused_and_the_owner_named(site, other_site):
    add_alias(other_site, "b.example.org")
    with pytest.raises(ValidationError, match=r"b\.example\.org is an alias of Two \(two\)"):
        add_alias(site, "b.example.org")


def test_a_domain_that_is_an_alias_is_refused_and_the_owner_named(site):
    add_alias(site, "b.example.org")
    with pytest.raises(ValidationError, match=r"b\.example\.org is an alias of One \(one\)"):
        Site.objects.create(domain="B.example.org", name="B")
    with pytest.raises(ValidationError, match=r"b\.example\.org is an alias of One \(one\)"):
        add_site("b", domain="b.example.org")


def test_a_domain_of_another_site_is_refused_and_the_owner_named(site, other_site):
    row = Site.objects.get(pk=site.pk)
    row.domain = "two.example.org"
    with pytest.raises(ValidationError, match=r"is the domain of Two \(two\)"):
        row.save()


def test_the_owner_is_named_without_a_configuration_too(site):
    Site.objects.bulk_create([Site(domain="bare.example.org", name="Bare")])
    with pytest.raises(ValidationError, match=r"is the domain of Bare \(\d+\)"):
        add_alias(site, "bare.example.org")


def test_taking_ones_own_alias_as_domain_says_how_to_promote_it(site):
    add_alias(site, "b.example.org")
    row = Site.objects.get(pk=site.pk)
    row.domain = "b.example.org"
    with pytest.raises(ValidationError, match=r"sites alias promote b\.example\.org"):
        row.save()


def test_names_that_wait_in_the_configuration_are_taken_too(site):
    add_site("de", domain="one.example.org", path_prefix="/de")
    add_site("us", domain="us.example.org", path_prefix="/us")
    with pytest.raises(ValidationError, match=r"is the domain of us\.example\.org \(us\)"):
        add_alias(site, "us.example.org")


def test_a_wildcard_and_the_name_it_covers_are_two_names(site, other_site):
    add_alias(site, "*.example.net")
    add_alias(other_site, "b.example.net")
    assert Alias.objects.count() == 2


def test_an_alias_may_be_saved_again(site):
    alias = add_alias(site, "b.example.org")
    alias.redirect = False
    alias.save()
    assert not Alias.objects.get().redirect


@pytest.mark.parametrize(
    ("text", "prefix"),
    [("", ""), ("/", ""), ("de", "/de"), ("/de/", "/de"), (" /de/berlin ", "/de/berlin")],
)
def test_path_prefixes_have_one_form(text, prefix):
    assert clean_path_prefix(text) == prefix


@pytest.mark.parametrize("text", ["/a b", "/ä", "//", "/..", "/a/../b", "/a//b", "/a?b", "/a%2fb"])
def test_path_prefixes_that_no_path_has_are_refused(text):
    if text.strip("/") == "":
        assert clean_path_prefix(text) == ""
        return
    with pytest.raises(ValidationError):
        clean_path_prefix(text)


@pytest.mark.parametrize("slug", ["de", "d", "de-berlin", "2024-de", "x" * 63])
def test_slugs_that_can_be_a_label_of_a_host_are_accepted(site, slug):
    config = get_config(site)
    config.slug = slug.upper()
    config.save()
    config.refresh_from_db()
    assert config.slug == slug


@pytest.mark.parametrize(
    "slug", ["", "7", "2024", "-de", "de-", "de_x", "de.x", "de x", "dé", "de\n x"]
)
def test_slugs_that_cannot_be_a_label_or_look_like_an_id_are_refused(site, slug):
    config = get_config(site)
    config.slug = slug
    with pytest.raises(ValidationError):
        config.save()


def test_the_database_refuses_two_sites_at_one_address(site, other_site):
    if not connection.features.supports_partial_indexes:
        pytest.skip("MySQL has no index for this; the lock and `ensure_free` stand alone")
    configs = SiteConfig.objects
    configs.filter(pk=site.pk).update(domain="x.example.org")
    with pytest.raises(IntegrityError), transaction.atomic():
        configs.filter(pk=other_site.pk).update(domain="x.example.org")


def test_the_database_refuses_a_path_prefix_without_a_kept_domain(site):
    with pytest.raises(IntegrityError), transaction.atomic():
        SiteConfig.objects.filter(pk=site.pk).update(path_prefix="/de")


def test_many_sites_may_have_no_production_domain(db):
    for slug in ("a", "b", "c"):
        add_site(slug)
    assert SiteConfig.objects.filter(domain="").count() == 3


def test_the_production_domain_is_known_wherever_it_waits(site):
    below = add_site("de", domain="one.example.org", path_prefix="/de")
    with override_settings(SITEFLEET={"DOMAIN_FORMAT": "{slug}.localhost:8000"}):
        for one in (site, below):
            config = SiteConfig.objects.get(pk=one.pk)
            assert config.production_domain == "one.example.org"
            assert config.presented_site().domain == f"{config.slug}.localhost:8000"
            # Presented twice, it still knows.
            config.presented_site()
            assert config.production_domain == "one.example.org"


def test_texts_are_what_people_look_for(site):
    assert str(get_config(site)) == "one"
    assert str(add_alias(site, "b.example.org")) == "b.example.org"
    assert State.ACTIVE == "active"


def test_the_lock_changes_no_token(site):
    with connection.cursor() as cursor:
        cursor.execute("SELECT token FROM sitefleet_generation WHERE id = 1")
        before = cursor.fetchone()
        with registry_lock():
            pass
        cursor.execute("SELECT token FROM sitefleet_generation WHERE id = 1")
        assert cursor.fetchone() == before


def test_a_free_name_is_free(site):
    ensure_free("free.example.org")
    ensure_free(site.domain, site=site.pk)
    ensure_free(site.domain, site=0, path_prefix="/de")


@pytest.mark.parametrize("attempt", range(3))
def test_of_those_who_take_a_name_at_once_one_gets_it(file_database, attempt):
    pks = [add_site(slug, domain=f"{slug}.example.org").pk for slug in ("one", "two")]

    def take(number):
        if number % 2:
            return add_site(f"new-{number}", domain="new.example.org")
        return Alias(site_id=pks[number // 2], name="new.example.org").save()

    results = together(take, 4)
    assert sum(isinstance(result, ValidationError) for result in results) == 3
    sites = Site.objects.filter(domain="new.example.org").count()
    assert sites + Alias.objects.filter(name="new.example.org").count() == 1
