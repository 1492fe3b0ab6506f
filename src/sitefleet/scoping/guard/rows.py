"""Rows that are saved or deleted as instances, and those of other sites that hang on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import DEFAULT_DB_ALIAS, models
from django.db.models import Model, QuerySet
from django.db.models.deletion import get_candidate_relations_to_delete
from django.db.models.sql import Query
from django.db.models.sql.where import AND

from sitefleet.current import get_current_site_id
from sitefleet.exceptions import CrossSiteWrite, NoCurrentSite
from sitefleet.scoping.batches import batches
from sitefleet.scoping.conditions import OfOtherSites, required_site
from sitefleet.scoping.crossing import is_crossing, unguarded
from sitefleet.scoping.scopes import UNKNOWN, Kind, Scope, Use, scopes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


#: By model, what `get_relations` has found; and for which tables.
_relations: tuple[Any, dict[type[Model], list[Any]]] = None, {}


def of_others(model: type[Model], scope: Scope, using: str) -> QuerySet[Any]:
    """Return the rows that may not be changed here; to be asked for `unguarded`."""
    return _others_among(QuerySet(model, using=using), scope, Use.CHANGE)


def _others_among(rows: QuerySet[Any], scope: Scope, use: Use) -> QuerySet[Any]:
    rows = rows.all()
    rows.query.where.add(OfOtherSites(scope, rows.query.get_initial_alias(), use), AND)
    return rows


def refuse_others(model: type[Model], scope: Scope, pks: Iterable[Any], using: str) -> None:
    """Refuse keys of rows that exist, and are of another site. Raises CrossSiteWrite."""
    for some in batches(pks):
        with unguarded():
            other = of_others(model, scope, using).filter(pk__in=some).values_list("pk").first()
        if other is not None:
            message = f"Row {other[0]} of {scope.label} is none of site {required_site(scope)}."
            raise CrossSiteWrite(message)


def refuse(scope: Scope, instance: Model, owner: Any, site: int) -> None:
    """Refuse an instance that says that it is of another site. Raises CrossSiteWrite."""
    row = "A new row" if instance._state.adding else f"Row {instance.pk}"  # noqa: SLF001
    whose = f"belongs to site {owner}" if owner is not None else "is shared by all sites"
    message = f"{row} of {scope.label} {whose}, and the current site is {site}."
    raise CrossSiteWrite(message)


def before_save(sender: type[Model], instance: Model, using: str, **_: Any) -> None:
    """Refuse to save a row of another site, ahead of the statement that would not find it.

    Receives ``pre_save``. Raises SiteRequired, CrossSiteWrite.
    """
    if not scopes.tables or instance._state.adding or is_crossing():  # noqa: SLF001 - documented
        return
    scope = scopes.of(sender)
    if scope is not None:
        _require_own(scope, [instance], using)


def before_deleting(instances: Sequence[Model], using: str) -> None:
    """Refuse to delete instances of another site. Raises SiteRequired, CrossSiteWrite."""
    scope = scopes.of(type(instances[0]))  # all are of one model
    if scope is None:
        return
    _require_own(scope, instances, using)
    if scope.kind is Kind.MANY:
        _refuse_shared_with_others(scope, instances, using)


def may_be_changed(instance: Model) -> bool:
    """Tell whether a row that was read here may be changed here, too: shared ones may not."""
    scope = scopes.of(type(instance)) if scopes.guarded and not is_crossing() else None
    # What belongs to many sites is changed on each of them.
    if scope is None or scope.kind is Kind.MANY or instance._state.adding:  # noqa: SLF001
        return True
    try:
        _require_own(scope, [instance], instance._state.db or DEFAULT_DB_ALIAS)  # noqa: SLF001
    except (CrossSiteWrite, NoCurrentSite):
        return False
    return True


def _require_own(scope: Scope, instances: Sequence[Model], using: str) -> None:
    site = required_site(scope)
    unknown = []
    for instance in instances:
        owner = scope.owner(instance)
        if owner is UNKNOWN:
            unknown.append(instance.pk)
        elif owner != site:
            refuse(scope, instance, owner, site)
    if unknown:
        refuse_others(type(instances[0]), scope, unknown, using)


def _refuse_shared_with_others(scope: Scope, instances: Sequence[Model], using: str) -> None:
    between = scope.parent
    assert between is not None  # noqa: S101 - for the type: MANY has one
    own = between.field_of(scope.parent_column)
    for some in batches(instance.pk for instance in instances):
        with unguarded():
            rows: QuerySet[Any] = QuerySet(between.model, using=using)
            rows = rows.filter(**{f"{own.name}__in": some})
            others = rows.exclude(**{between.field: required_site(scope)})
            row = others.values_list(own.attname, between.attname).first()
        if row is None:
            continue
        message = (
            f"Row {row[0]} of {scope.label} belongs to site {row[1]} too and was not deleted;"
            f" take it off this site by {scope.field}.remove()."
        )
        raise CrossSiteWrite(message)


def refuse_to_strand(query: Any, using: str) -> None:
    """Refuse a DELETE of rows to which rows that may not be changed here refer.

    Django has dealt with those of this site; it does not see the others, and the database would
    refuse it in words of its own, or delete them. Raises CrossSiteWrite.
    """
    if get_relations(query.model):
        rows: QuerySet[Any] = QuerySet(query.model, query=query.chain(klass=Query), using=using)
        refuse_stranding(rows.order_by())


def refuse_stranding(rows: QuerySet[Any]) -> None:
    """Refuse to delete rows to which rows that may not be changed here refer.

    Follows what the database itself is going to delete with them. Raises CrossSiteWrite.
    """
    waiting: list[QuerySet[Any]] = [rows]
    seen: dict[Any, set[Any]] = {}
    with unguarded():
        while waiting:
            rows = waiting.pop()
            for relation in get_relations(rows.model):
                related: Any = relation.related_model
                found = _refuse_referring(relation, rows)
                if _is_cascade(relation):
                    known = seen.setdefault(related, set())
                    new = set(found.values_list("pk", flat=True)) - known
                    known |= new
                    all_of_it: QuerySet[Any] = QuerySet(related, using=rows.db)
                    waiting += [all_of_it.filter(pk__in=some) for some in batches(new)]


def _refuse_referring(relation: Any, rows: QuerySet[Any]) -> QuerySet[Any]:
    field, related = relation.field, relation.related_model
    keys = rows.values(field.foreign_related_fields[0].attname)
    found: QuerySet[Any] = QuerySet(related, using=rows.db).filter(**{f"{field.name}__in": keys})
    scope = scopes.of(related)
    # What has no site any more is about to be deleted, perhaps.
    if scope is None or not _others_among(found, scope, Use.UNTIE).exists():
        return found
    try:
        here = f"not of site {get_current_site_id()}"
    except NoCurrentSite:
        here = "of sites"
    message = (
        f"{rows.model._meta.label} was not deleted: rows of {scope.label}, {here},"
        f" refer to it by {field.name!r}."
    )
    raise CrossSiteWrite(message)


def get_relations(model: type[Model]) -> list[Any]:
    """Return the relations by which rows that may not be changed here may hang on rows of a model.

    To a row of one site refer rows of that site, as they were written so, and rows of several. They
    are asked for at each DELETE, and looked for once.
    """
    global _relations  # noqa: PLW0603 - as old as the tables that they are told by
    tables, found = _relations
    if tables is not scopes.tables:
        tables, found = _relations = scopes.tables, {}
    relations = found.get(model)
    if relations is None:
        relations = found[model] = _find_relations(model)
    return relations


def _find_relations(model: type[Model]) -> list[Any]:
    return [
        relation
        for relation in get_candidate_relations_to_delete(model._meta)
        if _is_of_others(relation) or (_is_cascade(relation) and _leads_to_others(relation))
    ]


def _is_of_others(relation: Any) -> bool:
    scope, other = scopes.of(relation.model), scopes.of(relation.related_model)
    if scope is None or other is None:
        return other is not None
    return scope.root.kind is Kind.MANY or other.root.kind is not Kind.OWN


def _leads_to_others(relation: Any) -> bool:
    """Tell whether rows that may not be changed hang on what is deleted, however far."""
    waiting, seen = [relation.related_model], set()
    while waiting:
        model = waiting.pop()
        if model not in seen:
            seen.add(model)
            relations = list(get_candidate_relations_to_delete(model._meta))
            if any(map(_is_of_others, relations)):
                return True
            waiting += [each.related_model for each in relations if _is_cascade(each)]
    return False


def _is_cascade(relation: Any) -> bool:
    """Tell whether the database deletes by the relation: ``DB_CASCADE``, from Django 6.1 on."""
    return relation.field.remote_field.on_delete is getattr(models, "DB_CASCADE", models)
