"""Rows of Django's Site, whoever makes them: each works, and keeps what belongs in the row."""

import copy
import json

import pytest
from django.contrib.sites.models import Site
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import connection
from django.test import override_settings

from sitefleet import override_site
from sitefleet.addresses import site_url
from sitefleet.generation import Generation
from sitefleet.lookup import get_site
from sitefleet.models import SiteConfig
from sitefleet.presented import shown
from sitefleet.registry import (
    add_alias,
    add_site,
    all_configs,
    change_site,
    configure_site,
    get_config,
)
from sitefleet.resolver import resolver
from sitefleet.site_rows import add_missing_configs, make_slug
from sitefleet.sync import sync
from tests.news.models import Article

LOCAL = {"FRESHNESS": 0.0, "DOMAIN_FORMAT": "{slug}.localhost:8000"}


def row(pk):
    return Site.objects.values_list("domain", "name").get(pk=pk)


def all_rows():
    sites, configs = (list(model.objects.order_by("pk").values()) for model in (Site, SiteConfig))
    for config in configs:
        del config["updated_at"]  # which a fixture has in milliseconds
    return [sites, configs]


def found(host):
    match = resolver.find(host).root
    return match and match.site.pk


def test_a_site_made_by_django_gets_a_configuration(db):
    site = Site.objects.create(domain="www.new.example.org", name="New")
    assert site.siteconfig.slug == "new-example-org"
    assert site.siteconfig.domain is None
    assert found("www.new.example.org") == site.pk


@pytest.mark.parametrize(
    ("domain", "slug"),
    [
        ("example.org:8000", "example-org"),
        ("www.example.org", "example-org"),
        ("127.0.0.1", "127-0-0-1"),
        ("[::1]", "site-1"),
        ("---", "site"),
        ("7", "site-7"),
        (f"{'x' * 62}.org", "x" * 62),
    ],
)
def test_slugs_are_made_of_domains(db, domain, slug):
    assert make_slug(domain) == slug


def test_a_slug_that_is_taken_gets_a_number(db):
    for domain in ("example.org", "www.example.org", "example-org"):
        Site.objects.create(domain=domain, name=domain)
    slugs = set(SiteConfig.objects.values_list("slug", flat=True))
    assert {"example-org", "example-org-2", "example-org-3"} <= slugs
    SiteConfig.objects.filter(slug="example-org").update(slug="x" * 63)
    assert make_slug("x" * 63) == "x" * 61 + "-2"


def insert_by_sql(domain):
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO django_site (domain, name) VALUES (%s, 'Raw')", [domain])
    return Site.objects.get(domain=domain)


def insert_in_bulk(domain):
    Site.objects.bulk_create([Site(domain=domain, name="Bulk")])
    return Site.objects.get(domain=domain)


def load_fixture(domain, tmp_path):
    fields = {"domain": domain, "name": "Loaded"}
    path = tmp_path / "sites.json"
    path.write_text(json.dumps([{"model": "sites.site", "pk": 77, "fields": fields}]))
    call_command("loaddata", str(path), verbosity=0)
    return Site.objects.get(pk=77)


@pytest.mark.parametrize("how", ["sql", "bulk", "fixture"])
def test_rows_that_came_in_otherwise_are_served_and_completed(site, how, tmp_path):
    ways = {"sql": insert_by_sql, "bulk": insert_in_bulk}
    if how == "fixture":
        made = load_fixture("raw.example.org", tmp_path)
    else:
        made = ways[how]("raw.example.org")
    assert not SiteConfig.objects.filter(pk=made.pk).exists()
    assert found("raw.example.org") == made.pk
    assert add_missing_configs("default") == 1
    assert add_missing_configs("default") == 0
    assert SiteConfig.objects.get(pk=made.pk).slug == "raw-example-org"
    assert found("raw.example.org") == made.pk


@pytest.mark.parametrize("complete", [sync, lambda: call_command("migrate", verbosity=0)])
def test_sync_and_migrate_complete_rows_that_came_in_otherwise(site, complete):
    made = insert_in_bulk("raw.example.org")
    complete()
    assert SiteConfig.objects.get(pk=made.pk).slug == "raw-example-org"


def test_asking_for_the_configuration_completes_a_row(site):
    made = insert_in_bulk("raw.example.org")
    assert get_config(made).slug == "raw-example-org"


