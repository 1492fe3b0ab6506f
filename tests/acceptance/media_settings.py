"""The test project, with media that nginx sends."""

import os

from tests.settings import *  # noqa: F403 - a project of its own

ROOT_URLCONF = "tests.acceptance.media_urls"
MEDIA_ROOT = os.environ["TEST_MEDIA_ROOT"]
STORAGES = {
    "default": {"BACKEND": "sitefleet.persite.storage.SiteStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
SITEFLEET = {"SENDFILE": "x-accel-redirect", "FRESHNESS": 0.0}
