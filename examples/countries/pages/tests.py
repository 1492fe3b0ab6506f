"""The canary: nothing of one country shows on another."""

from django.conf import settings
from django.contrib.sites.models import Site
from django.test import TestCase, override_settings

from pages.models import Article, Hotline, Office
from sitefleet.canary import Canary
from sitefleet.lookup import get_site
from sitefleet.populate import populate

IN_MEMORY = {
    "BACKEND": "sitefleet.persite.storage.SiteStorage",
    "OPTIONS": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
}


@override_settings(STORAGES={**settings.STORAGES, "default": IN_MEMORY})
class CanaryTests(TestCase):
    def setUp(self) -> None:
        populate()

    # Each page has the bar of all sites: their names are to be seen everywhere.

    def test_nothing_crosses(self) -> None:
        report = Canary(sites("de", "gh", "us"), leave=["sites.Site"]).assert_nothing_crosses()
        labels = {model._meta.label for model in (Article, Hotline, Office)}
        for slug in ("de", "gh", "us"):
            assert {*labels, "file"} <= report.seen[slug]

    def test_nothing_but_the_offices_is_to_be_seen_on_the_portal(self) -> None:
        fleet = sites("portal", "de", "gh", "us")
        Canary(fleet, leave=["sites.Site", "pages.Office"]).assert_nothing_crosses()


def sites(*slugs: str) -> list[Site]:
    return [get_site(slug) for slug in slugs]