def test_a_fixture_is_loaded_as_it_was_dumped(site, tmp_path):
    below = add_site("de", domain="one.example.org", path_prefix="/de")
    configure_site(below, mode="dedicated", serving={"workers": 5})
    path = str(tmp_path / "dump.json")
    call_command("dumpdata", "sites", "sitefleet.SiteConfig", "sitefleet.Alias", output=path)
    before = all_rows()
    Site.objects.all().delete()
    call_command("loaddata", path, verbosity=0)
    assert all_rows() == before
    assert resolver.find("one.example.org").at("/de/").site.pk == below.pk


@pytest.mark.parametrize("conf", [{"FRESHNESS": 0.0}, LOCAL])
def test_saving_a_site_that_was_handed_out_leaves_its_domain_alone(site, conf):
    below = add_site("de", domain="one.example.org", path_prefix="/de")
    without = add_site("none")
    before = {one.pk: row(one.pk)[0] for one in (site, below, without)}
    with override_settings(SITEFLEET=conf):
        for pk, domain in before.items():
            for one in (resolver.site(pk), get_site(pk), get_config(Site(pk=pk)).presented_site()):
                host = one.domain
                one.name = f"Saved {pk}"
                one.save()
                assert one.domain == host, "the instance shows the host as before"
                assert row(pk) == (domain, f"Saved {pk}")
                one.save()
                assert row(pk)[0] == domain


def test_saving_a_plain_row_leaves_a_borrowed_domain_alone(site):
    below = add_site("de", domain="one.example.org", path_prefix="/de")
    without = add_site("none")
    configs = list(SiteConfig.objects.order_by("pk").values())
    for pk in (site.pk, below.pk, without.pk):
        one = Site.objects.get(pk=pk)
        one.name = "Saved"
        before = one.domain
        one.save()
        assert row(pk) == (before, "Saved")
    assert list(SiteConfig.objects.order_by("pk").values()) == configs


def test_saving_other_fields_alone_looks_at_no_domain(site):
    one = Site.objects.get(pk=site.pk)
    one.domain, one.name = "not saved", "Saved"
    one.save(update_fields=["name"])
    assert row(site.pk) == ("one.example.org", "Saved")


def test_a_rename_by_django_is_served_at_once(site):
    one = Site.objects.get(pk=site.pk)
    one.domain = "Renamed.example.org"
    one.save()
    assert found("renamed.example.org") == site.pk
    assert found("one.example.org") is None


def test_a_rename_of_a_site_that_was_handed_out_is_a_rename(site):
    one = resolver.site(site.pk)
    one.domain = "renamed.example.org"
    one.save()
    assert row(site.pk)[0] == "renamed.example.org"
    assert resolver.site(site.pk).domain == "renamed.example.org"


def test_a_rename_by_django_below_a_path_prefix_keeps_the_prefix(site):
    below = add_site("de", domain="one.example.org", path_prefix="/de")
    one = Site.objects.get(pk=below.pk)
    one.domain = "other.example.org"
    one.save()
    assert row(below.pk)[0] == "other.example.org/de"
    assert resolver.find("other.example.org").at("/de/").site.pk == below.pk
    assert SiteConfig.objects.get(pk=below.pk).domain == "other.example.org"


def test_a_site_below_a_path_prefix_may_join_others_by_a_rename(site, other_site):
    below = add_site("de", domain="one.example.org", path_prefix="/de")
    one = Site.objects.get(pk=below.pk)
    one.domain = "two.example.org"
    one.save()
    assert resolver.find("two.example.org").at("/de/").site.pk == below.pk
    assert found("two.example.org") == other_site.pk


def test_a_domain_given_by_django_to_a_site_without_one_is_its_domain(db):
    site = add_site("none")
    one = Site.objects.get(pk=site.pk)
    one.domain = "given.example.org"
    one.save()
    config = SiteConfig.objects.get(pk=site.pk)
    assert (config.domain, config.production_domain) == (None, "given.example.org")


def test_a_site_made_in_a_borrowed_environment_gets_its_slug_back(db):
    with override_settings(SITEFLEET=LOCAL):
        made = Site.objects.create(domain="neu.localhost:8000", name="Neu")
        assert made.siteconfig.slug == "neu"
        assert found("neu.localhost:8000") == made.pk
        sync()
        assert SiteConfig.objects.get(pk=made.pk).production_domain == ""
        sync(production=True)
        assert row(made.pk)[0] == "neu.invalid"


