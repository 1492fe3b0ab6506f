"""System checks: values that are unique on all sites together, where each site should have its own.

One message for each model, with the lines that mend it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.core import checks
from django.core.exceptions import FieldDoesNotExist
from django.db import connections, router
from django.db.models import OneToOneField, UniqueConstraint

from sitefleet.checking import look_into
from sitefleet.conf import find_problems, get_conf
from sitefleet.scoping.constraints import KEEP, SiteUniqueConstraint, per_site
from sitefleet.scoping.introspection import names_in
from sitefleet.scoping.outside import specs
from sitefleet.scoping.scopes import Kind, Scope, scopes
from sitefleet.terminal import few

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from django.db.models import Field, Model

#: References that one message names; the rest is counted.
NAMED = 5


@dataclass(frozen=True, slots=True)
class Unique:
    """Something that is unique in a model."""

    fields: tuple[str, ...]
    """The names of its fields; those of expressions too."""
    shown: str
    """How the model has it."""
    source: Any
    """The field, the entry of ``unique_together``, or the constraint."""


def check_constraints(**_: Any) -> list[checks.CheckMessage]:
    """Look at all scoped models for what is unique, and does not include their site."""
    found: list[checks.CheckMessage] = []
    for scope in scopes:
        opts = scope.model._meta
        if opts.auto_created or not opts.managed:
            continue
        free = [unique for unique in uniques(scope.model) if not _is_bound(scope, unique)]
        ends = [each for each in free if isinstance(each.source, OneToOneField)]
        rest = [each for each in free if each not in ends]
        if rest:
            found.append(_of_all_sites(scope, rest))
        if ends:
            found.append(_one_to_one(scope, ends))
        found += [*_primary_key(scope), *_shared_twice(scope)]
    return found


def uniques(model: type[Model]) -> Iterator[Unique]:
    """Yield what is unique in the table of a model, but for its primary key."""
    opts = model._meta
    for field in opts.local_fields:
        if field.unique and not field.primary_key:
            yield Unique((field.name,), f"{field.name} (unique=True)", field)
    for names in opts.unique_together:
        yield Unique(tuple(names), f"unique_together ({', '.join(names)})", names)
    for constraint in opts.constraints:
        # An exclusion constraint has no class here: that is PostgreSQL's.
        if isinstance(constraint, UniqueConstraint) or hasattr(constraint, "index_type"):
            compared = sorted(names_in(constraint, ""))
            names = tuple(getattr(constraint, "fields", ())) or tuple(compared)
            yield Unique(names, f"{constraint.name} ({', '.join(names)})", constraint)


def _is_bound(scope: Scope, unique: Unique) -> bool:
    names = set(unique.fields)
    if not isinstance(unique.source, tuple) and hasattr(unique.source, "condition"):
        names |= names_in(unique.source, scope.field)
    return any(is_of_one_site(scope, name) for name in names)


def is_of_one_site(scope: Scope, name: str) -> bool:
    """Tell whether a field of a model says its site: by itself, or by a row that has one site."""
    if name == scope.field and scope.kind in (Kind.OWN, Kind.SHARED):
        return True
    if name == "pk":
        return True
    try:
        field: Any = scope.model._meta.get_field(name)
    except FieldDoesNotExist:  # of which Django's own check tells
        return True
    target = scopes.of(field.remote_field.model) if field.remote_field is not None else None
    while target is not None and target.kind is Kind.PATH:
        target = target.parent
    return target is not None and target.kind is Kind.OWN


def _of_all_sites(scope: Scope, free: list[Unique]) -> checks.CheckMessage:
    shown = ", ".join(each.shown for each in free)
    message = f"On all sites together, not on each, these are unique in {scope.label}: {shown}."
    if scope.kind in (Kind.MANY, Kind.PATH):
        where = "in another table" if scope.kind is Kind.MANY else "in the table of its parent"
        hint = (
            f"A constraint cannot include its site, which stands {where}: let your code see that"
            " values are unique on each site, and take the constraint out; or silence this check."
        )
        return checks.Warning(message, hint=hint, obj=scope.model, id="sitefleet.W422")
    spec = specs().get(scope.model._meta.label_lower)
    hint = _lines(scope, free)
    if spec is not None:
        hint = "The rest stays so, by what refers to it, or what Django demands; see the docs."
        if spec.unique == KEEP:
            hint = f'Take "unique": "{KEEP}" of {spec.label} out of SITEFLEET["SCOPED_MODELS"],'
            hint += " then run: manage.py scopemodels"
    return checks.Warning(message, hint=hint, obj=scope.model, id="sitefleet.W421")


def _lines(scope: Scope, free: list[Unique]) -> str:
    lines, taken = [], []
    for each in free:
        if not isinstance(each.source, (UniqueConstraint, tuple)) and not hasattr(
            each.source, "attname"
        ):
            lines.append(f'{each.source.name}: add (F("{scope.field}"), "=") to its expressions')
            continue
        name = getattr(each.source, "name", None) if len(each.fields) > 1 else None
        for made in per_site(
            scope.model, scope.field, each.fields, shared=scope.kind is Kind.SHARED
        ):
            lines.append(_line(made, name))
            name = None
        if hasattr(each.source, "attname"):
            taken.append(f"unique=True of {each.fields[0]}")
        elif isinstance(each.source, tuple):
            taken.append("unique_together")
    imported = "from sitefleet.scoping import SiteUniqueConstraint"
    out = f"Take out {', '.join(taken)}. " if taken else ""
    return f"{out}{imported}; in Meta: constraints = [{', '.join(lines)}]; then makemigrations."


def _line(constraint: SiteUniqueConstraint, name: str | None) -> str:
    condition = ""
    if constraint.condition is not None:
        (each,) = constraint.condition.children
        condition = f", condition=Q({each[0]}={each[1]})"  # type: ignore[index]
    fields = ", ".join(f'"{field}"' for field in constraint.fields)
    shown = name or constraint.name
    return f'SiteUniqueConstraint(fields=[{fields}]{condition}, name="{shown}")'


def _one_to_one(scope: Scope, ends: list[Unique]) -> checks.CheckMessage:
    names = ", ".join(each.fields[0] for each in ends)
    target = ends[0].source.remote_field.model._meta.label
    message = f"A row of {target} has one row of {scope.label} on all sites together: {names}."
    hint = (
        "Elsewhere it is not found, and cannot be made: let it be a ForeignKey, unique with"
        f' "{scope.field}"; or belong to no site; or silence this check.'
    )
    return checks.Warning(message, hint=hint, obj=scope.model, id="sitefleet.W423")


def _primary_key(scope: Scope) -> Iterator[checks.CheckMessage]:
    pk: Any = scope.model._meta.pk
    names = getattr(pk, "field_names", None) or (pk.name,)
    if any(is_of_one_site(scope, name) for name in names if name != "pk"):
        return
    follows = isinstance(pk, OneToOneField) and pk.remote_field.parent_link
    if follows or _is_made_up(pk):
        return
    message = f"The primary key of {scope.label}, {', '.join(names)}, means something."
    hint = (
        "What one site has taken no other can have, and saving a new row of that key is refused"
        " there. Let a number be the primary key, and this unique with the site; or silence this"
        " check where the values are unique in the world."
    )
    yield checks.Warning(message, hint=hint, obj=scope.model, id="sitefleet.W424")


def _is_made_up(pk: Field[Any, Any]) -> bool:
    """Tell whether the values of a primary key come from the database, or are random."""
    automatic = getattr(pk, "db_returning", False) or pk.get_internal_type().endswith("AutoField")
    return bool(automatic or pk.has_default())


def _shared_twice(scope: Scope) -> Iterator[checks.CheckMessage]:
    """For SQL no NULL equals another: shared rows can have the same value twice."""
    if scope.kind is not Kind.SHARED:
        return
    found = [each.source for each in uniques(scope.model)]
    constraints = [each for each in found if isinstance(each, UniqueConstraint)]
    covered = [
        set(each.fields)
        for each in constraints
        if each.condition and scope.field not in each.fields
    ]
    lines, shown = [], []
    for each in constraints:
        names = [name for name in each.fields if name != scope.field]
        alone = scope.field in each.fields and names and each.nulls_distinct is not False
        if alone and not any(covering <= set(names) for covering in covered):
            shown.append(each.name)
            lines.append(_line(per_site(scope.model, scope.field, names, shared=True)[1], None))
    if lines:
        message = f"Shared rows of {scope.label} may be the same twice: {', '.join(shown)}."
        hint = f"In Meta: constraints = [..., {', '.join(lines)}]; then makemigrations."
        yield checks.Warning(message, hint=hint, obj=scope.model, id="sitefleet.W425")


def check_references(databases: Sequence[str] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """Look for foreign keys by which one site could refer to another's row, past row security.

    PostgreSQL checks references without regard to its row-level security, so with that switched on
    the database has to be told. Looks into it, as `check --database` and `migrate` do.
    """
    if find_problems() or not get_conf().RLS:
        return []
    return look_into(databases, _missing_references)


def _missing_references(using: str) -> Iterator[checks.CheckMessage]:
    connection = connections[using]
    if connection.vendor != "postgresql":
        return
    missing = []
    with connection.cursor() as cursor:
        tables = set(connection.introspection.table_names(cursor))
        for scope in scopes:
            fields = [*references(scope)] if scope.table in tables else []
            if not fields or not router.allow_migrate_model(using, scope.model):
                continue
            known = connection.introspection.get_constraints(cursor, scope.table).values()
            columns = [set(each["columns"]) for each in known if each["foreign_key"]]
            missing += [
                (scope, field) for field in fields if {scope.column, field.column} not in columns
            ]
    if missing:
        shown = few([f"{scope.label}.{field.name}" for scope, field in missing], NAMED)
        scope, field = missing[0]
        message = f"Raw SQL may refer to rows of another site: {shown}."
        hint = (
            "In a migration: from sitefleet.scoping.composite import SiteForeignKey;"
            f' operations = [SiteForeignKey("{scope.label}", "{field.name}"), ...]'
        )
        yield checks.Warning(message, hint=hint, id="sitefleet.W426")


def references(scope: Scope) -> Iterator[Any]:
    """Yield the foreign keys of a model that the database can hold to the site: to OWN rows."""
    if scope.kind not in (Kind.OWN, Kind.SHARED):
        return
    fields: list[Any] = [*scope.model._meta.local_fields]
    for field in fields:
        if field.remote_field is None or field.remote_field.parent_link:
            continue
        target = scopes.of(field.remote_field.model)
        if target is not None and target.kind is Kind.OWN and field.db_constraint:
            yield field


def connect() -> None:
    """Register the checks."""
    checks.register(check_constraints, checks.Tags.models)
    checks.register(check_references, checks.Tags.database)
