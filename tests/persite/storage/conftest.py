"""Storages of all kinds, each wrapped for the current site."""

import pytest

from sitefleet.persite.storage import SiteStorage
from tests.persite.storage.saving import DJANGO, KINDS, REMOTE


@pytest.fixture(autouse=True)
def media(settings, tmp_path):
    settings.MEDIA_ROOT = str(tmp_path)
    settings.MEDIA_URL = "/media/"
    settings.STORAGES = {
        "default": {"BACKEND": "sitefleet.persite.storage.SiteStorage"},
        "private": {
            "BACKEND": "sitefleet.persite.storage.SiteStorage",
            "OPTIONS": {"OPTIONS": {"location": tmp_path / "private", "base_url": None}},
        },
        "remote": {
            "BACKEND": "sitefleet.persite.storage.SiteStorage",
            "OPTIONS": {"BACKEND": REMOTE, "OPTIONS": {"bucket": "b"}},
        },
        "shared": {"BACKEND": f"{DJANGO}FileSystemStorage"},
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    return tmp_path


@pytest.fixture(params=KINDS, ids=lambda path: path.rpartition(".")[2])
def storage(request):
    return SiteStorage(request.param)
