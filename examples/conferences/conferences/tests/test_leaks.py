"""What leaked from one conference to another when Wafer was first made to serve several."""

import json
import re
import tempfile
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from unittest import mock

from django.conf import settings
from django.contrib.auth.models import User
from django.core import mail
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.test import override_settings
from wafer.pages.models import File, Page
from wafer.schedule.admin import check_schedule
from wafer.schedule.models import ScheduleItem, Slot, Venue, get_schedule_version
from wafer.sponsors.models import Sponsor
from wafer.talks.models import Talk, TalkType
from wafer.tickets.models import Ticket, TicketType

from conferences.tests.base import IN_MEMORY, ConferenceTestCase, text_of
from sitefleet import override_site
from sitefleet.exceptions import CrossSiteWrite, SiteRequired
from sitefleet.registry import configure_site
from sitefleet.test import client_for


class CacheTests(ConferenceTestCase):
    def test_01_each_conference_has_its_own_menu(self) -> None:
        self.assert_each_shows_its_own("/")
        with override_site(self.second):
            Page.objects.create(name="Party", slug="party", content="-", include_in_menu=True)
        self.assertContains(client_for(self.second).get("/"), "/party/")
        for site in (self.first, self.third):
            self.assertNotContains(client_for(site).get("/"), "party")

    def test_02_a_page_that_is_cached_is_that_of_its_conference(self) -> None:
        for site in self.sites:
            with override_site(site):
                page = Page.objects.get(slug="index")
                page.cache_time = 300
                page.save()
        self.assert_each_shows_its_own("/")
        self.assert_each_shows_its_own("/about/")

    def test_03_version_and_validity_of_the_schedule_are_those_of_the_conference(self) -> None:
        versions, valid = [], []
        with override_site(self.first):
            slot = Slot.objects.first()
            venue = Venue.objects.create(name="Elsewhere")  # open in no block, so not valid
            item = ScheduleItem.objects.create(venue=venue, talk=Talk.objects.first())
            item.slots.add(slot)
        for site in self.sites:
            with override_site(site):
                versions.append(get_schedule_version())
                valid.append(check_schedule())
        self.assertEqual(len(set(versions)), 3)
        self.assertEqual(valid, [False, True, True])


