"""What is remembered, and how much of it."""

import sys

import pytest
from django.contrib.sites.models import Site
from django.test import override_settings

from sitefleet.exceptions import InvalidHost
from sitefleet.pipeline import Entry
from sitefleet.registry import add_alias
from sitefleet.resolver import Memory, resolver
from tests.databases import together
from tests.resolver.asking import found


def test_a_known_host_costs_no_query(file_site, django_assert_num_queries):
    found("one.example.org")
    with django_assert_num_queries(0):
        assert found("one.example.org") == file_site.pk
        assert found("ONE.example.org.:80") == file_site.pk
        assert resolver.usual("one.example.org")[0] == file_site.pk


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
    assert resolver.usual("one.example.org") is None
    with django_assert_num_queries(1):
        for _ in range(5):
            found("one.example.org")
            clock.pass_(0.1)


def test_a_host_that_is_none_is_not_remembered(file_site):
    with pytest.raises(InvalidHost):
        resolver.find("no way")
    assert resolver.usual("no way") is None


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
