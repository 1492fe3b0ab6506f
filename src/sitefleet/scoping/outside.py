"""Models of other people get a site, unmodified: those of ``SITEFLEET["SCOPED_MODELS"]``.

A field is added while Django prepares the class, before anybody can have asked it for its fields.
Its creation comes after that of all others, so it is the last by position. It has no reverse name:
the models of two apps may be called the same, and other people's sites get no attributes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.utils.translation import gettext_lazy as _

from sitefleet.conf import get_conf
from sitefleet.exceptions import InvalidSetting
from sitefleet.scoping.fields import SiteField
from sitefleet.scoping.scopes import scopes

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import Model

#: Told of each model that has got its site here: the model, and how.
after: list[Callable[[type[Model], Spec], None]] = []


@dataclass(frozen=True, slots=True)
class Spec:
    """How ``SITEFLEET["SCOPED_MODELS"]`` names a model."""

    label: str
    field: str = "site"
    shared: bool = False
    """Whether rows without a site are of all sites."""
    add: bool = True
    """False where the model has the field already, of its own."""
    unique: str = ""


def specs() -> dict[str, Spec]:
    """Return what is named, by label in small letters; nothing where settings cannot be used."""
    try:
        named = get_conf().SCOPED_MODELS
    except InvalidSetting:  # of which the checks tell
        return {}
    options = named if isinstance(named, dict) else {label: {} for label in named}
    return {label.lower(): Spec(label, **values) for label, values in options.items()}


def prepare(model: type[Model]) -> None:
    """Give a model that is being prepared its site, where it is named; receives class_prepared.

    What is in the way is left alone: the checks tell of it.
    """
    opts = model._meta
    if opts.apps is not apps or opts.swapped:
        return  # a model of the migrations, or one without a table
    spec = specs().get(opts.label_lower)
    if spec is None:
        return
    concrete: Any = opts.concrete_model
    if not spec.add:
        scopes.declare(concrete._meta.label, spec.field, shared=spec.shared)
    elif hasattr(concrete, spec.field) or hasattr(concrete, f"{spec.field}_id"):
        return
    else:
        field = new_field(spec)
        field.contribute_to_class(concrete, spec.field)
    for told in after:
        told(concrete, spec)


def new_field(spec: Spec) -> SiteField:
    """Return the field that a model gets."""
    return SiteField(
        related_name="+", verbose_name=_("site"), null=spec.shared, blank=spec.shared
    )
