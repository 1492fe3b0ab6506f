"""Three conferences with the content of the demo, and people to visit them."""

from contextlib import redirect_stdout
from io import StringIO
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.sites.models import Site
from django.core.cache import caches
from django.core.management import call_command
from django.test import TestCase, override_settings

from conferences.demo import PROGRAMMES, fill
from sitefleet import override_site
from sitefleet.lookup import get_site
from sitefleet.populate import populate
from sitefleet.registry import configure_site
from sitefleet.test import SiteClient, client_for

IN_MEMORY = {
    "BACKEND": "sitefleet.persite.storage.SiteStorage",
    "OPTIONS": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
}


@override_settings(
    STORAGES={**settings.STORAGES, "default": IN_MEMORY},
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],  # fast
)
class ConferenceTestCase(TestCase):
    """`self.first`, `self.second` and `self.third` are the conferences."""

    sites: ClassVar[list[Site]]

    @classmethod
    def setUpTestData(cls) -> None:
        with redirect_stdout(StringIO()):  # it prints
            call_command("wafer_add_default_groups")
        populate()
        cls.sites = [get_site(slug) for slug in PROGRAMMES]
        cls.first, cls.second, cls.third = cls.sites
        for site, programme in zip(cls.sites, PROGRAMMES.values(), strict=True):
            fill(site, programme)
        cls.owner = User.objects.create_superuser("owner", "owner@fleetconf.example", "secret")
        cls.ada = User.objects.get(username="ada")

    def setUp(self) -> None:
        for site in self.sites:
            with override_site(site):
                for alias in settings.CACHES:
                    caches[alias].clear()

    def as_user(self, site: Site, user: User) -> SiteClient:
        client = client_for(site)
        client.force_login(user)
        return client

    def open_talks(self) -> None:
        """Let talks be submitted to each conference, as they can be to the third."""
        for site in self.sites:
            configure_site(site, settings={"WAFER_TALKS_OPEN": True})

    def words(self, site: Site) -> list[str]:
        """Return what is said at this conference alone."""
        programme = PROGRAMMES[site.siteconfig.slug]
        return [programme.place, programme.sponsor, *(title for title, _ in programme.talks)]

    def assert_own(self, site: Site, text: str, *, some: bool = True) -> None:
        """Fail when a text says anything of another conference, or nothing of its own."""
        for other in self.sites:
            found = [word for word in self.words(other) if word in text]
            if other == site:
                self.assertTrue(found or not some, f"{site} shows nothing of its own:\n{text}")
            else:
                self.assertFalse(found, f"{site} shows {found} of {other}")

    def assert_each_shows_its_own(self, path: str, user: User | None = None) -> None:
        """Ask each conference for a path, twice: the second time it may come from a cache."""
        for _ in range(2):
            for site in self.sites:
                client = client_for(site) if user is None else self.as_user(site, user)
                response = client.get(path)
                self.assertEqual(response.status_code, 200, f"{path} at {site}")
                self.assert_own(site, text_of(response))


def text_of(response: Any) -> str:
    """Return the body of a response as it is read by people."""
    body = b"".join(response.streaming_content) if response.streaming else response.content
    return body.decode().replace("&#x27;", "'")
