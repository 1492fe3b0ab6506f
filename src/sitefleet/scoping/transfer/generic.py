"""References to rows of any model, where the project has ``django.contrib.contenttypes``."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from django.apps import apps

if TYPE_CHECKING:
    from django.db.models import Model

ContentType: Any = None
GENERIC_KEYS: tuple[type[Any], ...] = ()
GENERIC_RELATIONS: tuple[type[Any], ...] = ()
if apps.is_installed("django.contrib.contenttypes"):  # without it its modules cannot be imported
    from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
    from django.contrib.contenttypes.models import ContentType as _ContentType

    ContentType = _ContentType
    GENERIC_KEYS, GENERIC_RELATIONS = (GenericForeignKey,), (GenericRelation,)


def kinds_of(model: type[Model], using: str) -> list[Any]:
    """Return the content types of a model and of its proxies."""
    kinds = []
    for each in apps.get_models():
        if each._meta.concrete_model is model:
            with suppress(ContentType.DoesNotExist):
                types = ContentType.objects.db_manager(using)
                label, name = each._meta.app_label, each._meta.model_name
                kinds.append(types.get_by_natural_key(label, name))
    return kinds


def model_of(pk: Any, using: str) -> type[Model] | None:
    """Return the model of a content type; None where it is gone."""
    kind = ContentType.objects.db_manager(using).filter(pk=pk).first()
    return kind.model_class() if kind is not None else None