class ScopeTests(ConferenceTestCase):
    def test_04_talk_types_to_choose_from_are_those_of_the_conference(self) -> None:
        self.open_talks()
        self.assert_each_shows_its_own("/talks/new/", self.ada)
        client = self.as_user(self.third, self.ada)
        with override_site(self.first):
            foreign = TalkType.objects.get()
        data = {"title": "Mine", "abstract": "-", "talk_type": foreign.pk, "authors": self.ada.pk}
        self.assertContains(client.post("/talks/new/", data), "not one of the available choices")

    def test_05_rest_querysets_made_at_import_follow_the_conference(self) -> None:
        for path in ("/pages/api/pages/", "/sponsors/api/sponsors/", "/talks/api/talks/"):
            with self.subTest(path):
                self.assert_each_shows_its_own(path)
        with override_site(self.first):
            sponsor = Sponsor.objects.get()
        path = f"/sponsors/api/sponsors/{sponsor.pk}/"
        found = [client_for(site).get(path).status_code for site in self.sites]
        self.assertEqual(found, [200, 404, 404])

    def test_06_saving_what_was_loaded_elsewhere_moves_nothing(self) -> None:
        with override_site(self.first):
            things = [Talk.objects.first(), Ticket.objects.first()]
        for thing in things:
            with override_site(self.third), self.assertRaises(CrossSiteWrite), transaction.atomic():
                thing.save()
            with override_site(self.first):
                self.assertEqual(type(thing).objects.get(pk=thing.pk).site_id, self.first.pk)
        with override_site(self.third):
            self.ada.userprofile.save()  # of all conferences

    def test_07_bulk_create_writes_to_the_conference(self) -> None:
        with override_site(self.third):
            kind = TalkType.objects.get()
            talk = Talk(title="Bulk", abstract="-", talk_type=kind, corresponding_author=self.ada)
            Talk.objects.bulk_create([talk])
            self.assertEqual(Talk.objects.get(title="Bulk").site_id, self.third.pk)
        with override_site(self.first):
            self.assertFalse(Talk.objects.filter(title="Bulk").exists())

    def test_08_a_barcode_that_is_taken_elsewhere_is_refused_and_takes_nothing_over(self) -> None:
        with override_site(self.first):
            taken = Ticket.objects.first()
        with override_site(self.second):
            kind = TicketType.objects.get()
            ticket = Ticket(barcode=taken.barcode, email="thief@example.org", type=kind)
            for write in (ticket.save, ticket.save_base, lambda: ticket.save(force_insert=True)):
                with self.assertRaises((IntegrityError, CrossSiteWrite)), transaction.atomic():
                    write()
        with override_site(self.first):
            self.assertEqual(Ticket.objects.get(pk=taken.pk).email, taken.email)

    def test_09_a_profile_is_edited_on_each_conference(self) -> None:
        with override_site(self.first):
            user = User.objects.create_user("eve", "eve@people.example", "secret")
        for site in self.sites:
            client = self.as_user(site, user)
            data = {"bio": f"At {site.name}"}
            response = client.post("/users/eve/edit_profile/", data)
            self.assertRedirects(response, "/users/eve/")
            user.userprofile.refresh_from_db()
            self.assertEqual(user.userprofile.bio, data["bio"])

    @override_settings(
        WAFER_SSO=["github"], WAFER_GITHUB_CLIENT_ID="id", WAFER_GITHUB_CLIENT_SECRET=""
    )
    def test_10_a_login_by_github_is_the_same_account_on_each_conference(self) -> None:
        answer = mock.Mock(status_code=200)
        answer.json.return_value = {
            "access_token": "token",
            "login": "frida",
            "name": "Frida K",
            "email": "frida@people.example",
        }
        users = []
        for site in self.sites:
            client = client_for(site)
            with mock.patch("wafer.registration.sso.requests", post=lambda *_, **__: answer,
                            get=lambda *_, **__: answer):  # fmt: skip
                state = client.get("/accounts/github-login/")["Location"].rpartition("state=")[2]
                client.get("/accounts/github-login/", {"code": "code", "state": state})
            users.append(client.session.get("_auth_user_id"))
        self.assertEqual(users, [str(User.objects.get(username="frida").pk)] * 3)

    def test_11_joins_from_users_follow_the_conference(self) -> None:
        for site, speakers in zip(self.sites, (2, 2, 3), strict=True):
            with override_site(site):
                self.assertIn(f"Total: {speakers}\n", output_of("wafer_stats"))
                for command, option in (
                    ("wafer_emails", "--allauthors"),
                    ("wafer_emails", "--allspeakers"),
                    ("wafer_speaker_contact_details", "--allspeakers"),
                    ("wafer_talk_video_reviewers", None),
                ):
                    self.assert_own(site, output_of(command, *filter(None, [option])))
                tickets = output_of("wafer_speaker_tickets", "--all")
                barcodes = list(Ticket.objects.values_list("barcode", flat=True))
                for ticket in (2024001, 2025001, 2026001):
                    self.assertEqual(str(ticket) in tickets, ticket in barcodes)
        with self.assertRaises(SiteRequired):
            output_of("wafer_stats")


