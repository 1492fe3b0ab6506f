"""What is remembered: for how long, how much of it, and by whom inside of transactions."""

import gc
import logging
import sys
from threading import Event

import pytest
from django.conf import settings
from django.contrib.sites import models as django_sites
from django.contrib.sites.models import Site
from django.db import DatabaseError, connection, transaction
from django.db.backends.utils import CursorWrapper
from django.test import override_settings

from sitefleet import override_site
from sitefleet.exceptions import InvalidHost
from sitefleet.models import Alias, Generation, SiteConfig
from sitefleet.pipeline import Entry
from sitefleet.registry import add_alias, add_site, change_site, set_state
from sitefleet.resolver import Memory, resolver
from tests.databases import elsewhere, together


class Clock:
    """The time as the resolver sees it: it stands still until it is moved."""

    now = 1000.0

    def __call__(self):
        return self.now

    def pass_(self, seconds):
        self.now += seconds


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    with override_settings(SITEFLEET={"FRESHNESS": 1.0, "CACHE_SIZE": 50}):
        clock = Clock()
        monkeypatch.setattr("sitefleet.resolver.monotonic", clock)
        yield clock


@pytest.fixture
def file_site(file_database):
    return add_site("one", name="One", domain="one.example.org")


def found(host):
    match = resolver.find(host).root
    return match and match.site.pk


def domain_of(pk):
    with override_site(pk):
        return Site.objects.get_current().domain


def sql(statement, *values):
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


# --- queries and size ---------------------------------------------------------


def test_a_known_host_costs_no_query(file_site, django_assert_num_queries):
    found("one.example.org")
    with django_assert_num_queries(0):
        assert found("one.example.org") == file_site.pk
        assert found("ONE.example.org.:80") == file_site.pk
        assert resolver.peek("one.example.org").root.site.pk == file_site.pk


@pytest.mark.parametrize(
    "host", ["one.example.org", "www.one.example.org", "a.b.c.example.net:81", "[::1]"]
)
def test_a_new_host_costs_one_query_known_or_not(file_site, host, django_assert_num_queries):
    found("any.example.org")
    with django_assert_num_queries(1):
        resolver.find(host)
        resolver.find(host)


def test_a_host_that_does_not_fit_the_environment_costs_none(file_site, django_assert_num_queries):
    with override_settings(SITEFLEET={"DOMAIN_FORMAT": "{slug}.localhost:8000"}):
        found("one.localhost:8000")
        with django_assert_num_queries(0):
            assert found("one.example.org") is None


def test_looking_at_the_generation_costs_one_query_in_each_interval(
    file_site, clock, django_assert_num_queries
):
    found("one.example.org")
    clock.pass_(1.01)
    assert resolver.peek("one.example.org") is None
    with django_assert_num_queries(1):
        for _ in range(5):
            found("one.example.org")
            clock.pass_(0.1)


def test_a_host_that_is_none_is_not_remembered(file_site):
    with pytest.raises(InvalidHost):
        resolver.find("no way")
    assert resolver.peek("no way") is None


def test_no_flood_of_made_up_hosts_grows_memory_or_pushes_out_a_site(file_site):
    add_alias(file_site, "*.wild.example.org", redirect=False)
    found("one.example.org")
    for number in range(300):
        assert found(f"{number}.nowhere.test") is None
        assert found(f"{number}.wild.example.org") == file_site.pk
        assert found(f"one.example.org:{number + 1000}") == file_site.pk
    memory = resolver._memory
    assert len(memory.derived) == 50
    assert list(memory.exact) == ["one.example.org"]


def test_memory_stays_bounded_under_20_000_random_hosts():
    memory = Memory(1, 100)
    for number in range(20_000):
        memory.keep(f"{number}.nowhere.test", Entry())
    assert len(memory.derived) == 100
    assert memory.get("19999.nowhere.test") is not None
    assert memory.get("0.nowhere.test") is None


def test_more_sites_than_the_memory_holds_are_all_served(file_database):
    rows = Site.objects.bulk_create([Site(domain=f"{n}.example.org", name="x") for n in range(120)])
    for _ in range(2):
        assert all(found(row.domain) for row in rows)
        assert len(resolver._memory.exact) == 50


def test_threads_that_make_room_at_the_same_time_do_not_stumble():
    memory = Memory(1, 3)

    def keep(thread):
        for number in range(2000):
            memory.keep(f"{thread}-{number}.test", Entry())

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        assert together(keep, 8) == [None] * 8
    finally:
        sys.setswitchinterval(interval)
    assert len(memory.derived) <= 3 + 8


# --- changes ------------------------------------------------------------------

