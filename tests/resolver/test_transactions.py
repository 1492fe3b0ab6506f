"""Inside of a transaction one sees what one changed; after it, everybody what is true."""

import gc

import pytest
from django.contrib.sites.models import Site
from django.db import connection, transaction

from sitefleet import override_site
from sitefleet.registry import add_site, change_site
from sitefleet.resolver import resolver
from tests.databases import elsewhere
from tests.resolver.asking import WAYS, domain_of, found, sql


def test_what_a_transaction_changes_it_sees_and_others_do_not(file_site):
    with transaction.atomic():
        change_site(file_site, domain="new.example.org")
        assert found("new.example.org") == file_site.pk
        assert found("one.example.org") is None
        assert elsewhere(found, "one.example.org") == file_site.pk
        assert elsewhere(found, "new.example.org") is None
    assert found("new.example.org") == file_site.pk
    assert elsewhere(found, "new.example.org") == file_site.pk
    assert elsewhere(found, "one.example.org") is None


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("looked_before", [True, False])
def test_a_rollback_leaves_nothing_behind_for_anybody(file_site, clock, way, looked_before):
    if looked_before:
        found("one.example.org")
    else:
        found("other.example.org")
    with transaction.atomic():
        WAYS[way](file_site.pk)
        assert found("new.example.org") == file_site.pk
        assert domain_of(file_site.pk) == "new.example.org"
        transaction.set_rollback(True)
    for _ in range(3):
        assert found("one.example.org") == file_site.pk
        assert found("new.example.org") is None
        assert domain_of(file_site.pk) == "one.example.org"
        assert elsewhere(found, "new.example.org") is None
        assert elsewhere(domain_of, file_site.pk) == "one.example.org"
        clock.pass_(1.01)


@pytest.mark.parametrize("way", WAYS)
def test_a_rollback_leaves_nothing_behind_in_djangos_cache(file_site, clock, way):
    for _ in range(3):
        found("other.example.org")
        clock.pass_(1.01)
    found("other.example.org")
    with transaction.atomic():
        WAYS[way](file_site.pk)
        assert domain_of(file_site.pk) == "new.example.org"
        transaction.set_rollback(True)
    assert domain_of(file_site.pk) == "one.example.org"


@pytest.mark.parametrize("way", WAYS)
def test_a_rollback_in_a_thread_that_ended_leaves_nothing_behind(file_site, clock, way):
    def roll_back():
        with transaction.atomic():
            WAYS[way](file_site.pk)
            assert found("new.example.org") == file_site.pk
            assert domain_of(file_site.pk) == "new.example.org"
            transaction.set_rollback(True)

    for _ in range(3):
        found("other.example.org")
        clock.pass_(1.01)
    found("other.example.org")
    elsewhere(roll_back)
    gc.collect()
    assert not resolver._viewed
    clock.pass_(1.01)
    assert found("new.example.org") is None
    assert domain_of(file_site.pk) == "one.example.org"


def test_two_transactions_rolled_back_in_a_row_do_not_meet(file_site):
    # As two tests of Django's TestCase do, each with its own site under the same name and id.
    for name in ("First", "Second"):
        with transaction.atomic():
            site = Site(pk=900, domain="test.example.org", name=name)
            site.save()
            assert resolver.find("test.example.org").root.site.name == name
            with override_site(900):
                assert Site.objects.get_current().name == name
            transaction.set_rollback(True)
    assert found("test.example.org") is None


def test_a_decorated_function_called_twice_runs_in_two_transactions(file_site):
    names = iter(["first", "second"])

    @transaction.atomic
    def work():
        name = next(names)
        if name == "first":
            change_site(file_site, domain="new.example.org")
        answers = found("new.example.org"), found("one.example.org")
        transaction.set_rollback(True)
        return answers

    assert work() == (file_site.pk, None)
    assert work() == (None, file_site.pk)


def test_a_savepoint_rolled_back_takes_its_changes_along(file_site):
    with transaction.atomic():
        change_site(file_site, domain="outer.example.org")
        with transaction.atomic():
            change_site(file_site, domain="inner.example.org")
            assert found("inner.example.org") == file_site.pk
            transaction.set_rollback(True)
        assert found("inner.example.org") is None
        assert found("outer.example.org") == file_site.pk
        with transaction.atomic():
            change_site(file_site, domain="kept.example.org")
        assert found("kept.example.org") == file_site.pk
    assert found("kept.example.org") == file_site.pk
    assert found("one.example.org") is None


def test_a_savepoint_by_hand_is_understood_too(file_site):
    with transaction.atomic():
        # The connection's own: Django 6.1 renames the function of `transaction`.
        savepoint = connection.savepoint()
        change_site(file_site, domain="new.example.org")
        assert found("new.example.org") == file_site.pk
        connection.savepoint_rollback(savepoint)
        assert found("new.example.org") is None
        assert domain_of(file_site.pk) == "one.example.org"


def test_the_first_site_page_is_not_decided_by_a_transaction_that_was_rolled_back(file_database):
    resolver.find("any.example.org")
    with transaction.atomic():
        sql("INSERT INTO django_site (domain, name) VALUES ('a.example.org', 'A')")
        assert not resolver.is_empty()
        transaction.set_rollback(True)
    assert resolver.is_empty()
    add_site("first")
    assert not resolver.is_empty()


def test_transactions_without_changes_share_the_memory(file_site, clock, django_assert_num_queries):
    found("one.example.org")
    with transaction.atomic(), django_assert_num_queries(0):
        found("one.example.org")
    clock.pass_(1.01)
    with transaction.atomic(), django_assert_num_queries(1):
        found("one.example.org")
        found("one.example.org")