class PeopleTests(ConferenceTestCase):
    def test_12_recent_actions_and_deleted_objects_are_those_of_the_conference(self) -> None:
        client = self.as_user(self.first, self.owner)
        data = {"name": "Cable car", "slug": "car", "content": "Up.", "cache_time": -1}
        self.assertEqual(client.post("/admin/pages/page/add/", data).status_code, 302)
        with override_site(self.first):
            pk = Page.objects.get(slug="car").pk
        client.post(f"/admin/pages/page/{pk}/delete/", {"post": "yes"})
        for site in self.sites:
            client = self.as_user(site, self.owner)
            for path in ("/admin/", "/admin/pages/page/recover/"):
                shown = "Cable car" in text_of(client.get(path))
                self.assertEqual(shown, site == self.first, f"{path} at {site}")

    def test_13_lists_of_people_are_of_those_who_take_part(self) -> None:
        self.open_talks()
        people = (["ada", "ben", "cleo"], ["ada", "cleo"], ["ada", "ben", "cleo", "dan"])
        for site, wanted in zip(self.sites, people, strict=True):
            page = text_of(client_for(site).get("/users/"))
            self.assertEqual([name for name in ALL if f"/users/{name}/" in page], wanted)
            rest = self.as_user(site, self.owner).get("/users/api/users/")
            names = [user["username"] for user in json.loads(rest.content)["results"]]
            self.assertEqual(sorted(names), sorted([*wanted, "owner"]))  # and who asks
            statuses = [client_for(site).get(f"/users/{name}/").status_code for name in ALL]
            self.assertEqual([name for name, status in zip(ALL, statuses, strict=True)
                              if status == 200], wanted)  # fmt: skip
            choices = text_of(self.as_user(site, self.ada).get("/talks/new/"))
            self.assertEqual([name for name in ALL if f"({name})" in choices], wanted)
            self.assert_own(site, text_of(client_for(site).get("/users/ada/")))

    def test_14_a_session_of_one_conference_is_worth_nothing_on_another(self) -> None:
        staff = self.as_user(self.first, self.owner)
        key = staff.session.session_key
        statuses = []
        for site in self.sites:
            thief = client_for(site)
            thief.cookies["sessionid"] = key
            statuses.append(thief.get("/admin/").status_code)
        self.assertEqual(statuses, [200, 302, 302])

    def test_15_a_link_to_reset_a_password_is_good_where_it_was_asked_for(self) -> None:
        client_for(self.second).post("/accounts/password/reset/", {"email": self.ada.email})
        (message,) = mail.outbox
        self.assertEqual(message.from_email, "FleetConf 2025 <team@2025.fleetconf.example>")
        link = re.search(
            r'http://([^/"]+)(/accounts/password/reset/confirm/[^"\s<]+)', message.body
        )
        host, path = link.groups()
        self.assertEqual(host, client_for(self.second).address.host)
        statuses = [client_for(site).get(path).status_code for site in self.sites]
        self.assertEqual(statuses, [200, 302, 200])  # 200 says that it is no good, 302 asks anew

    def test_16_the_static_copy_of_each_conference_has_a_folder_of_its_own(self) -> None:
        with tempfile.TemporaryDirectory() as name, on_disk(Path(name) / "media"):
            folders = [Path(name) / site.siteconfig.slug for site in self.sites]
            for site, folder in zip(self.sites, folders, strict=True):
                configure_site(site, settings={"BUILD_DIR": str(folder)})
                with override_site(site):
                    words = " ".join(self.words(site)).encode()
                    File.objects.create(name="Map", item=ContentFile(words, "map.txt"))
            for site in self.sites:
                with override_site(site):
                    output_of("build", "--skip-static")
            for site, folder in zip(self.sites, folders, strict=True):
                copied = [path for path in folder.rglob("*") if path.suffix in (".html", ".txt")]
                self.assertGreater(len(copied), 8)
                self.assertIn("map.txt", [path.name for path in copied])
                self.assert_own(site, "\n".join(path.read_text() for path in copied))
            configure_site(self.first, settings={"BUILD_DIR": None})
            with override_site(self.first), self.assertRaisesMessage(CommandError, "BUILD_DIR"):
                output_of("build")


def on_disk(folder: Path) -> override_settings:
    """Keep files in a folder, as the live server does."""
    storages = {**settings.STORAGES, "default": {"BACKEND": IN_MEMORY["BACKEND"]}}
    return override_settings(STORAGES=storages, MEDIA_ROOT=str(folder))


ALL = ["ada", "ben", "cleo", "dan"]


def output_of(command: str, *arguments: str) -> str:
    """Return what a command of Wafer prints."""
    out = StringIO()
    with redirect_stdout(out):
        call_command(command, *arguments)
    return out.getvalue()
