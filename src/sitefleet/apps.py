"""The Django app. Its wiring is in `sitefleet.wiring`, which may import models."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class SitefleetConfig(AppConfig):
    """The app ``sitefleet``."""

    name = "sitefleet"
    verbose_name = _("Site fleet")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect the floors."""
        from sitefleet.wiring import connect  # noqa: PLC0415 - models exist from here on

        connect()
