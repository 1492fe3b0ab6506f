"""A row of one site refers to rows of that site alone: foreign keys, when they are written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from django.db.models import BooleanField, Expression, Model, QuerySet, Value
from django.db.models.sql import Query
from django.db.models.sql.where import AND

from sitefleet.current import get_current_site_id
from sitefleet.exceptions import CrossSiteWrite, NoCurrentSite
from sitefleet.scoping.batches import batches
from sitefleet.scoping.conditions import required_site, site_required
from sitefleet.scoping.crossing import is_crossing, unguarded
from sitefleet.scoping.introspection import column_of
from sitefleet.scoping.scopes import Kind, Scope, scopes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Refers(Expression):
    """True where a reference may be written: to a row of the current site, or what it is already.

    ``value`` is to be written into ``old``, a column. ``wrong``: the opposite, but for NULL.
    """

    output_field = BooleanField()
    conditional = True

    def __init__(self, reference: Reference, value: Any, old: Any, *, wrong: bool = False) -> None:
        self.reference, self.wrong = reference, wrong
        self.value, self.old = value, old

    def get_source_expressions(self) -> list[Any]:
        """Return the value and the column."""
        return [self.value, self.old]

    def set_source_expressions(self, exprs: Sequence[Any]) -> None:
        """Replace them."""
        self.value, self.old = exprs

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        """Return the SQL, bound to the site of now."""
        quote, target = connection.ops.quote_name, self.reference.target
        value, params = compiler.compile(self.value)
        old, _ = compiler.compile(self.old)  # a column has no parameters
        inner = quote("sitefleet_row")
        sql, count = target.condition(inner, quote)
        key = f"{inner}.{quote(self.reference.key.column)}"
        row = f"EXISTS(SELECT 1 FROM {quote(target.table)} {inner} WHERE {key} = {value}"
        sites = (required_site(target),) * count
        allowed = f"{row} AND {sql}) OR ({old} IS NOT NULL AND {old} = {value})"
        values = (*params, *sites, *params)
        if self.reference.may_be_gone:
            allowed, values = f"{allowed} OR NOT {row})", (*values, *params)
        if not self.wrong:
            return f"({allowed})", values
        if isinstance(self.value, Value):  # none is NULL
            return f"NOT ({allowed})", values
        return f"({value} IS NOT NULL AND NOT ({allowed}))", (*params, *values)


class Reference(NamedTuple):
    """A foreign key that is written, and whose rows it refers to."""

    field: Any
    target: Scope
    attname: str
    """Where instances have it."""

    @property
    def key(self) -> Any:
        """The field that it refers to."""
        return self.field.foreign_related_fields[0]

    @property
    def may_be_gone(self) -> bool:
        """Tell whether the database lets it refer to what is not there, as a history does."""
        return not getattr(self.field, "db_constraint", True)

    def rows(self, using: str) -> QuerySet[Any]:
        """Return the rows that it may refer to."""
        return QuerySet(self.field.remote_field.model, using=using)

    def refuse(self, what: Any, site: int | None) -> CrossSiteWrite:
        """Return the error."""
        return CrossSiteWrite(
            f"{self.field.model._meta.label}.{self.field.name} was to refer to"
            f" {self.target.label} {what}, which is none of site {site}."
        )


def reference_by(field: Any) -> Reference | None:
    """Return the reference to rows of sites that a field is; None where it is none."""
    attname = field.attname
    if field.remote_field is None:
        # Another model of a table of ours, perhaps, with a number in place of the foreign key.
        scope = scopes.of(field.model)
        if scope is None or scope.model is field.model:
            return None
        field = column_of(scope.model, field.column)
        if field is None or field.remote_field is None:
            return None
    target = scopes.of(field.remote_field.model)
    return None if target is None else Reference(field, target, attname)


def look_at_inserted(query: Any, using: str) -> None:
    """Refuse new rows that refer to rows of another site. Raises SiteRequired, CrossSiteWrite."""
    for field in query.fields or ():
        # The row of the parent was written a moment ago, but by `loaddata`.
        if query.raw or not getattr(field.remote_field, "parent_link", False):
            reference = reference_by(field)
            if reference is not None:
                _look_at_values(query, reference, using)


def _look_at_values(query: Any, reference: Reference, using: str) -> None:
    made = _made_with_it(query, reference)
    wanted: dict[int | None, set[Any]] = {}
    for instance in query.objs:
        value = getattr(instance, reference.attname)
        if value is None:
            continue
        site = _site_of_write(query.model, instance, reference.target)
        if hasattr(value, "resolve_expression"):
            if not reference.rows(using).filter(**{reference.key.name: value}).exists():
                raise reference.refuse(repr(value), site)
        elif not _is_at_hand(reference, instance, site, using):
            wanted.setdefault(site, set()).add(reference.key.to_python(value))
    for site, values in wanted.items():
        require_rows(reference, site, values - made, using, may_be_gone=query.raw)


def _made_with_it(query: Any, reference: Reference) -> set[Any]:
    """Return the keys of the rows that one statement makes, which may refer to each other."""
    if reference.target.table != query.model._meta.db_table or query.on_conflict is not None:
        return set()  # with ON CONFLICT it may be the row of another site that has the key
    key = reference.key
    given = [getattr(instance, key.attname, None) for instance in query.objs]
    return {key.to_python(value) for value in given if not hasattr(value, "resolve_expression")}


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


def require_rows(
    reference: Reference,
    site: int | None,
    values: set[Any],
    using: str,
    *,
    may_be_gone: bool = False,
) -> None:
    """Refuse keys that are not of rows of a site. Raises SiteRequired, CrossSiteWrite.

    ``may_be_gone``: keys of no row are not refused; where that is wrong, the database says it.
    """
    missing = _missing(reference, site, values, using)
    if missing and (may_be_gone or reference.may_be_gone):
        with unguarded():
            missing -= _missing(reference, None, missing, using)
    if missing:
        raise reference.refuse(", ".join(sorted(map(str, missing))[:5]), site)


def _missing(reference: Reference, site: int | None, values: set[Any], using: str) -> set[Any]:
    key, target = reference.key.name, reference.target
    rows = reference.rows(using)
    if not is_crossing():
        try:
            get_current_site_id()
        except NoCurrentSite:
            if target.kind not in (Kind.OWN, Kind.SHARED):
                raise site_required(target) from None
            rows = rows.filter(**{target.field: site})
    found: set[Any] = set()
    for some in batches(values):
        found.update(rows.filter(**{f"{key}__in": some}).values_list(key, flat=True))
    return values - found


def look_at_updated(query: Any, connection: Any) -> list[Written]:
    """Let an UPDATE write no reference to a row of another site; what is there already may stay.

    What is a value goes into its WHERE, and is returned: see `look_why`. Of expressions the
    database is asked before. Raises SiteRequired, CrossSiteWrite.
    """
    before = None
    in_where = []
    for field, _, given in query.values:
        reference = reference_by(field)
        if reference is None or given is None:
            continue
        if before is None:
            before = query.chain(klass=Query)
        value = getattr(given, reference.key.attname) if isinstance(given, Model) else given
        if hasattr(value, "resolve_expression"):
            value = value.resolve_expression(before.chain(), allow_joins=False, for_save=True)
            written = Written(before, field, reference, value)
            what = value.value if isinstance(value, Value) else "rows"
            written.refuse_wrong(what, connection.alias)
            continue
        written = Written(before, field, reference, Value(value, output_field=field))
        if connection.features.update_can_self_select:
            query.where.add(written.refers(), AND)
            in_where.append(written)
        else:  # MySQL; it may be the same table
            written.refuse_wrong(value, connection.alias)
    return in_where


def look_why(references: Iterable[Written], using: str) -> None:
    """Say why an UPDATE has reached no row, where that is a reference. Raises CrossSiteWrite."""
    for written in references:
        written.refuse_wrong(written.value.value, using)


class Written(NamedTuple):
    """A reference that an UPDATE writes."""

    before: Any
    """The query, for the rows that it reaches, whatever it writes."""
    field: Any
    reference: Reference
    value: Any

    def refers(self, *, wrong: bool = False) -> Refers:
        """Return the condition for its rows."""
        old = self.field.get_col(self.before.get_initial_alias())
        return Refers(self.reference, self.value, old, wrong=wrong)

    def refuse_wrong(self, what: Any, using: str) -> None:
        """Refuse it where a row would refer to one of another site. Raises CrossSiteWrite."""
        look = self.before.chain()
        look.where.add(self.refers(wrong=True), AND)
        if look.has_results(using):
            raise self.reference.refuse(what, required_site(self.reference.target))
