"""Storages that are served, and some that are not."""

import pytest

from tests.persite.media.asking import DJANGO, REMOTE, SITE_STORAGE, STATIC, URLs


@pytest.fixture(autouse=True)
def media(settings, tmp_path):
    settings.ROOT_URLCONF = URLs
    settings.MEDIA_ROOT, settings.MEDIA_URL = str(tmp_path), "media/"
    settings.STORAGES = {
        "default": {"BACKEND": SITE_STORAGE},
        "memory": {
            "BACKEND": SITE_STORAGE,
            "OPTIONS": {"BACKEND": f"{DJANGO}InMemoryStorage"},
        },
        "remote": {"BACKEND": SITE_STORAGE, "OPTIONS": {"BACKEND": REMOTE}},
        "elsewhere": {
            "BACKEND": SITE_STORAGE,
            "OPTIONS": {"OPTIONS": {"location": tmp_path.parent / f"{tmp_path.name}-elsewhere"}},
        },
        "shared": {"BACKEND": f"{DJANGO}FileSystemStorage"},
        "staticfiles": STATIC,
    }
    return tmp_path
