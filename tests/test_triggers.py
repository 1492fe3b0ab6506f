"""Whoever changes a site, by whatever means, changes the generation."""

import pytest
from django.contrib.sites.models import Site
from django.core.checks import run_checks
from django.core.management import call_command
from django.db import connection, models

from sitefleet import triggers
from sitefleet.generation import Generation
from sitefleet.models import Alias, SiteConfig
from sitefleet.registry import add_alias, add_site
from sitefleet.resolver import resolver

pytestmark = pytest.mark.django_db
#: On MySQL a statement that makes or drops something ends the transaction.
commits = pytest.mark.django_db(transaction=True)


def token():
    return Generation.objects.get(pk=1).token


def sql(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)


CHANGES = {
    "site saved": lambda: Site.objects.get(name="One").save(),
    "site created": lambda: Site.objects.create(domain="new.example.org", name="New"),
    "sites created in bulk": lambda: Site.objects.bulk_create([Site(domain="new.org", name="New")]),
    "site updated": lambda: Site.objects.filter(name="One").update(domain="new.example.org"),
    "site deleted": lambda: Site.objects.get(name="One").delete(),
    "site inserted by SQL": lambda: sql(
        "INSERT INTO django_site (domain, name) VALUES ('x.org', 'x')"
    ),
    "site updated by SQL": lambda: sql("UPDATE django_site SET name = 'x' WHERE name = 'One'"),
    "site deleted by SQL": lambda: sql("DELETE FROM django_site WHERE name = 'Plain'"),
    "configuration saved": lambda: SiteConfig.objects.get(slug="one").save(),
    "configuration updated": lambda: SiteConfig.objects.filter(slug="one").update(
        state="suspended"
    ),
    "configuration deleted": lambda: SiteConfig.objects.filter(slug="one").delete(),
    "configuration updated by SQL": lambda: sql(
        "UPDATE sitefleet_siteconfig SET state = 'archived'"
    ),
    "alias created": lambda: add_alias(Site.objects.get(name="One"), "c.example.org"),
    "alias moved": lambda: Alias.objects.update(site=Site.objects.get(name="Plain")),
    "alias deleted": lambda: Alias.objects.get().delete(),
    "alias deleted by SQL": lambda: sql("DELETE FROM sitefleet_alias"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_changes_the_token(site, change):
    Site.objects.bulk_create([Site(domain="plain.example.org", name="Plain")])
    add_alias(site, "b.example.org")
    before = token()
    CHANGES[change]()
    assert token() != before


def test_a_look_changes_nothing(site):
    before = token()
    assert list(Site.objects.all())
    assert resolver.find(site.domain)
    call_command("check", verbosity=0)
    assert token() == before


def test_the_token_is_no_counter(site):
    seen = set()
    for _ in range(20):
        site.save()
        seen.add(token())
    assert len(seen) == 20
    assert sorted(seen) != [min(seen) + step for step in range(20)]


def test_a_lost_row_comes_back_with_the_next_change(site):
    Generation.objects.all().delete()
    assert resolver.find("one.example.org").root is not None
    site.save()
    assert token()


def test_nothing_is_missing_after_migrate():
    assert triggers.missing(connection) == []


@commits
def test_installing_twice_is_installing_once():
    before = token()
    triggers.install(connection)
    triggers.install(connection)
    assert triggers.missing(connection) == []
    assert token() == before


@commits
def test_what_is_removed_is_missing_and_installed_again(site):
    triggers.remove(connection)
    assert triggers.missing(connection) == list(triggers.WATCHED)
    before = token()
    Site.objects.update(name="x")
    assert token() == before
    triggers.remove(connection)
    triggers.install(connection)
    assert triggers.missing(connection) == []
    Site.objects.update(name="y")
    assert token() != before


@commits
def test_migrate_puts_back_what_is_missing():
    triggers.remove(connection)
    assert "sitefleet.W102" in {found.id for found in run_checks(databases=["default"])}
    call_command("migrate", verbosity=0)
    assert triggers.missing(connection) == []
    assert "sitefleet.W102" not in {found.id for found in run_checks(databases=["default"])}


def test_a_table_that_another_migration_rebuilds_gets_its_triggers_back(file_database):
    site = add_site("one", domain="one.example.org")
    old = Site._meta.get_field("domain")
    new = models.CharField(max_length=150, unique=True)
    new.set_attributes_from_name("domain")
    new.model = Site
    with connection.schema_editor() as editor:
        editor.alter_field(Site, old, new)
    assert triggers.missing(connection) == ["django_site"], "SQLite drops them with the table"
    call_command("migrate", verbosity=0)
    assert triggers.missing(connection) == []
    before = token()
    Site.objects.filter(pk=site.pk).update(domain="new.example.org")
    assert token() != before


def test_the_names_of_triggers_fit_into_every_database():
    names = {triggers._name(table, op) for table in triggers.WATCHED for op in triggers.OPERATIONS}
    assert len(names) == 9
    assert max(map(len, names)) <= 63


class UnknownDatabase:
    vendor = "unknown"


def test_a_database_without_a_dialect_is_left_alone():
    assert triggers.missing(UnknownDatabase()) == list(triggers.WATCHED)
    triggers.install(UnknownDatabase())
