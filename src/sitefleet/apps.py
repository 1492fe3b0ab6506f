"""The Django app. Its wiring is in `sitefleet.wiring`, which may import models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.apps import AppConfig
from django.db.models.signals import class_prepared
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django.db.models import Model


class SitefleetConfig(AppConfig):
    """The app ``sitefleet``."""

    name = "sitefleet"
    verbose_name = _("Site fleet")
    default_auto_field = "django.db.models.BigAutoField"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Now, as no app has its models yet, wherever in INSTALLED_APPS this one stands.
        class_prepared.connect(_model_prepared, dispatch_uid="sitefleet.outside")

    def ready(self) -> None:
        """Connect the floors."""
        from sitefleet.wiring import connect  # noqa: PLC0415 - models exist from here on

        connect()


def _model_prepared(sender: type[Model], **_: Any) -> None:
    from sitefleet.scoping import constraints, outside  # noqa: PLC0415 - they need the apps

    prepared = outside.prepare(sender)
    if prepared is not None:
        constraints.include_site(*prepared)