CHANGES = {
    "save": lambda pk: change_site(Site(pk=pk), domain="new.example.org"),
    "update": lambda pk: Site.objects.filter(pk=pk).update(domain="new.example.org"),
    "sql": lambda pk: sql("UPDATE django_site SET domain = 'new.example.org' WHERE id = %s", pk),
    "bulk update": lambda pk: Site.objects.bulk_update(
        [Site(pk=pk, domain="new.example.org")], ["domain"]
    ),
    "delete": lambda pk: Site.objects.get(pk=pk).delete(),
    "delete query": lambda pk: Site.objects.filter(pk=pk).delete(),
    "delete sql": lambda pk: (
        sql("DELETE FROM sitefleet_siteconfig WHERE site_id = %s", pk),
        sql("DELETE FROM django_site WHERE id = %s", pk),
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_by_another_connection_is_seen_after_the_interval(file_site, clock, change):
    assert found("one.example.org") == file_site.pk
    assert found("new.example.org") is None
    assert domain_of(file_site.pk) == "one.example.org"
    elsewhere(CHANGES[change], file_site.pk)
    clock.pass_(1.01)
    assert found("one.example.org") is None
    if "delete" in change:
        with pytest.raises(Site.DoesNotExist):
            domain_of(file_site.pk)
    else:
        assert found("new.example.org") == file_site.pk
        assert domain_of(file_site.pk) == "new.example.org"


@pytest.mark.parametrize("change", ["save", "delete"])
def test_a_change_by_the_orm_is_seen_at_once_by_who_makes_it(file_site, change):
    assert found("one.example.org") == file_site.pk
    assert domain_of(file_site.pk) == "one.example.org"
    CHANGES[change](file_site.pk)
    assert found("one.example.org") is None
    assert found("new.example.org") == (None if change == "delete" else file_site.pk)


@pytest.mark.parametrize(
    "change",
    [
        lambda pk: Alias.objects.create(site_id=pk, name="b.example.org"),
        lambda pk: Alias.objects.bulk_create([Alias(site_id=pk, name="b.example.org")]),
        lambda pk: sql(
            "INSERT INTO sitefleet_alias (site_id, name, redirect)"
            " VALUES (%s, 'b.example.org', false)",
            pk,
        ),
        lambda _: Site.objects.bulk_create([Site(domain="b.example.org", name="B")]),
    ],
)
def test_an_unknown_host_is_found_after_the_interval(site, clock, change):
    assert found("b.example.org") is None
    change(site.pk)
    clock.pass_(1.01)
    assert found("b.example.org")


def test_an_alias_that_moves_to_another_site_is_seen(site, other_site, clock):
    alias = add_alias(site, "b.example.org", redirect=False)
    assert found("b.example.org") == site.pk
    Alias.objects.filter(pk=alias.pk).update(site=other_site)
    clock.pass_(1.01)
    assert found("b.example.org") == other_site.pk
    alias.delete()
    assert found("b.example.org") is None


@pytest.mark.parametrize("how", ["orm", "update", "sql"])
def test_a_suspended_site_is_seen(site, clock, how):
    assert resolver.find("one.example.org").root.plain
    if how == "orm":
        set_state(site, "suspended")
    elif how == "update":
        SiteConfig.objects.filter(pk=site.pk).update(state="suspended")
    else:
        sql("UPDATE sitefleet_siteconfig SET state = 'suspended' WHERE site_id = %s", site.pk)
    if how != "orm":
        clock.pass_(1.01)
    assert resolver.find("one.example.org").root.state == "suspended"


def test_a_change_that_came_while_the_generation_was_read_is_not_missed(file_site, monkeypatch):
    found("one.example.org")

    def read_then_hear(connection):
        resolver.announced()
        return 1

    resolver.announced()
    monkeypatch.setattr("sitefleet.resolver.read_generation", read_then_hear)
    resolver.find("one.example.org")
    assert resolver.peek("one.example.org") is None, "it looks again"


def test_settings_that_change_start_anew(file_site):
    assert found("one.example.org") == file_site.pk
    assert domain_of(file_site.pk) == "one.example.org"
    with override_settings(SITEFLEET={"DOMAIN_FORMAT": "{slug}.localhost"}):
        assert found("one.example.org") is None
        assert found("one.localhost") == file_site.pk
        assert domain_of(file_site.pk) == "one.localhost"
    assert domain_of(file_site.pk) == "one.example.org"


# --- transactions -------------------------------------------------------------


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


WAYS = {
    "orm": lambda pk: change_site(Site(pk=pk), domain="new.example.org"),
    "sql": lambda pk: sql("UPDATE django_site SET domain = 'new.example.org' WHERE id = %s", pk),
}


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
    assert not resolver._views
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
        savepoint = transaction.savepoint()
        change_site(file_site, domain="new.example.org")
        assert found("new.example.org") == file_site.pk
        transaction.savepoint_rollback(savepoint)
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


# --- when the database does not answer ----------------------------------------


@pytest.fixture
def broken(monkeypatch):
    def break_database():
        def refuse(self, *args):
            message = "no connection"
            raise DatabaseError(message)

        monkeypatch.setattr(CursorWrapper, "execute", refuse)

    return break_database


def test_known_sites_are_served_from_memory_while_the_database_is_away(
    file_site, clock, broken, caplog, monkeypatch
):
    found("one.example.org")
    broken()
    clock.pass_(1.01)
    with caplog.at_level(logging.WARNING, "sitefleet"):
        assert found("one.example.org") == file_site.pk
        assert found("one.example.org") == file_site.pk
    assert len(caplog.records) == 1, "one warning in each interval"
    assert "served from memory" in caplog.text
    monkeypatch.undo()
    resolver.announced()
    assert found("one.example.org") == file_site.pk


def test_without_anything_in_memory_the_error_is_the_answer(file_site, broken):
    resolver.reset()
    broken()
    with pytest.raises(DatabaseError):
        found("one.example.org")


def test_reading_the_setting_never_fails(file_site, clock, broken):
    with override_site(file_site):
        assert file_site.pk == settings.SITE_ID
        broken()
        clock.pass_(1.01)
        assert file_site.pk == settings.SITE_ID
        Site.objects.clear_cache()
        assert file_site.pk == settings.SITE_ID


def test_reading_the_setting_needs_no_database_at_all():
    # Here pytest-django refuses every query, as Django's SimpleTestCase does.
    django_sites.SITE_CACHE[8] = Site(pk=8)
    with override_site(7):
        assert settings.SITE_ID == 7
    with override_settings(SITE_ID=8, SITEFLEET={"DOMAIN_FORMAT": "{slug}.localhost"}):
        assert settings.SITE_ID == 8
        Site.objects.clear_cache()
        assert settings.SITE_ID == 8


def test_a_broken_transaction_is_left_alone(file_site, clock):
    domain_of(file_site.pk)
    with transaction.atomic():
        transaction.set_rollback(True)
        clock.pass_(1.01)
        with override_site(file_site):
            assert file_site.pk == settings.SITE_ID
            assert Site.objects.get_current().domain == "one.example.org"


# --- Django's own cache -------------------------------------------------------


def test_djangos_cache_is_fresh_in_a_process_that_serves_no_requests(file_site, clock):
    assert domain_of(file_site.pk) == "one.example.org"
    elsewhere(WAYS["sql"], file_site.pk)
    assert domain_of(file_site.pk) == "one.example.org", "promised is the interval"
    clock.pass_(1.01)
    assert domain_of(file_site.pk) == "new.example.org"


def test_the_current_site_costs_no_query_once_it_is_known(file_site, django_assert_num_queries):
    domain_of(file_site.pk)
    with django_assert_num_queries(0):
        domain_of(file_site.pk)


def test_a_site_without_a_configuration_is_the_current_site_too(file_database):
    Site.objects.bulk_create([Site(domain="bare.example.org", name="Bare")])
    bare = Site.objects.get(name="Bare")
    assert domain_of(bare.pk) == "bare.example.org"
    assert resolver.site(bare.pk) == bare


async def test_the_event_loop_is_never_blocked_by_a_look(file_site, clock, monkeypatch):
    elsewhere(domain_of, file_site.pk)
    looked = Event()
    monkeypatch.setattr(resolver, "after_look", looked.set)
    elsewhere(WAYS["sql"], file_site.pk)
    clock.pass_(1.01)
    with override_site(file_site):
        # A query in here would raise SynchronousOnlyOperation.
        assert file_site.pk == settings.SITE_ID
        assert looked.wait(10), "a thread looks"
    assert file_site.pk not in django_sites.SITE_CACHE
    assert elsewhere(domain_of, file_site.pk) == "new.example.org"


async def test_an_open_transaction_elsewhere_starts_no_threads_in_the_event_loop(
    file_site, monkeypatch
):
    elsewhere(domain_of, file_site.pk)
    monkeypatch.setattr("sitefleet.resolver.Thread", None)
    monkeypatch.setattr(resolver, "_views", {"a connection": "its view"})
    with override_site(file_site):
        assert file_site.pk == settings.SITE_ID


def test_the_generation_shows_its_token(db):
    assert str(Generation(token=5)) == "5"
