"""What `resolvehost` tells is what the resolver does."""

import pytest
from django.test import override_settings

from sitefleet.exceptions import InvalidHost
from sitefleet.explain import explain
from sitefleet.registry import add_alias, set_state
from sitefleet.resolver import resolver

HOSTS = [
    "one.example.org",
    "ONE.example.org:8000",
    "www.one.example.org",
    "old.example.org",
    "served.example.org:81",
    "a.wild.example.org",
    "b.a.wild.example.org",
    "wild.example.org",
    "one.localhost",
    "localhost",
    "unknown.example.com",
    "127.0.0.1",
]
PATHS = ["/", "/de", "/de/", "/de/x", "/den", "/x"]


@pytest.mark.parametrize("domain_format", ["", "{slug}.localhost:8000", "{slug}.example.org"])
def test_it_comes_to_the_same_site_as_a_request(fleet, domain_format):
    add_alias(fleet[0], "old.example.org")
    add_alias(fleet[1], "served.example.org", redirect=False)
    add_alias(fleet[1], "*.wild.example.org", redirect=False)
    with override_settings(SITEFLEET={"DOMAIN_FORMAT": domain_format, "FRESHNESS": 0.0}):
        for host in HOSTS:
            for path in PATHS:
                expected = resolver.find(host).at(path)
                found = explain(host, path).match
                assert (found and (found.site.pk, found.how, found.redirect)) == (
                    expected and (expected.site.pk, expected.how, expected.redirect)
                ), (host, path)


@pytest.mark.parametrize("host", HOSTS)
def test_one_step_wins_or_none_does(fleet, host):
    add_alias(fleet[0], "old.example.org")
    explanation = explain(host)
    winners = [told for told in explanation.steps if told.won and told.step != "path prefix"]
    assert len(winners) == (explanation.match is not None)


def test_a_step_says_what_it_found_even_where_another_won(fleet):
    add_alias(fleet[1], "*.example.org", redirect=False)
    said = {told.asked: told.said for told in explain("two.example.org").steps}
    assert said == {
        "two.example.org": "Two (two)",
        "www.two.example.org": "nothing",
        "*.example.org": "alias of Two (two)",
        "*.org": "nothing",
    }


def test_a_redirecting_alias_is_called_one(site):
    add_alias(site, "old.example.org")
    assert explain("old.example.org").steps[0].said == "redirecting alias of One (one)"


def test_a_path_below_no_prefix_says_so(fleet):
    last = explain("one.example.org", "/x").steps[-1]
    assert (last.step, last.asked, last.said, last.won) == (
        "path prefix",
        "no prefix",
        "One (one)",
        True,
    )


def test_a_path_prefix_without_a_root_site_leads_nowhere_else(fleet):
    set_state(fleet[0], "active")
    fleet[0].delete()
    assert explain("one.example.org", "/de/").match is not None
    explanation = explain("one.example.org", "/x")
    assert explanation.match is None
    assert explanation.answer == "404, the page for unknown hosts"


def test_a_malformed_host_raises(db):
    with pytest.raises(InvalidHost):
        explain("a..b")
