"""The condition that a row is of the current site: which that is, is read when SQL is made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.exceptions import FullResultSet
from django.db.models import BooleanField, Expression
from django.db.models.expressions import Col
from django.db.models.lookups import Exact, In
from django.db.models.sql.where import AND, WhereNode

from sitefleet.current import get_current_site_id
from sitefleet.exceptions import NoCurrentSite, SiteRequired
from sitefleet.scoping.crossing import is_crossing
from sitefleet.scoping.scopes import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sitefleet.scoping.scopes import Scope


class OfCurrentSite(Expression):
    """True for the rows of ``alias`` that are of the current site; of all under `cross_site`.

    Raises SiteRequired where there is neither, when the statement is compiled.
    """

    output_field = BooleanField()
    conditional = True

    def __init__(self, scope: Scope, alias: str, *, writing: bool = False) -> None:
        self.scope = scope
        self.alias = alias
        self.writing = writing

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        """Return the SQL, bound to the site of now."""
        if is_crossing():
            raise FullResultSet
        try:
            site = get_current_site_id()
        except NoCurrentSite:
            if names_sites(compiler.query.where, self.scope, self.alias):
                raise FullResultSet from None
            raise site_required(self.scope) from None
        quote = connection.ops.quote_name
        alias = compiler.quote_name_unless_alias(self.alias)
        sql, count = self.scope.condition(alias, quote, writing=self.writing)
        return sql, [site] * count

    def relabeled_clone(self, change_map: dict[str, str]) -> OfCurrentSite:
        """Return the same for the alias that replaces ours."""
        alias = change_map.get(self.alias, self.alias)
        return OfCurrentSite(self.scope, alias, writing=self.writing)

    @property
    def identity(self) -> Any:
        """What makes two of them equal."""
        return OfCurrentSite, self.scope.table, self.alias, self.writing

    def get_group_by_cols(self) -> list[Any]:
        """Return nothing: it stands in WHERE alone."""
        return []


def required_site(scope: Scope) -> int:
    """Return the id of the current site. Raises SiteRequired."""
    try:
        return get_current_site_id()
    except NoCurrentSite:
        raise site_required(scope) from None


def site_required(scope: Scope) -> SiteRequired:
    """Return the error for a statement that names no site."""
    by = f"by its field {scope.field!r}" if scope.kind is not Kind.PATH else "with another row"
    return SiteRequired(
        f"A statement on {scope.label}, whose rows belong to a site {by}, was refused."
    )


def states_site(where: WhereNode, scope: Scope, alias: str) -> bool:
    """Tell whether a WHERE demands already that rows of ``alias`` are of the current site.

    Only what the whole statement depends on counts. Without a current site it is enough that
    literal sites are named.
    """
    return any(
        (isinstance(child, OfCurrentSite) and child.alias == alias) or _names(child, scope, alias)
        for child in _demands(where)
    )


def names_sites(where: WhereNode, scope: Scope, alias: str) -> bool:
    """Tell whether a WHERE names the current site literally; without one, whichever sites."""
    return any(_names(child, scope, alias) for child in _demands(where))


def _demands(where: WhereNode) -> Iterator[Any]:
    if where.negated or (where.connector != AND and len(where.children) > 1):
        return
    for child in where.children:
        if isinstance(child, WhereNode):
            yield from _demands(child)
        else:
            yield child


def _names(child: Any, scope: Scope, alias: str) -> bool:
    if not isinstance(child, (Exact, In)) or scope.kind not in (Kind.OWN, Kind.SHARED):
        return False
    left = child.lhs
    if not isinstance(left, Col) or left.alias != alias or left.target.column != scope.column:
        return False
    if hasattr(child.rhs, "as_sql"):
        return False
    return _literal(child.rhs, several=isinstance(child, In))


def _literal(value: Any, *, several: bool) -> bool:
    try:
        site: int | None = get_current_site_id()
    except NoCurrentSite:
        site = None
    if not several:
        return isinstance(value, int) and site in (None, value)
    return site is None and all(isinstance(item, int) for item in value)
