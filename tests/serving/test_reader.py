"""What the reader says of a project that cannot be served; the rest is in the acceptance tests."""

import pytest
from django.test import override_settings

from sitefleet.scoping.scopes import scopes
from sitefleet.serving import reader


@pytest.mark.parametrize(
    ("installed", "missing"),
    [
        ([], "'django.contrib.sites' and 'sitefleet'"),
        (["sitefleet", "django.contrib.auth"], "'django.contrib.sites'"),
        (["django.contrib.sites.apps.SitesConfig", "sitefleet.canary"], "'sitefleet'"),
    ],
    ids=["both", "sites", "sitefleet"],
)
def test_apps_that_have_to_be_there_are_named(capsys, installed, missing):
    with override_settings(INSTALLED_APPS=installed):
        assert reader.main(["--once"]) == 1
    scopes.find()  # of the models that are there again
    assert capsys.readouterr().err == f"sitefleet: add {missing} to INSTALLED_APPS.\n"
