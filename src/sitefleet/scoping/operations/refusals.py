"""What migrations refuse, with the rows that are in the way: before they change anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.core.exceptions import FieldDoesNotExist
from django.core.management.base import CommandError
from django.db.models import Count, F, Q, QuerySet, UniqueConstraint

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from django.db.models import Model

#: Values, or keys of rows, that one message names.
NAMED = 5


@dataclass(frozen=True, slots=True)
class _Unique:
    fields: tuple[str, ...]
    condition: Q | None = None


def refuse_several(rows: QuerySet[Model], field: str) -> None:
    """Refuse where rows are of several sites, and whose they are would be forgotten."""
    given = rows.filter(**{f"{field}__isnull": False}).order_by()
    sites = given.values(field).distinct().count()
    if sites > 1:
        message = (
            f"{rows.model._meta.label} has rows of {sites} sites, and which is whose would be"
            " forgotten: from then on each site shows them all. Nothing was changed. If it is"
            " meant: take the model out of SCOPED_MODELS, and run `manage.py scopemodels --remove"
            " --forget`, which also lets a migration do it that is written already. To keep it:"
            " delete such a migration, and name the model in SCOPED_MODELS. `manage.py scopemodels"
            " --save FILE`, while it is named there, writes whose rows are, for --mapping."
        )
        raise CommandError(message)


def refuse_references(rows: QuerySet[Model], field: str, refers: Mapping[str, str]) -> None:
    """Refuse where rows refer to rows of other sites, which nobody would see from there.

    ``refers``: by foreign keys and many-to-many fields, the field of the site behind them.
    """
    found = []
    for name, site in refers.items():
        link: Any = rows.model._meta.get_field(name)
        mine, theirs, pairs = "", f"{name}__", rows
        if link.many_to_many:
            pairs = QuerySet(link.remote_field.through, using=rows.db)
            mine, theirs = f"{link.m2m_field_name()}__", f"{link.m2m_reverse_field_name()}__"
        there = {f"{mine}{field}__isnull": False, f"{theirs}{site}__isnull": False}
        apart = pairs.filter(**there).exclude(**{f"{mine}{field}": F(f"{theirs}{site}")})
        count = apart.count()
        if count:
            key = f"{mine}pk" if mine else "pk"
            keys = apart.order_by(key).values_list(key, flat=True)[:NAMED]
            found.append(f"{count} by {name} (of {', '.join(map(str, keys))}, ...)")
    if found:
        message = (
            f"Rows of {rows.model._meta.label} refer to rows of another site, which they would not"
            f" find any more: {'; '.join(found)}. Nothing was changed by this migration. Delete it"
            " and what comes after it, and write it anew with a --mapping by which those rows go"
            f' together, as by "follow": "{next(iter(refers))}". If it is meant, take the field out'
            " of `refers` of KeepSite in this migration."
        )
        raise CommandError(message)


def refuse_duplicates(
    label: str, operation: Any, using: str, from_state: Any, to_state: Any
) -> None:
    """Refuse an operation that makes unique what several rows have."""
    name = getattr(operation, "model_name", "") or getattr(operation, "name", "")
    key = label, str(name).lower()
    if key not in from_state.models or key not in to_state.models:
        return
    before = [*_uniques(from_state.models[key])]
    new = [each for each in _uniques(to_state.models[key]) if each not in before]
    if not new:
        return
    model = from_state.apps.get_model(*key)
    for unique in new:
        known = any(not old.condition and {*old.fields} <= {*unique.fields} for old in before)
        if not known and operation.allow_migrate_model(using, model):
            _refuse_duplicates(QuerySet(model, using=using), unique)


def _uniques(state: Any) -> Iterator[_Unique]:
    for name, field in state.fields.items():
        if field.unique and not field.primary_key:
            yield _Unique((name,))
    for names in state.options.get("unique_together") or ():
        yield _Unique(tuple(names))
    for each in state.options.get("constraints") or ():
        # Of expressions the database tells; and where NULL counts, it is a value as others.
        if isinstance(each, UniqueConstraint) and each.fields:
            yield _Unique(tuple(each.fields), each.condition)


def _refuse_duplicates(rows: QuerySet[Model], unique: _Unique) -> None:
    try:
        for name in unique.fields:
            rows.model._meta.get_field(name)
    except FieldDoesNotExist:  # it comes with the same operation
        return
    if unique.condition:
        rows = rows.filter(unique.condition)
    rows = rows.filter(**{f"{name}__isnull": False for name in unique.fields}).order_by()
    twice = rows.values_list(*unique.fields).annotate(rows=Count("*")).filter(rows__gt=1)
    count = twice.count()
    if count:
        shown = [", ".join(map(str, values[:-1])) for values in twice[:NAMED]]
        more = f" and {count - NAMED} more" if count > NAMED else ""
        message = (
            f"In {rows.model._meta.label} {', '.join(unique.fields)} would be unique from then on,"
            f" and there are several rows of {'; '.join(shown)}{more}. Nothing was changed by this"
            " migration: see to it that one of each is left, or give the others another value."
        )
        raise CommandError(message)