def test_a_copy_of_a_presented_site_still_knows_its_row(site):
    with override_settings(SITEFLEET=LOCAL):
        one = copy.copy(resolver.site(site.pk))
        one.save()
        assert row(site.pk)[0] == "one.example.org"
        one.refresh_from_db()
        one.save()
        assert row(site.pk)[0] == "one.example.org"
        assert shown(one).host == "one.localhost:8000"


def test_a_deleted_site_is_gone_at_once(site):
    assert found(site.domain) == site.pk
    assert resolver.site(site.pk).pk == site.pk
    Site.objects.get(pk=site.pk).delete()
    assert found(site.domain) is None
    with pytest.raises(Site.DoesNotExist):
        resolver.site(site.pk)


def test_a_refused_save_changes_nothing(site, other_site):
    before = row(site.pk)
    with pytest.raises(ValidationError):
        change_site(site, domain="two.example.org", name="New name")
    assert row(site.pk) == before


def test_a_site_that_came_in_past_the_orm_is_served_by_its_number_outside_of_live(db, settings):
    Site.objects.bulk_create([Site(domain="live.example.org", name="Bare")])
    pk = Site.objects.get(domain="live.example.org").pk
    settings.SITEFLEET = {"DOMAIN_FORMAT": "{slug}.localhost:8000"}
    match = resolver.find(f"site-{pk}.localhost:8000").root
    assert (match.site.pk, match.site.domain) == (pk, f"site-{pk}.localhost:8000")
    with override_site(pk):
        assert Site.objects.get_current().domain == f"site-{pk}.localhost:8000"
    assert site_url(pk) == f"https://site-{pk}.localhost:8000/"
    assert pk in [config.pk for config in all_configs()]


def test_names_that_were_there_before_are_brought_into_normal_form(db):
    twins = {"bücher.example.org", "xn--bcher-kva.example.org"}
    names = ["Shop.Example.ORG", "MÜLLER.example.org", "No way", *twins]
    Site.objects.bulk_create([Site(domain=name, name=name) for name in names])
    add_missing_configs("default")
    domains = set(Site.objects.values_list("domain", flat=True))
    assert {"shop.example.org", "xn--mller-kva.example.org", "No way"} < domains
    assert twins < domains, "taken: both stay as they are"


def test_a_row_whose_domain_nobody_touches_can_be_saved_whatever_it_is(site):
    Site.objects.filter(pk=site.pk).update(domain="No way")
    row = Site.objects.get(pk=site.pk)
    row.name = "New"
    row.save()
    assert Site.objects.get(pk=site.pk).name == "New"


def test_a_redirect_never_comes_back_to_where_it_started(site, client):
    Site.objects.filter(pk=site.pk).update(domain="bücher.example.org")
    add_alias(site, "xn--bcher-kva.example.org")
    assert client.get("/site/", headers={"host": "xn--bcher-kva.example.org"}).status_code == 200


def test_no_alias_takes_the_host_that_a_site_has_here(site, other_site, settings, client):
    settings.SITEFLEET = {"DOMAIN_FORMAT": "{slug}.localhost:8000"}
    slug = site.siteconfig.slug
    add_alias(other_site, f"{slug}.localhost")
    answer = client.get("/site/", headers={"host": f"{slug}.localhost:8000"})
    assert (answer.status_code, answer.json()["id"]) == (200, site.pk)


def test_a_fixture_cannot_bring_an_old_token_back(site, tmp_path):
    fixture = tmp_path / "all.json"
    call_command("dumpdata", "sites", "sitefleet", output=str(fixture))
    before = Generation.objects.get(pk=1).token
    add_site("new", domain="new.example.org")
    call_command("loaddata", str(fixture), verbosity=0)
    assert Generation.objects.get(pk=1).token != before


def test_djangos_placeholder_is_somebodys_once_it_has_content(db):
    Site.objects.all().delete()
    Site.objects.create(pk=1, domain="example.com", name="example.com")
    Article.objects.create(site_id=1, title="Here since years")
    assert add_site("new", domain="new.example.org").pk != 1
    assert Article.objects.get().site.domain == "example.com"
