"""The app for real workers: its tasks import models, so Django is set up first."""

import django

django.setup()

from tests.persite.celery_app import app  # noqa: E402

__all__ = ["app"]
