"""What is PostgreSQL's own: sequences, TRUNCATE, notifications, and locks between connections."""

import pytest
from django.contrib.sites.models import Site
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import connection, transaction
from django.test import override_settings

from sitefleet import triggers
from sitefleet.generation import Generation
from sitefleet.models import Alias, SiteConfig
from sitefleet.populate import populate
from sitefleet.registry import add_alias, add_site, change_site
from sitefleet.resolver import resolver
from sitefleet.sync import sync
from tests.acceptance.processes import populate_in_processes, run_data_tests
from tests.databases import elsewhere, together

pytestmark = pytest.mark.acceptance


def found(host):
    match = resolver.find(host).root
    return match and match.site.pk


def token():
    return Generation.objects.get(pk=1).token


def sql(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)


def test_the_tests_of_the_data_pass_on_postgresql_too(postgres_server):
    run_data_tests(postgres_server.settings("suite"))


@pytest.mark.parametrize("attempt", range(3))
def test_of_those_who_take_a_name_at_once_one_gets_it(postgres, attempt):
    pks = [add_site(slug, domain=f"{slug}.example.org").pk for slug in ("one", "two")]

    def take(number):
        if number % 3 == 0:
            return add_site(f"new-{number}", domain="new.example.org")
        if number % 3 == 1:
            return Alias(site_id=pks[number % 2], name="new.example.org").save()
        with transaction.atomic():  # as the admin does
            return Site.objects.create(domain="new.example.org", name=f"New {number}")

    results = together(take, 8)
    refused = [result for result in results if isinstance(result, ValidationError)]
    assert len(refused) == 7, results
    sites = Site.objects.filter(domain="new.example.org").count()
    assert sites + Alias.objects.filter(name="new.example.org").count() == 1


def test_of_those_who_promote_an_alias_at_once_none_loses_a_name(postgres):
    site = add_site("one", domain="one.example.org")
    for name in ("a.example.org", "b.example.org"):
        add_alias(site, name)

    def rename(number):
        name = ("x.example.org", "y.example.org")[number % 2]
        return change_site(site, domain=name)

    together(rename, 6)
    assert SiteConfig.objects.get(slug="one").production_domain in {
        "x.example.org",
        "y.example.org",
    }
    assert Alias.objects.count() == 2


SITES = {
    "de": {"id": 10, "domain": "example.de", "aliases": ["de.example.org", "*.de.example.org"]},
    "gh": {"domain": "example.gh", "aliases": ["gh.example.org"]},
    "us": {"domain": "example.org", "path_prefix": "/us"},
    "fr": {"id": 11, "domain": "example.fr"},
}


def test_several_populate_at_once_and_each_site_is_made_once(postgres):
    with override_settings(SITEFLEET={"SITES": SITES}):
        reports = together(lambda _: populate(), 8)
        created = [slug for report in reports for slug in report.created]
        assert sorted(created) == sorted(SITES)
        assert Site.objects.count() == 1 + len(SITES)
        assert Alias.objects.count() == 3
        before = token()
        assert sorted(populate().unchanged) == sorted(SITES)
        assert token() == before


def test_eight_processes_populate_at_once(postgres):
    assert sorted(populate_in_processes(connection.settings_dict, SITES, 8)) == sorted(SITES)


def test_the_sequence_goes_on_behind_ids_that_were_given(postgres):
    first = add_site("first").pk
    with override_settings(SITEFLEET={"SITES": {"next": {"id": first + 1}, "far": {"id": 70}}}):
        populate()
    made = [Site.objects.create(domain=f"{n}.example.org", name="x").pk for n in range(3)]
    assert made == [71, 72, 73]
    assert add_site("by-hand", pk=80).pk == 80
    assert add_site("after").pk == 81


def test_a_sequence_that_others_use_is_not_set_back(postgres):
    add_site("first")

    def refused():
        with transaction.atomic():
            Site.objects.create(domain="lost.example.org", name="x")
            transaction.set_rollback(True)

    refused()
    sql("SELECT setval(pg_get_serial_sequence('django_site', 'id'), 500)")
    with override_settings(SITEFLEET={"SITES": {"plain": {}}}):
        populate()
    assert Site.objects.get(siteconfig__slug="plain").pk == 501


