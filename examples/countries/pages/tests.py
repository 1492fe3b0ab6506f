"""The canary: nothing of one country shows on another."""

from django.conf import settings
from django.test import TestCase, override_settings

from pages.models import Article
from sitefleet.canary import Canary
from sitefleet.lookup import get_site
from sitefleet.populate import populate

IN_MEMORY = {
    "BACKEND": "sitefleet.persite.storage.SiteStorage",
    "OPTIONS": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
}


@override_settings(STORAGES={**settings.STORAGES, "default": IN_MEMORY})
class CanaryTests(TestCase):
    def test_nothing_crosses(self) -> None:
        populate()
        sites = [get_site(slug) for slug in ("portal", "de", "gh", "us")]
        # Each page has the bar of all sites: their names are to be seen everywhere.
        canary = Canary(sites, leave=["sites.Site"])
        report = canary.assert_nothing_crosses()
        for slug in ("de", "gh", "us"):
            assert {Article._meta.label, "file"} <= report.seen[slug]
