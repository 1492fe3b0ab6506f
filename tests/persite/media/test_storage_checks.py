"""System checks of storage: each mistake has its id."""

import re
from pathlib import Path

import pytest
from django.apps import apps
from django.conf.urls.static import static
from django.core import checks
from django.core.files.storage import storages
from django.db.models import FileField
from django.urls import include, path, re_path
from django.views.static import serve

from sitefleet.persite.storage import SiteStorage
from sitefleet.persite.storage.checks import check_storages, check_urls
from tests.persite.media.asking import (
    DJANGO,
    SITE_STORAGE,
    STATIC,
    URLs,
)


def ids():
    return [message.id.removeprefix("sitefleet.") for message in check_storages() + check_urls()]


def test_a_project_that_follows_the_site_has_no_message():
    assert ids() == []


@pytest.mark.parametrize(
    ("media", "root", "expected"),
    [("", "", []), ("media/", "", ["W330"]), ("", "/srv/media", ["W330"])],
)
def test_W330_media_that_all_sites_share(settings, media, root, expected):  # noqa: N802 - the id
    options = {"secret_key": "s3cr3t"}
    settings.STORAGES = {
        "default": {"BACKEND": f"{DJANGO}FileSystemStorage", "OPTIONS": options},
        "staticfiles": STATIC,
    }
    settings.MEDIA_URL, settings.MEDIA_ROOT = media, root
    found = check_storages()
    assert ids() == expected
    for message in found:
        assert f'"{DJANGO}FileSystemStorage"' in message.hint
        assert "s3cr3t" not in message.hint


def test_W330_is_for_who_has_a_field_for_files(settings, monkeypatch):  # noqa: N802
    settings.STORAGES = {"default": {"BACKEND": f"{DJANGO}InMemoryStorage"}, "staticfiles": STATIC}
    settings.MEDIA_URL = settings.MEDIA_ROOT = ""

    class Fields:
        def __init__(self, **options):
            field = FileField(**options)
            self._meta = type("Meta", (), {"local_fields": [field]})

    for options, expected in (({}, ["W330"]), ({"storage": storages["default"]}, [])):
        monkeypatch.setattr(apps, "get_models", lambda options=options: [Fields(**options)])
        assert ids() == expected


@pytest.mark.parametrize(
    "options",
    [
        {"BACKEND": "nothing.Storage"},
        {"BACKEND": SITE_STORAGE},
        {"OPTIONS": {"locations": "x"}},
        {"location": "x"},
    ],
)
def test_E331_an_inner_storage_that_cannot_be_used(settings, options):  # noqa: N802
    settings.STORAGES = {
        "default": {"BACKEND": SITE_STORAGE, "OPTIONS": options},
        "staticfiles": STATIC,
    }
    found = check_storages()
    assert [message.id for message in found] == ["sitefleet.E331"]
    assert check_urls() == []
    assert SITE_STORAGE in found[0].hint


def test_a_backend_that_cannot_be_imported_is_left_to_django(settings):
    settings.STORAGES = {"default": {"BACKEND": "nothing.Storage"}, "staticfiles": STATIC}
    assert [message.id for message in check_storages()] == ["sitefleet.W330"]


def test_W332_files_to_send_and_no_folder(settings):  # noqa: N802
    settings.SITEFLEET = {"SENDFILE": "x-sendfile"}
    assert ids() == []
    settings.STORAGES = {"staticfiles": STATIC}
    assert ids() == ["W332"]
    settings.SITEFLEET = {"SENDFILE": "wrong"}
    assert ids() == [], "sitefleet.E001 says it"


def test_W333_a_folder_that_is_served_on_every_host(settings):  # noqa: N802
    settings.DEBUG = True  # without, static() gives no patterns
    for root, expected in ((settings.MEDIA_ROOT, ["W333"]), ("/srv/docs", [])):
        served = re_path(r"^m/(?P<path>.*)$", serve, {"document_root": root})
        for patterns in (
            static("/media/", document_root=root),
            [path("x/", include(([served], "x")))],
            [*URLs.urlpatterns, served],
        ):
            settings.ROOT_URLCONF = type("Served", (), {"urlpatterns": patterns})
            assert ids() == expected


def test_a_project_without_urls_has_nothing_to_look_at(settings):
    del settings.ROOT_URLCONF
    assert ids() == []


def test_the_checks_are_registered():
    registered = checks.registry.registry.get_checks()
    assert {check_storages, check_urls} <= set(registered)


def test_every_check_has_its_test():
    source = Path(check_storages.__code__.co_filename).read_text()
    tested = set(re.findall(r"test_([EW]\d{3})_", Path(__file__).read_text()))
    assert tested == set(re.findall(r"sitefleet\.([EW]\d{3})", source))


def test_a_storage_of_a_subclass_follows_too(settings):
    settings.STORAGES = {"default": {"BACKEND": f"{__name__}.Special"}, "staticfiles": STATIC}
    assert issubclass(Special, SiteStorage)


class Special(SiteStorage):
    pass