def test_truncate_is_seen(postgres):
    site = add_site("one", domain="one.example.org")
    add_alias(site, "b.example.org")
    assert found("b.example.org") == site.pk
    before = token()
    sql("TRUNCATE sitefleet_alias")
    assert token() != before
    assert found("b.example.org") is None
    sql("TRUNCATE django_site CASCADE")
    assert found("one.example.org") is None


@pytest.mark.parametrize("statement", ["COPY", "MERGE", "UPSERT"])
def test_other_statements_of_postgresql_are_seen(postgres, statement):
    before = token()
    with connection.cursor() as cursor:
        if statement == "COPY":
            with cursor.copy("COPY django_site (domain, name) FROM STDIN") as copy:
                copy.write_row(("copied.example.org", "Copied"))
        elif statement == "MERGE":
            cursor.execute(
                "MERGE INTO django_site s USING (SELECT 'merged.example.org' AS d) n"
                " ON s.domain = n.d WHEN NOT MATCHED THEN INSERT (domain, name) VALUES (n.d, 'x')"
            )
        else:
            cursor.execute(
                "INSERT INTO django_site (domain, name) VALUES ('example.com', 'y')"
                " ON CONFLICT (domain) DO UPDATE SET name = 'y'"
            )
    assert token() != before


def test_a_trigger_finds_its_table_whatever_the_search_path_is(postgres):
    before = token()
    sql("SET search_path = ''")
    sql("UPDATE public.django_site SET name = 'x'")
    sql("RESET search_path")
    assert token() != before


def test_what_a_transaction_changes_others_see_after_the_commit(postgres):
    site = add_site("one", domain="one.example.org")
    with transaction.atomic():
        change_site(site, domain="new.example.org")
        assert found("new.example.org") == site.pk
        assert elsewhere(found, "new.example.org") is None
    assert elsewhere(found, "new.example.org") == site.pk


def test_a_transaction_that_sees_the_past_does_not_spoil_the_memory_of_others(postgres):
    site = add_site("one", domain="one.example.org")
    with transaction.atomic():
        sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        assert found("one.example.org") == site.pk
        elsewhere(lambda: change_site(site, domain="new.example.org"))
        assert elsewhere(found, "new.example.org") == site.pk
        # The past, as this transaction sees it ...
        assert found("new.example.org") is None
        assert found("one.example.org") == site.pk
        # ... and the present, as all others do.
        assert elsewhere(found, "one.example.org") is None
        assert elsewhere(found, "new.example.org") == site.pk
    assert found("new.example.org") == site.pk
    assert found("one.example.org") is None


def test_two_syncs_at_once_come_to_the_same(postgres):
    for slug in ("one", "two", "three"):
        add_site(slug, domain=f"{slug}.example.org")
    with override_settings(SITEFLEET={"DOMAIN_FORMAT": "{slug}.localhost:8000"}):
        assert sorted(together(lambda _: len(sync()), 6)) == [0, 0, 0, 0, 0, 3]


def test_names_may_swap_between_sites_by_a_sync(postgres):
    one = add_site("one", domain="two.localhost")
    add_site("two", domain="one.localhost")
    with override_settings(SITEFLEET={"DOMAIN_FORMAT": "{slug}.localhost"}):
        sync()
        assert Site.objects.get(pk=one.pk).domain == "one.localhost"
        sync(production=True)
        assert Site.objects.get(pk=one.pk).domain == "two.localhost"


def test_back_to_zero_leaves_nothing_behind(postgres):
    call_command("migrate", "sitefleet", "zero", verbosity=0)
    Site.objects.create(domain="new.example.org", name="New")
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_proc WHERE proname LIKE 'sitefleet%'")
        assert cursor.fetchone() == (0,)
    call_command("migrate", verbosity=0)
    assert triggers.missing(connection) == []
    assert found("new.example.org")


def test_changes_by_us_and_by_update_do_not_deadlock(postgres):
    site = add_site("one", domain="one.example.org")

    def change(number):
        for turn in range(150):
            if number % 2:
                change_site(site, name=f"Ours {turn}")
            else:
                Site.objects.filter(pk=site.pk).update(name=f"Theirs {turn}")

    assert together(change, 4) == [None] * 4
