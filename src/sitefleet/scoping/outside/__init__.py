"""Models of other people get a site, unmodified: those of ``SITEFLEET["SCOPED_MODELS"]``.

A field is added while Django prepares the class, before anybody can have asked it for its fields.
Its creation comes after that of all others, so it is the last by position. It has no reverse name:
the models of two apps may be called the same, and other people's sites get no attributes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.apps import apps

from sitefleet.conf import get_conf
from sitefleet.exceptions import InvalidSetting
from sitefleet.scoping.fields import SiteField
from sitefleet.scoping.scopes import scopes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.models import Model


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


def prepare(model: type[Model]) -> tuple[type[Model], Spec] | None:
    """Give a model that is being prepared its site, where it is named.

    Returns the model, of a proxy what it shows, and how it is named; None where nothing was done.
    What is in the way is left alone: the checks tell of it.
    """
    opts = model._meta
    if opts.apps is not apps or opts.swapped:
        return None  # a model of the migrations, or one without a table
    spec = specs().get(opts.label_lower)
    if spec is None:
        return None
    concrete: Any = opts.concrete_model
    if opts.auto_created:
        return None  # rows between go with those that they are between
    if not spec.add:
        scopes.declare(concrete._meta.label, spec.field, shared=spec.shared)
    elif hasattr(concrete, spec.field) or hasattr(concrete, f"{spec.field}_id"):
        return None
    elif any(isinstance(field, SiteField) for field in concrete._meta.local_fields):
        return None  # as a proxy that is named with other options than what it shows
    else:
        field = SiteField(related_name="+", null=spec.shared, blank=spec.shared)
        field.contribute_to_class(concrete, spec.field)
    return concrete, spec


def scoped_models() -> Iterator[tuple[type[Model], Spec]]:
    """Yield the models that are named and have their site; each once, proxies as what they show."""
    seen = set()
    for spec in specs().values():
        try:
            model = apps.get_model(spec.label)._meta.concrete_model
        except LookupError:
            continue
        if model is not None and model not in seen and not model._meta.swapped:
            field = local_field(model, spec.field)
            if field is not None and (isinstance(field, SiteField) or not spec.add):
                seen.add(model)
                yield model, spec


def local_field(model: type[Model], name: str) -> Any:
    """Return the field of this name that the model's own table has, None without one."""
    opts = model._meta
    own = (*opts.local_fields, *opts.local_many_to_many)
    return next((field for field in own if field.name == name), None)
