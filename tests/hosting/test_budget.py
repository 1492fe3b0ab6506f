import importlib.util
import sys

import pytest

from sitefleet.exceptions import SiteError
from sitefleet.hosting.planning import budget as module
from sitefleet.hosting.planning.budget import check_descriptors, cost_of, make_budget
from sitefleet.hosting.planning.plan import make_plan
from tests.hosting.fleets import fleet, site


def budget(*sites, **more):
    return make_budget(make_plan(fleet(*sites, **more)))


def test_each_thread_of_each_process_may_hold_a_connection():
    plan = make_plan(fleet(site(1, options={"workers": 3, "threads": 4})))
    assert cost_of(plan.dedicated[0], "zygote").connections == 12
    assert make_budget(plan).connections == 12 + 2 + 1  # and the shared server's, and the reader's


def test_more_connections_than_the_database_lets_in_are_warned_of():
    sites = [site(pk) for pk in range(1, 60)]
    (warning,) = budget(*sites, database={"max_connections": 100}).warnings()
    assert "121 connections" in warning
    assert "lets in 100" in warning
    assert not budget(*sites, database={"max_connections": 121}).warnings()
    assert not budget(*sites).warnings()  # SQLite knows no such limit


def test_a_forked_process_is_small_and_a_limit_counts_as_what_it_may_own():
    plan = make_plan(fleet(site(1), site(2, options={"memory_limit": 50, "workers": 2})))
    assert [cost_of(one, "zygote").megabytes for one in plan.dedicated] == [20, 100]
    assert [cost_of(one, "uwsgi").megabytes for one in plan.dedicated] == [100, 100]


def test_too_low_a_limit_of_open_files_is_told_with_numbers():
    needed = budget(*[site(pk) for pk in range(1, 1001)])
    with pytest.raises(SiteError, match=f"need {needed.descriptors} open files.* may open 1024"):
        check_descriptors(needed, 1024)


def test_a_limit_for_the_sites_and_few_clients_is_warned_of():
    small = budget(site(1))
    assert "60 clients" in check_descriptors(small, small.descriptors + 120)
    assert check_descriptors(small, small.wanted_descriptors) == ""


def test_it_can_be_reckoned_where_files_have_no_limits(monkeypatch):
    monkeypatch.setitem(sys.modules, "resource", None)  # as on Windows
    spec = importlib.util.spec_from_file_location("a_budget", module.__file__)
    made = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "a_budget", made)
    spec.loader.exec_module(made)
