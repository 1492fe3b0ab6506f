"""Rows that are saved or deleted as instances, and those of other sites that hang on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.db.models import Model, QuerySet
from django.db.models.deletion import get_candidate_relations_to_delete
from django.db.models.sql import Query
from django.db.models.sql.where import AND

from sitefleet.current import get_current_site_id
from sitefleet.exceptions import CrossSiteWrite, NoCurrentSite
from sitefleet.scoping.conditions import OfOtherSites, required_site
from sitefleet.scoping.crossing import is_crossing, unguarded
from sitefleet.scoping.scopes import UNKNOWN, Kind, Scope, Use, scopes

if TYPE_CHECKING:
    from collections.abc import Sequence


def of_others(model: type[Model], scope: Scope, using: str) -> QuerySet[Any]:
    """Return the rows that may not be changed here; to be asked for `unguarded`."""
    rows: QuerySet[Any] = QuerySet(model, using=using)
    rows.query.where.add(OfOtherSites(scope, rows.query.get_initial_alias(), Use.CHANGE), AND)
    return rows


def refuse_others(model: type[Model], scope: Scope, pks: Sequence[Any], using: str) -> None:
    """Refuse keys of rows that exist, and are of another site. Raises CrossSiteWrite."""
    with unguarded():
        other = of_others(model, scope, using).filter(pk__in=pks).values_list("pk").first()
    if other is not None:
        message = f"Row {other[0]} of {scope.label} is none of site {required_site(scope)}."
        raise CrossSiteWrite(message)


def refuse(scope: Scope, instance: Model, owner: Any, site: int) -> None:
    """Refuse an instance that says that it is of another site. Raises CrossSiteWrite."""
    row = "A new row" if instance._state.adding else f"Row {instance.pk}"  # noqa: SLF001
    whose = f"belongs to site {owner}" if owner is not None else "is shared by all sites"
    message = f"{row} of {scope.label} {whose}, and the current site is {site}."
    raise CrossSiteWrite(message)


def before_save(
    sender: type[Model], instance: Model, using: str, update_fields: Any = None, **_: Any
) -> None:
    """Refuse to save a row of another site, ahead of the statement that would not find it.

    Receives ``pre_save``. Raises SiteRequired, CrossSiteWrite.
    """
    if not scopes.tables or instance._state.adding or is_crossing():  # noqa: SLF001 - documented
        return
    scope = scopes.of(sender)
    # Of a row with many sites the instance does not say it; an INSERT that follows is looked at.
    if scope is not None and (scope.kind is not Kind.MANY or update_fields):
        _require_own(scope, [instance], using)


def before_deleting(instances: Sequence[Model], using: str) -> None:
    """Refuse to delete instances of another site. Raises SiteRequired, CrossSiteWrite."""
    scope = scopes.of(type(instances[0]))  # all are of one model
    if scope is None:
        return
    _require_own(scope, instances, using)
    if scope.kind is Kind.MANY:
        _refuse_shared_with_others(scope, instances, using)


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
    with unguarded():
        rows: QuerySet[Any] = QuerySet(between.model, using=using)
        rows = rows.filter(**{f"{own.name}__in": [instance.pk for instance in instances]})
        others = rows.exclude(**{between.field: required_site(scope)})
        row = others.values_list(own.attname, between.attname).first()
    if row is not None:
        message = (
            f"Row {row[0]} of {scope.label} belongs to site {row[1]} too and was not deleted;"
            f" take it off this site by {scope.field}.remove()."
        )
        raise CrossSiteWrite(message)


def refuse_to_strand(query: Any, using: str) -> None:
    """Refuse a DELETE of rows of no site to which rows of other sites refer.

    Django has dealt with those of this site; it does not see the others, and the database would
    refuse it in words of its own, or delete them. Raises CrossSiteWrite.
    """
    opts = query.model._meta
    if not get_relations(opts):
        return
    rows: QuerySet[Any] = QuerySet(query.model, query=query.chain(klass=Query), using=using)
    with unguarded():
        _refuse_to_strand(query.model, rows, using)


def get_relations(opts: Any) -> list[Any]:
    """Return the relations by which rows of sites may hang on rows of a model."""
    return [
        relation
        for relation in get_candidate_relations_to_delete(opts)
        if scopes.of(cast("type[Model]", relation.related_model)) or _is_by_database(relation)
    ]


def _is_by_database(relation: Any) -> bool:
    """Tell whether the database itself follows the relation: ``DB_CASCADE``, from Django 6.1."""
    return hasattr(relation.field.remote_field.on_delete, "on_delete_sql")


def _refuse_to_strand(model: type[Model], rows: QuerySet[Any], using: str) -> None:
    for relation in get_relations(model._meta):
        field: Any = relation.field
        related: Any = relation.related_model
        scope = scopes.of(related)
        keys = rows.order_by().values(field.foreign_related_fields[0].attname)
        if scope is None:
            found: QuerySet[Any] = QuerySet(related, using=using).filter(
                **{f"{field.name}__in": keys}
            )
            _refuse_to_strand(related, found, using)
        elif of_others(related, scope, using).filter(**{f"{field.name}__in": keys}).exists():
            try:
                here = f"not of site {get_current_site_id()}"
            except NoCurrentSite:
                here = "of sites"
            message = (
                f"{model._meta.label} was not deleted: rows of {scope.label}, {here},"
                f" refer to it by {field.name!r}."
            )
            raise CrossSiteWrite(message)
