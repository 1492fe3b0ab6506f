"""What is written: to rows of the current site alone, and with references to those alone.

Called by the guard with the query, ahead of its compilation, outside of `cross_site`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import BooleanField, Expression, Model, Value
from django.db.models.constants import OnConflict
from django.db.models.sql import Query
from django.db.models.sql.where import AND

from sitefleet.current import get_current_site_id
from sitefleet.exceptions import CrossSiteWrite, NoCurrentSite
from sitefleet.scoping.conditions import OfCurrentSite, required_site, site_required, states_site
from sitefleet.scoping.crossing import unguarded
from sitefleet.scoping.scopes import UNKNOWN, Kind, Scope, scopes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class _Refers(Expression):
    """True where a value is NULL or the key of a row of the current site; with ``wrong`` the rest."""

    output_field = BooleanField()
    conditional = True

    def __init__(self, scope: Scope, column: str, value: Any, *, wrong: bool = False) -> None:
        self.scope, self.column, self.value, self.wrong = scope, column, value, wrong

    def get_source_expressions(self) -> list[Any]:
        return [self.value]

    def set_source_expressions(self, exprs: Sequence[Any]) -> None:
        (self.value,) = exprs

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        quote = connection.ops.quote_name
        value, params = compiler.compile(self.value)
        inner = quote("sitefleet_row")
        sql, count = self.scope.condition(inner, quote, writing=False)
        table = f"{quote(self.scope.table)} {inner}"
        exists = (
            f"EXISTS(SELECT 1 FROM {table} WHERE {inner}.{quote(self.column)} = {value} AND {sql})"
        )
        sites = [required_site(self.scope)] * count
        if self.wrong:
            return f"({value} IS NOT NULL AND NOT {exists})", [*params, *params, *sites]
        return exists, [*params, *sites]


def before_insert(query: Any, using: str) -> None:
    """Give new rows their site, and refuse those of another and those that refer to another's.

    Raises SiteRequired, CrossSiteWrite.
    """
    scope = _scope_to_write(query.model)
    if scope is not None and scope.kind in (Kind.OWN, Kind.SHARED):
        for instance in query.objs:
            _give_site(scope, instance)
        _refuse_takeover(query, scope)
    elif scope is not None and scope.kind is Kind.MANY:
        required_site(scope)
        _refuse_takeover(query, scope)
    for field, target in _references(query.fields or ()):
        _look_at_references(query, field, target, using)


def _scope_to_write(model: type[Model]) -> Scope | None:
    return scopes.memberships.get(model._meta.db_table) or scopes.of(model)


def _give_site(scope: Scope, instance: Model) -> None:
    owner = scope.owner(instance)
    try:
        site = get_current_site_id()
    except NoCurrentSite:
        if isinstance(owner, int):
            return  # it names its site
        raise site_required(scope) from None
    if owner in (None, UNKNOWN) and scope.kind is Kind.OWN:
        setattr(instance, scope.attname, site)
    elif owner is None:
        message = f"A row of {scope.label} that is shared by all sites was to be made."
        raise CrossSiteWrite(message)
    elif owner != site:
        _refuse(scope, instance, owner, site)


def _refuse(scope: Scope, instance: Model, owner: Any, site: int) -> None:
    whose = f"belongs to site {owner}" if owner is not None else "is shared by all sites"
    message = f"{scope.label} {instance.pk} {whose}, and the current site is {site}."
    raise CrossSiteWrite(message)


def _refuse_takeover(query: Any, scope: Scope) -> None:
    if query.on_conflict is not OnConflict.UPDATE:
        return
    named = {getattr(field, "name", field) for field in query.unique_fields or ()}
    if scope.kind is Kind.MANY or scope.field not in named:
        message = (
            f"bulk_create(update_conflicts=True) on {scope.label} could change the row of another"
            f" site: name {scope.field!r} among unique_fields, with a constraint for it."
        )
        raise CrossSiteWrite(message)


def _references(fields: Iterable[Any]) -> Iterable[tuple[Any, Scope]]:
    for field in fields:
        if field.remote_field is None or field.remote_field.parent_link:
            continue
        target = scopes.of(field.remote_field.model)
        if target is not None:
            yield field, target


def _look_at_references(query: Any, field: Any, target: Scope, using: str) -> None:
    wanted: dict[int | None, set[Any]] = {}
    for instance in query.objs:
        value = getattr(instance, field.attname)
        if value is None or hasattr(value, "resolve_expression"):
            continue
        site = _site_of_write(query.model, instance, target)
        if not _is_cached(field, target, instance, site):
            wanted.setdefault(site, set()).add(value)
    for site, values in wanted.items():
        _require_rows(field, target, site, values, using)


def _site_of_write(model: type[Model], instance: Model, target: Scope) -> int | None:
    try:
        return get_current_site_id()
    except NoCurrentSite:
        scope = scopes.of(model)
        owner = scope.owner(instance) if scope is not None else None
        if isinstance(owner, int):
            return owner
        raise site_required(target) from None


def _is_cached(field: Any, target: Scope, instance: Model, site: int | None) -> bool:
    """Tell whether the row that is referred to is at hand, and says that it is of the site."""
    related = field.get_cached_value(instance, default=None)
    if related is None or related._state.adding:
        return False
    owner = target.owner(related)
    return owner == site or (owner is None and target.kind is Kind.SHARED)


def _require_rows(
    field: Any, target: Scope, site: int | None, values: set[Any], using: str
) -> None:
    key = field.foreign_related_fields[0].name
    rows = field.remote_field.model._base_manager.using(using).filter(**{f"{key}__in": values})
    try:
        get_current_site_id()
    except NoCurrentSite:
        if target.kind not in (Kind.OWN, Kind.SHARED):
            raise site_required(target) from None
        rows = rows.filter(**{target.field: site})
    found = set(rows.values_list(key, flat=True))
    if len(found) < len(values):
        missing = sorted(map(str, values - found)) or sorted(map(str, values))
        message = (
            f"{field.model._meta.label}.{field.name} was to refer to {target.label}"
            f" {', '.join(missing[:5])}, which is no row of site {site}."
        )
        raise CrossSiteWrite(message)


def after_insert(query: Any, using: str, rows: Sequence[Sequence[Any]]) -> None:
    """Put new rows that may have many sites onto the current one.

    Raises CrossSiteWrite where the database does not tell the keys of new rows.
    """
    scope = scopes.of(query.model)
    if scope is None or scope.kind is not Kind.MANY or scope.parent is None:
        return
    keys = [instance.pk for instance in query.objs if instance.pk is not None]
    if len(keys) != len(query.objs):
        keys = [row[0] for row in rows]
    if len(keys) != len(query.objs):
        message = (
            f"This database does not tell the keys of new rows: save {scope.label} one by one."
        )
        raise CrossSiteWrite(message)
    between, site = scope.parent, get_current_site_id()
    own = next(
        field for field in between.model._meta.local_fields if field.column == scope.parent_column
    )
    site_attname = between.attname
    rows_between = [between.model(**{own.attname: key, site_attname: site}) for key in keys]
    with unguarded():  # which row it is, is not to be seen before
        between.model._base_manager.using(using).bulk_create(
            rows_between, ignore_conflicts=query.on_conflict is not None
        )


def before_update(query: Any, using: str) -> None:
    """Let an UPDATE reach rows of the current site alone, and write no reference to another's.

    Raises SiteRequired, CrossSiteWrite.
    """
    scope = _scope_to_write(query.model)
    if scope is not None:
        _demand(query, scope)
        for field, _, value in query.values:
            if field.name == scope.field and scope.kind in (Kind.OWN, Kind.SHARED):
                _refuse_move(query, scope, value)
    for field, target in _references(item[0] for item in query.values):
        value = next(item[2] for item in query.values if item[0] is field)
        _refuse_reference(query, field, target, value, using)


def before_delete(query: Any) -> None:
    """Let a DELETE reach rows of the current site alone. Raises SiteRequired."""
    scope = _scope_to_write(query.model)
    if scope is not None:
        _demand(query, scope)


def _demand(query: Any, scope: Scope) -> None:
    alias = query.get_initial_alias()
    if scope.kind is Kind.SHARED or not states_site(query.where, scope, alias):
        required_site(scope)
        query.where.add(OfCurrentSite(scope, alias, writing=True), AND)


def _refuse_move(query: Any, scope: Scope, value: Any) -> None:
    value = getattr(value, "pk", value)
    site = required_site(scope)
    if value != site:
        where = "all sites" if value is None else f"site {value}"
        message = f"Rows of {scope.label} were to be moved from site {site} to {where}."
        raise CrossSiteWrite(message)


def _refuse_reference(query: Any, field: Any, target: Scope, value: Any, using: str) -> None:
    column = field.foreign_related_fields[0].column
    if isinstance(value, Model):
        value = getattr(value, field.foreign_related_fields[0].attname)
    if value is None:
        return
    if not hasattr(value, "resolve_expression"):
        query.where.add(_Refers(target, column, Value(value, output_field=field)), AND)
        return
    look = query.chain(klass=Query)
    value = value.resolve_expression(look, allow_joins=False, for_save=True)
    look.where.add(_Refers(target, column, value, wrong=True), AND)
    if look.has_results(using):
        message = (
            f"{field.model._meta.label}.{field.name} was to refer to rows of {target.label}"
            " that are not of the current site."
        )
        raise CrossSiteWrite(message)


def after_vain_update(query: Any, using: str) -> None:
    """Say why an UPDATE has reached no row, where that is a reference to another site's row.

    Raises CrossSiteWrite.
    """
    for child in query.where.children:
        if isinstance(child, _Refers):
            value = child.value.value
            field = child.value.output_field
            _require_rows(field, child.scope, required_site(child.scope), {value}, using)


def before_deleting(instances: Iterable[Model]) -> None:
    """Refuse to delete instances of another site. Raises CrossSiteWrite."""
    for instance in instances:
        scope = scopes.of(type(instance))
        if scope is None:
            return  # all are of one model
        owner = scope.owner(instance)
        if owner is UNKNOWN:
            continue
        site = required_site(scope)
        if owner != site:
            _refuse(scope, instance, owner, site)
