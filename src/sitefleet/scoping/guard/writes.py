"""What is written: to rows of the current site alone, and with references to those alone.

Called by the guard with the query, ahead of its compilation, outside of `cross_site`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models.lookups import Exact, IsNull
from django.db.models.sql import Query
from django.db.models.sql.where import AND, OR, WhereNode

from sitefleet.current import get_current_site_id
from sitefleet.exceptions import CrossSiteWrite, NoCurrentSite
from sitefleet.scoping.conditions import OfCurrentSite, required_site, site_required, states_site
from sitefleet.scoping.crossing import is_crossing, unguarded
from sitefleet.scoping.fields import default_site
from sitefleet.scoping.guard.references import Written, look_at_inserted, look_at_updated
from sitefleet.scoping.guard.rows import refuse, refuse_others, refuse_to_strand
from sitefleet.scoping.introspection import column_of
from sitefleet.scoping.scopes import Kind, Scope, Use, as_site, scopes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import Model


def before_insert(query: Any, connection: Any) -> None:
    """Give new rows their site, and refuse those of another and those that refer to another's.

    Raises SiteRequired, CrossSiteWrite.
    """
    scope = scopes.of_writes(query.model)
    if scope is not None:
        if scope.kind in (Kind.OWN, Kind.SHARED):
            field = column_of(query.model, scope.column)
            if field is None:
                message = f"{query.model._meta.label} makes rows of {scope.label} without its site."
                raise CrossSiteWrite(message)
            for instance in query.objs:
                _give_site(scope, instance, field.attname)
        elif scope.kind is Kind.MANY:
            required_site(scope)
        _refuse_takeover(query, scope)
        _refuse_known(query, scope, connection.alias)
    look_at_inserted(query, connection.alias)


def _give_site(scope: Scope, instance: Model, attname: str) -> None:
    owner = as_site(getattr(instance, attname))
    try:
        site = get_current_site_id()
    except NoCurrentSite:
        if isinstance(owner, int):
            return  # it names its site
        raise site_required(scope) from None
    if owner is None and scope.kind is Kind.OWN:
        setattr(instance, attname, site)
    elif owner is None:
        message = f"A row of {scope.label} that is shared by all sites was to be made."
        raise CrossSiteWrite(message)
    elif owner != site:
        refuse(scope, instance, owner, site)


def _refuse_takeover(query: Any, scope: Scope) -> None:
    """Refuse what could make a row of another site ours: INSERT ... ON CONFLICT."""
    if query.on_conflict is None:
        return
    if scope.kind is Kind.MANY:
        message = (
            f"bulk_create() on {scope.label} cannot tell which rows are new where it is to ignore"
            " or to update others: leave ignore_conflicts and update_conflicts out."
        )
        raise CrossSiteWrite(message)
    named = {getattr(field, "name", field) for field in query.unique_fields or ()}
    if query.update_fields and scope.field not in named:
        message = (
            f"bulk_create(update_conflicts=True) on {scope.label} could change the row of another"
            f" site: name {scope.field!r} among unique_fields, with a constraint for it."
        )
        raise CrossSiteWrite(message)


def _refuse_known(query: Any, scope: Scope, using: str) -> None:
    """Refuse instances that came from the database, and were not found there on this site."""
    known = [
        instance.pk
        for instance in query.objs
        if not instance._state.adding and instance.pk is not None  # noqa: SLF001 - documented
    ]
    if known:
        refuse_others(query.model, scope, known, using)


def needs_site_after(query: Any) -> bool:
    """Tell whether an INSERT has to be followed by `after_insert`.

    Under `cross_site` too, as other rows get their site then: where there is one, and it is not
    `loaddata` that says which.
    """
    scope = scopes.of(query.model)
    if scope is None or scope.kind is not Kind.MANY:
        return False
    return not is_crossing() or (default_site() is not None and not query.raw)


def after_insert(compiler: Any, rows: Sequence[Sequence[Any]]) -> None:
    """Put new rows that may have many sites onto the current one.

    Raises CrossSiteWrite where the database does not tell the keys of new rows.
    """
    query = compiler.query
    scope = scopes.of(query.model)
    assert scope is not None and scope.parent is not None  # noqa: S101, PT018 - for the type
    keys = [instance.pk for instance in query.objs if instance.pk is not None]
    if len(keys) != len(query.objs):
        returned = list(compiler.returning_fields or ())
        position = returned.index(query.model._meta.pk) if rows else 0
        keys = [row[position] for row in rows]
    if len(keys) != len(query.objs):
        message = (
            f"This database does not tell the keys of new rows: save {scope.label} one by one."
        )
        raise CrossSiteWrite(message)
    between, site = scope.parent, get_current_site_id()
    own = between.field_of(scope.parent_column)
    rows_between = [between.model(**{own.attname: key, between.attname: site}) for key in keys]
    with unguarded():  # which row it is, is not to be seen before
        between.model._base_manager.using(compiler.connection.alias).bulk_create(rows_between)


def before_update(query: Any, connection: Any) -> list[Written]:
    """Let an UPDATE reach rows of the current site alone, and write no reference to another's.

    Returns the references that its WHERE depends on. Raises SiteRequired, CrossSiteWrite.
    """
    scope = scopes.of_writes(query.model)
    if scope is not None:
        # What cannot look at foreign keys later gets references set to NULL before a deletion.
        at_once = not connection.features.can_defer_constraint_checks
        unties = at_once and all(value is None for _, _, value in query.values)
        _demand(query, scope, Use.UNTIE if unties else Use.CHANGE)
        for field, _, value in query.values:
            # By the column: another model of the table may call it as it likes.
            if field.column == scope.column and scope.kind in (Kind.OWN, Kind.SHARED):
                _refuse_move(query, scope, value, connection.alias)
    return look_at_updated(query, connection)


def before_delete(query: Any, connection: Any) -> None:
    """Let a DELETE reach rows of the current site alone. Raises SiteRequired, CrossSiteWrite."""
    scope = scopes.of_writes(query.model)
    if scope is not None:
        _demand(query, scope, Use.DELETE)
    refuse_to_strand(query, connection.alias)


def _demand(query: Any, scope: Scope, use: Use) -> None:
    alias = query.get_initial_alias()
    if not states_site(query.where, scope, alias, use):
        query.where.add(OfCurrentSite(scope, alias, use), AND)


def _refuse_move(query: Any, scope: Scope, value: Any, using: str) -> None:
    site = required_site(scope)
    if hasattr(value, "resolve_expression"):
        look = query.chain(klass=Query)
        value = value.resolve_expression(look, allow_joins=False, for_save=True)
        own: Any = Exact(value, site)
        none: Any = IsNull(value, True)  # noqa: FBT003 - Django's
        other = WhereNode([WhereNode([own], negated=True), none], OR)
        look.where.add(other, AND)
        if not look.has_results(using):
            return
        where = "another"
    else:
        value = as_site(value)
        if value == site:
            return
        where = "all sites" if value is None else f"site {value}"
    message = f"Rows of {scope.label} were to be given to {where}, and the current site is {site}."
    raise CrossSiteWrite(message)
