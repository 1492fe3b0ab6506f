"""The condition that a row is of the current site: which one that is, the compilation tells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.exceptions import FullResultSet
from django.db.models import BooleanField, Expression
from django.db.models.expressions import Col
from django.db.models.lookups import Exact, In
from django.db.models.sql.compiler import SQLCompiler
from django.db.models.sql.where import AND, NothingNode, WhereNode

from sitefleet.current import get_current_site_id
from sitefleet.exceptions import NoCurrentSite, SiteRequired
from sitefleet.scoping.crossing import is_crossing
from sitefleet.scoping.scopes import Kind, Use

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sitefleet.scoping.scopes import Scope

#: From Django 6.1 on aliases are quoted like all names.
quote_alias: Any = getattr(SQLCompiler, "quote_name", None) or (
    SQLCompiler.quote_name_unless_alias  # type: ignore[attr-defined, unused-ignore]
)


class OfCurrentSite(Expression):
    """True for the rows of ``alias`` that are of the current site; of all under `cross_site`.

    Raises SiteRequired where there is neither, when the statement is compiled.
    """

    output_field = BooleanField()
    conditional = True

    def __init__(self, scope: Scope, alias: str, use: Use = Use.READ) -> None:
        self.scope = scope
        self.alias = alias
        self.use = use

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        """Return the SQL, bound to the site of now."""
        if is_crossing():
            raise FullResultSet
        try:
            site = get_current_site_id()
        except NoCurrentSite:
            where = compiler.query.where
            if is_empty(where) or names_sites(where, self.scope, self.alias):
                raise FullResultSet from None
            raise site_required(self.scope) from None
        return self.bind(site, compiler, connection)

    def bind(self, site: int, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        """Return the SQL for a site."""
        quote = connection.ops.quote_name
        alias = quote_alias(compiler, self.alias)
        sql, count = self.scope.condition(alias, quote, self.use)
        return sql, (site,) * count

    def relabeled_clone(self, change_map: Mapping[str, str]) -> OfCurrentSite:
        """Return the same for the alias that replaces ours."""
        alias = change_map.get(self.alias, self.alias)
        return type(self)(self.scope, alias, self.use)

    @property
    def identity(self) -> Any:
        """What makes two of them equal."""
        return type(self), self.scope.table, self.alias, self.use

    def get_group_by_cols(self) -> list[Any]:
        """Return the column, for where Django moves a part of WHERE into HAVING."""
        if is_crossing():
            return []  # there is no condition then
        return [self.scope.column_field.get_col(self.alias)]


class OfOtherSites(OfCurrentSite):
    """True for the rows that are not of the current site alone; for `unguarded` statements."""

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        """Return the SQL, bound to the site of now; without one all rows are of others."""
        try:
            site = get_current_site_id()
        except NoCurrentSite:
            raise FullResultSet from None
        sql, params = self.bind(site, compiler, connection)
        return f"({sql}) IS NOT TRUE", params  # NULL is of all sites


def required_site(scope: Scope) -> int:
    """Return the id of the current site. Raises SiteRequired."""
    try:
        return get_current_site_id()
    except NoCurrentSite:
        raise site_required(scope) from None


def site_required(scope: Scope) -> SiteRequired:
    """Return the error for a statement that names no site."""
    named = scope.kind in (Kind.OWN, Kind.SHARED)
    by = f"by its field {scope.field!r}"
    if scope.kind is Kind.PATH and scope.parent is not None:
        by = f"with the {scope.parent.label} that {scope.field!r} refers to"
    return SiteRequired(
        f"A statement on {scope.label}, whose rows belong to a site {by}, was refused.",
        f"A query can also name its site: .filter({scope.field}=site)." if named else "",
    )


def states_site(where: WhereNode, scope: Scope, alias: str, use: Use = Use.READ) -> bool:
    """Tell whether a WHERE demands already that rows of ``alias`` are of the current site.

    Only what the whole statement depends on counts. Without a current site it is enough that
    literal sites are named. What may be read only is not stated for other uses.
    """
    for child in _demands(where):
        if isinstance(child, OfCurrentSite):
            if child.alias == alias and use in (Use.READ, child.use):
                return True
        elif _names(child, scope, alias):
            return True
    return False


def names_sites(where: WhereNode, scope: Scope, alias: str) -> bool:
    """Tell whether a WHERE names the current site literally; without one, whichever sites."""
    return any(_names(child, scope, alias) for child in _demands(where))


def is_empty(where: WhereNode) -> bool:
    """Tell whether no row can be found, as after ``none()``; such a statement is not run."""
    return any(isinstance(child, NothingNode) for child in _demands(where))


def _demands(where: WhereNode) -> Iterator[Any]:
    if where.negated or (where.connector != AND and len(where.children) > 1):
        return
    for child in where.children:
        if isinstance(child, WhereNode):
            yield from _demands(child)
        else:
            yield child


def _is_plain(lookup: Any) -> bool:
    """Tell whether it is Django's own ``exact`` or ``in``: others may mean anything by them."""
    return isinstance(lookup, (Exact, In)) and type(lookup).__module__.startswith("django.db.")


def _names(child: Any, scope: Scope, alias: str) -> bool:
    if not _is_plain(child) or scope.kind not in (Kind.OWN, Kind.SHARED):
        return False
    left = child.lhs
    if not isinstance(left, Col) or left.alias != alias or left.target.column != scope.column:
        return False
    value = child.rhs
    if hasattr(value, "as_sql"):
        return False
    try:
        site: int | None = get_current_site_id()
    except NoCurrentSite:
        site = None
    if isinstance(child, Exact):
        return isinstance(value, int) and site in (None, value)
    return site is None and all(isinstance(item, int) for item in value)
