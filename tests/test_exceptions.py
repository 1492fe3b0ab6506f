"""Errors survive the way from a worker: pickle, and results that keep class and arguments."""

import pickle

import pytest

from sitefleet import exceptions

ERRORS = [
    exceptions.NoCurrentSite(),
    exceptions.NoCurrentSite("In a task."),
    exceptions.SiteRequired("A statement.", "Its own way out."),
    exceptions.CrossSiteWrite("A row."),
    exceptions.UnknownSite("gh", ["de"], "SITEFLEET_SITE"),
    exceptions.InvalidHost("a b", "it has a space"),
    exceptions.TaskRefused("Site 7 is archived."),
    exceptions.InvalidSetting("x"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_says_the_same_when_it_comes_back(error):
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301 - our own
    assert str(type(error)(*error.args)) == str(error)


def test_no_current_site_names_the_ways_out_behind_the_detail():
    text = str(exceptions.NoCurrentSite("In a task."))
    assert text.startswith("In a task. There is no current site here. Ways out:")
    assert str(exceptions.NoCurrentSite()).startswith("There is no current site here.")
