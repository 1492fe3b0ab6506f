"""A column that models of sitefleet have."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import F
from django.db.models.functions import Greatest


class RisingField(models.PositiveIntegerField):  # type: ignore[type-arg]  # no runtime generic
    """A number that a saved instance, which may have been read long ago, never puts back.

    ``QuerySet.update()`` and fixtures write what they are told to.
    """

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:  # noqa: FBT001 - Django's
        """Return what is written."""
        value = super().pre_save(model_instance, add)
        return value if add else Greatest(F(self.attname), value)

    def deconstruct(self) -> Any:
        """Return what Django's field returns: in the database there is no difference."""
        name, _path, args, kwargs = super().deconstruct()
        return name, "django.db.models.PositiveIntegerField", args, kwargs
