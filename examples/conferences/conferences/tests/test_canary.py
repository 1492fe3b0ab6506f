"""Whatever a conference has is marked; every page, API and list of the others is looked through."""

import re
from contextlib import suppress
from unittest import mock

from django.contrib import admin
from django.urls import reverse

from conferences.tests.base import ConferenceTestCase, text_of
from sitefleet import override_site
from sitefleet.canary import Canary, Crossed
from sitefleet.scoping.scopes import Kind, scopes

#: Where Wafer answers 500, alone or in a fleet, when it is asked for what is not there.
NOT_THERE = re.compile(
    r"/talks/\d+/review/|/\d+/\d+/compare/|/admin/schedule/\w+/(edit/\d+|\?block=\d+)"
)


@mock.patch("sitefleet.canary.crawling.VARIANTS", 1)  # a list in another order shows no more
class CanaryTests(ConferenceTestCase):
    def test_nothing_crosses_be_it_to_visitors_or_to_the_owner_of_all(self) -> None:
        canary = Canary(
            self.sites[:2],
            # Its texts are keys, so a mark would break it; test_12 looks at what it shows.
            leave=["reversion.Version"],
            skip=[
                "/admin/sites/",  # of the fleet: who owns all sites sees them all
                "/admin/auth/",  # accounts are shared
                "/schedule/schedule.json",  # Wafer cannot write tracks as JSON
                "/admin/jsi18n/",
                "/static/",
            ],
            sign_in=lambda client, _: client.force_login(self.owner),
        )
        with suppress(Crossed):
            canary.assert_nothing_crosses()
        self.assertEqual(canary.report.crossings, [])
        failures = [line for line in canary.report.failures if not NOT_THERE.search(line)]
        self.assertEqual(failures, [], "\n".join(failures))
        for seen in canary.report.seen.values():
            wanted = {"talks.Talk", "pages.Page", "sponsors.Sponsor", "tickets.TicketType", "file"}
            self.assertLessEqual(wanted, seen)

    def test_admin_pages_of_what_another_conference_has_are_not_there(self) -> None:
        client = self.as_user(self.second, self.owner)
        looked_at = 0
        for scope in scopes:
            if scope.kind is not Kind.OWN or not admin.site.is_registered(scope.model):
                continue
            with override_site(self.first):
                row = scope.model._base_manager.first()
            if row is None:
                continue
            names = f"admin:{row._meta.app_label}_{row._meta.model_name}_"
            paths = [reverse(f"{names}{name}", args=[row.pk])
                     for name in ("change", "delete", "history")]  # fmt: skip
            for path in paths:
                self.assertIn(client.get(path).status_code, (302, 404), path)
            listed = text_of(client.get(reverse(f"{names}changelist")))
            self.assertNotIn(f'href="{paths[0]}', listed)
            looked_at += 1
        self.assertGreaterEqual(looked_at, 14)
