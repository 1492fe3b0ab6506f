"""A row of one site refers to rows of that site alone: foreign keys, when they are written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from django.db.models import BooleanField, Expression, Model, QuerySet, Value
from django.db.models.sql import Query
from django.db.models.sql.where import AND

from sitefleet.current import get_current_site_id
from sitefleet.exceptions import CrossSiteWrite, NoCurrentSite
from sitefleet.scoping.conditions import required_site, site_required
from sitefleet.scoping.scopes import Kind, Scope, scopes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Refers(Expression):
    """True where a value is the key of a row of the current site.

    With ``wrong``: where it is neither that nor NULL.
    """

    output_field = BooleanField()
    conditional = True

    def __init__(self, scope: Scope, column: str, value: Any, *, wrong: bool = False) -> None:
        self.scope, self.column, self.value, self.wrong = scope, column, value, wrong

    def get_source_expressions(self) -> list[Any]:
        """Return the value."""
        return [self.value]

    def set_source_expressions(self, exprs: Sequence[Any]) -> None:
        """Replace the value."""
        (self.value,) = exprs

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        """Return the SQL, bound to the site of now."""
        quote = connection.ops.quote_name
        value, params = compiler.compile(self.value)
        inner = quote("sitefleet_row")
        sql, count = self.scope.condition(inner, quote)
        table = f"{quote(self.scope.table)} {inner}"
        exists = (
            f"EXISTS(SELECT 1 FROM {table} WHERE {inner}.{quote(self.column)} = {value} AND {sql})"
        )
        sites = (required_site(self.scope),) * count
        if self.wrong:
            return f"({value} IS NOT NULL AND NOT {exists})", (*params, *params, *sites)
        return exists, (*params, *sites)


class Reference(NamedTuple):
    """A foreign key that is written, and whose rows it refers to."""

    field: Any
    target: Scope

    @property
    def key(self) -> Any:
        """The field that it refers to."""
        return self.field.foreign_related_fields[0]

    def rows(self, using: str) -> QuerySet[Any]:
        """Return the rows that it may refer to."""
        return QuerySet(self.field.remote_field.model, using=using)

    def refuse(self, what: str, site: int | None) -> CrossSiteWrite:
        """Return the error."""
        return CrossSiteWrite(
            f"{self.field.model._meta.label}.{self.field.name} was to refer to"
            f" {self.target.label} {what}, which is none of site {site}."
        )


def reference_by(field: Any) -> Reference | None:
    """Return the reference to rows of sites that a field is; None where it is none."""
    if field.remote_field is None:
        return None
    target = scopes.of(field.remote_field.model)
    return None if target is None else Reference(field, target)


def look_at_inserted(query: Any, using: str) -> None:
    """Refuse new rows that refer to rows of another site. Raises SiteRequired, CrossSiteWrite."""
    for field in query.fields or ():
        # The row of the parent was written a moment ago, but by `loaddata`.
        if field.remote_field is not None and (query.raw or not field.remote_field.parent_link):
            reference = reference_by(field)
            if reference is not None:
                _look_at_values(query, reference, using)


def _look_at_values(query: Any, reference: Reference, using: str) -> None:
    field = reference.field
    wanted: dict[int | None, set[Any]] = {}
    for instance in query.objs:
        value = getattr(instance, field.attname)
        if value is None:
            continue
        site = _site_of_write(query.model, instance, reference.target)
        if hasattr(value, "resolve_expression"):
            if not reference.rows(using).filter(**{reference.key.name: value}).exists():
                raise reference.refuse(repr(value), site)
        elif not _is_at_hand(reference, instance, site, using):
            wanted.setdefault(site, set()).add(reference.key.to_python(value))
    for site, values in wanted.items():
        require_rows(reference, site, values, using)


def _site_of_write(model: type[Model], instance: Model, target: Scope) -> int | None:
    try:
        return get_current_site_id()
    except NoCurrentSite:
        scope = scopes.of(model)
        owner = scope.owner(instance) if scope is not None else None
        if isinstance(owner, int):
            return owner
        raise site_required(target) from None


def _is_at_hand(reference: Reference, instance: Model, site: int | None, using: str) -> bool:
    """Tell whether the row that is referred to is at hand, and says that it is of the site."""
    related = reference.field.get_cached_value(instance, default=None)
    if related is None:
        return False
    state = related._state  # noqa: SLF001 - Django's documented place for it
    if state.adding or state.db != using:
        return False
    owner = reference.target.owner(related)
    return owner == site or (owner is None and reference.target.kind is Kind.SHARED)


def require_rows(reference: Reference, site: int | None, values: set[Any], using: str) -> None:
    """Refuse keys that are not of rows of a site. Raises SiteRequired, CrossSiteWrite."""
    key, target = reference.key.name, reference.target
    rows = reference.rows(using).filter(**{f"{key}__in": values})
    try:
        get_current_site_id()
    except NoCurrentSite:
        if target.kind not in (Kind.OWN, Kind.SHARED):
            raise site_required(target) from None
        rows = rows.filter(**{target.field: site})
    missing = values - set(rows.values_list(key, flat=True))
    if missing:
        raise reference.refuse(", ".join(sorted(map(str, missing))[:5]), site)


def look_at_updated(query: Any, connection: Any) -> list[tuple[Reference, Any]]:
    """Let an UPDATE write no reference to a row of another site.

    What is a value goes into its WHERE, and is returned: see `look_why`. Of expressions the
    database is asked before. Raises SiteRequired, CrossSiteWrite.
    """
    in_where = []
    for field, _, given in query.values:
        reference = reference_by(field)
        if reference is None or given is None:
            continue
        target = reference.target
        value = getattr(given, reference.key.attname) if isinstance(given, Model) else given
        if hasattr(value, "resolve_expression"):
            _look_at_expression(query, reference, value, connection.alias)
        elif not connection.features.update_can_self_select:  # MySQL; it may be the same table
            values = {reference.key.to_python(value)}
            require_rows(reference, required_site(target), values, connection.alias)
        else:
            column = reference.key.column
            query.where.add(Refers(target, column, Value(value, output_field=field)), AND)
            in_where.append((reference, value))
    return in_where


def _look_at_expression(query: Any, reference: Reference, value: Any, using: str) -> None:
    look = query.chain(klass=Query)
    value = value.resolve_expression(look, allow_joins=False, for_save=True)
    look.where.add(Refers(reference.target, reference.key.column, value, wrong=True), AND)
    if look.has_results(using):
        raise reference.refuse("rows", required_site(reference.target))


def look_why(references: Iterable[tuple[Reference, Any]], using: str) -> None:
    """Say why an UPDATE has reached no row, where that is a reference. Raises CrossSiteWrite."""
    for reference, value in references:
        values = {reference.key.to_python(value)}
        require_rows(reference, required_site(reference.target), values, using)
