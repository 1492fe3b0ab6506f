"""What Django's models tell: are they of migrations, what is between two, what is unique there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.migrations.state import StateApps
from django.db.models import F, ManyToManyField

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from django.db.models import Model


def is_historical(model: type[Model]) -> bool:
    """Tell whether it is a model of a migration, which is free: it has to change all rows.

    Models that are made in a registry of their own are as those of the project, by their table.
    """
    return isinstance(model._meta.apps, StateApps)


def tables_between(
    models: Iterable[type[Model]],
) -> Iterator[tuple[type[Model], list[Any]]]:
    """Yield the tables behind many-to-many fields, each with the foreign keys to its two ends.

    The one to the model that has the field comes first.
    """
    for model in models:
        for field in model._meta.local_many_to_many:
            through: Any = field.remote_field.through
            # A model that is made later may wait for others; and some fields are of packages.
            if isinstance(through, str) or not isinstance(field, ManyToManyField):
                continue
            if through is None or not hasattr(field, "m2m_field_name"):
                continue
            names = field.m2m_field_name(), field.m2m_reverse_field_name()
            ends = [end for end in through._meta.local_fields if end.name in names]
            ends.sort(key=lambda end: names.index(end.name))
            yield through._meta.concrete_model, ends


def names_in(constraint: Any, site: str) -> set[str]:
    """Return the names of the fields whose values a unique or exclusion constraint compares.

    The one of the ``site`` may stand in the condition instead: that is of a site, too.
    """
    names = set(getattr(constraint, "fields", ()))
    condition = getattr(constraint, "condition", None)
    if condition is not None:
        names |= condition.referenced_base_fields & {site}
    for expression in getattr(constraint, "expressions", ()):
        # Those of an exclusion constraint come with their operators.
        each = expression[0] if isinstance(expression, (tuple, list)) else expression
        each = F(each) if isinstance(each, str) else each
        parts: list[Any] = [each] if isinstance(each, F) else [*each.flatten()]
        names |= {part.name.split("__")[0] for part in parts if type(part) is F}  # type: ignore[attr-defined]
    return names


def parts_with_site(constraint: Any, site: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of a unique constraint like another, with the site in front.

    It keeps its name: migrations of upstream may take it away by that.
    """
    _, expressions, kwargs = constraint.deconstruct()
    fields = {"fields": (site, *constraint.fields)} if constraint.fields else {}
    return (F(site), *expressions) if expressions else (), {**kwargs, **fields}


def column_of(model: type[Model], column: str) -> Any:
    """Return the field of a model for a column of its table; None where it has none.

    For what is written by another model of the same table, with names of its own.
    """
    fields = model._meta.local_concrete_fields
    return next((field for field in fields if field.column == column), None)
