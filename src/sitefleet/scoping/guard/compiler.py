"""Every statement on rows of sites is for a site: the one file that touches Django's compiler.

Statements are completed while they are compiled: whoever made them, when, and with what manager.
Where a table is read, or joined, the condition that its rows are of the current site is added;
UPDATE and DELETE get it ahead of that, INSERT is looked at. Django has no hook for it, so these are
replaced, and a test for each supported Django says that they are still there:

* ``SQLCompiler.get_from_clause``: the tables are known by then, WHERE is not compiled yet;
* ``Join.as_sql``: a joined table gets its condition in ON, so that outer joins stay outer;
* ``get_compiler`` of the queries for UPDATE, DELETE and INSERT;
* ``execute_sql`` of the compilers for UPDATE and INSERT, for what only the answer tells; and of
  all, so that what the ORM has compiled is known from SQL that was written by hand;
* ``Collector.add``: what is going to be deleted as instances;
* ``QuerySet._result_cache``: see `sitefleet.scoping.guard.kept`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from django.core.exceptions import FullResultSet
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.deletion import Collector
from django.db.models.signals import pre_save
from django.db.models.sql.compiler import SQLCompiler, SQLInsertCompiler, SQLUpdateCompiler
from django.db.models.sql.constants import INNER
from django.db.models.sql.datastructures import Join
from django.db.models.sql.subqueries import DeleteQuery, InsertQuery, UpdateQuery
from django.db.models.sql.where import AND, WhereNode

from sitefleet.exceptions import SiteRequired
from sitefleet.scoping.conditions import OfCurrentSite, states_site
from sitefleet.scoping.crossing import is_crossing
from sitefleet.scoping.guard import kept, raw, rows, writes
from sitefleet.scoping.guard.references import look_why
from sitefleet.scoping.introspection import is_historical
from sitefleet.scoping.patches import Patches
from sitefleet.scoping.scopes import Kind, Scope, scopes

if TYPE_CHECKING:
    from collections.abc import Callable

RETURNING = "execute_returning_sql"  # from Django 6.0 on
_patches = Patches()


def is_installed() -> bool:
    """Tell whether statements are guarded in this process."""
    return bool(_patches)


def install() -> None:
    """Guard all statements from here on."""
    if _patches:
        return
    for owner, name, replacement in (
        (SQLCompiler, "get_from_clause", _get_from_clause),
        (Join, "as_sql", _join_as_sql),
        (UpdateQuery, "get_compiler", _preparing(writes.before_update)),
        (DeleteQuery, "get_compiler", _preparing(writes.before_delete)),
        (InsertQuery, "get_compiler", _preparing(writes.before_insert)),
        (SQLUpdateCompiler, "execute_sql", _execute_update),
        *((SQLUpdateCompiler, RETURNING, change) for change in (raw.marking, _execute_update)),
        (SQLInsertCompiler, "execute_sql", raw.marking),
        (SQLInsertCompiler, "execute_sql", _execute_insert),
        (SQLCompiler, "execute_sql", raw.marking),
        (Collector, "add", _collect),
        (QuerySet, "_fetch_all", kept.filling),
    ):
        if name == RETURNING and not hasattr(owner, name):
            continue
        # A Django that has it no more is not guarded, and says so.
        _patches.change(owner, name, replacement)
    _patches.put(QuerySet, kept.ROWS, kept.rows_of_the_site)
    pre_save.connect(rows.before_save, dispatch_uid="sitefleet.guard")
    scopes.guarded = True


def uninstall() -> None:
    """Undo `install`; for tests."""
    scopes.guarded = False
    pre_save.disconnect(dispatch_uid="sitefleet.guard")
    _patches.undo()


def _is_free(query: Any) -> bool:
    """Tell whether a query may see all rows: one of a migration, or one that crosses sites."""
    model = query.model
    return (model is not None and is_historical(model)) or is_crossing()


def _get_from_clause(original: Any) -> Any:
    def get_from_clause(self: Any) -> Any:
        query, tables = self.query, scopes.tables
        for alias, table in query.alias_map.items():
            scope = tables.get(table.table_name)
            if scope is None or not query.alias_refcount[alias]:
                continue
            # A kind of join that is not Django's is on the safe side with a condition in WHERE.
            if getattr(type(table), "as_sql", None) is not Join.as_sql and not _is_free(query):
                _demand(self, scope, alias)
        if query.extra_tables and not _is_free(query):
            _refuse_extra(query.extra_tables)
        return original(self)

    return get_from_clause


def _demand(compiler: Any, scope: Scope, alias: str) -> None:
    # The DELETE of MySQL joins tables, and has no WHERE but that of the query.
    where = getattr(compiler, "where", compiler.query.where)
    if where is not None and states_site(where, scope, alias):
        return
    if scope.kind is Kind.PATH and _goes_with_another(compiler.query, scope, alias):
        return
    condition = OfCurrentSite(scope, alias)
    children: list[Any] = [condition] if where is None else [where, condition]
    compiler.where = WhereNode(children, AND)


def _refuse_extra(names: Any) -> None:
    tables = {table.lower() for table in scopes.tables}  # in any case for some databases
    for name in names:
        # With its schema perhaps, quoted or not.
        if not tables.isdisjoint({name.lower(), *re.split(r'[."`]+', name.lower())}):
            message = f"extra(tables=[{name!r}]) was refused: it is joined without a condition."
            raise SiteRequired(message)


def _join_as_sql(original: Any) -> Any:
    def as_sql(self: Any, compiler: Any, connection: Any) -> Any:
        sql, params = original(self, compiler, connection)
        scope = scopes.tables.get(self.table_name)
        if scope is None or _is_free(compiler.query):
            return sql, params
        where, alias = getattr(compiler, "where", None), self.table_alias
        if where is not None and states_site(where, scope, alias):
            return sql, params
        if scope.kind is Kind.PATH and _goes_with_another(compiler.query, scope, alias):
            return sql, params
        try:
            more, values = OfCurrentSite(scope, alias).as_sql(compiler, connection)
        except FullResultSet:
            return sql, params
        if _joins_row_of_the_site(self, scope, compiler.query, connection):
            more = f"COALESCE({more}, FALSE)"
        return f"{sql} AND {more}", [*params, *values]

    return as_sql


def _joins_row_of_the_site(join: Join, scope: Scope, query: Any, connection: Any) -> bool:
    """Tell whether what is joined to is demanded to be of the site, so that ours goes with it.

    Then the condition leaves out references to other sites, of which there should be none. But a
    planner takes each comparison for one that leaves out most rows, and so a list of a thousand
    for one of a single row, which it sorts. It expects nothing like that of COALESCE.
    """
    before = scopes.tables.get(query.alias_map[join.parent_alias].table_name)
    if before is None or before.kind is not Kind.OWN or scope.kind not in (Kind.OWN, Kind.SHARED):
        return False
    # Where that is False, as with Oracle's, FALSE is no value.
    return bool(connection.features.supports_boolean_expr_in_select_clause)


def _goes_with_another(query: Any, scope: Scope, alias: str) -> bool:
    """Tell whether the row that a row of ``alias`` goes with is in the statement itself."""
    assert scope.parent is not None  # noqa: S101 - for the type: PATH has one
    link = scope.column, scope.parent_column
    for other, table in query.alias_map.items():
        if not query.alias_refcount[other] or not isinstance(table, Join):
            continue
        if (
            table.parent_alias == alias
            and table.join_type == INNER
            and table.table_name == scope.parent.table
            and list(table.join_cols) == [link]
        ):
            return True
        if other == alias and query.alias_refcount[table.parent_alias]:
            before = query.alias_map[table.parent_alias]
            if before.table_name == scope.parent.table and list(table.join_cols) == [link[::-1]]:
                return True
    return False


def _preparing(before: Callable[[Any, Any], Any]) -> Any:
    """Return what lets a query be looked at, and completed, ahead of its compilation."""

    def preparing(original: Any) -> Any:
        def get_compiler(self: Any, *args: Any, **kwargs: Any) -> Any:
            compiler = original(self, *args, **kwargs)
            if scopes.tables and not _is_free(self):
                compiler.sitefleet_references = before(self, compiler.connection)
            return compiler

        return get_compiler

    return preparing


def _execute_update(original: Any) -> Any:
    def execute(self: Any, *args: Any, **kwargs: Any) -> Any:
        found = original(self, *args, **kwargs)
        if not found:
            references = getattr(self, "sitefleet_references", ())  # none where it is free
            look_why(references, self.connection.alias)
        return found

    return execute


def _execute_insert(original: Any) -> Any:
    def execute_sql(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not writes.needs_site_after(self.query):
            return original(self, *args, **kwargs)
        with transaction.atomic(self.connection.alias, savepoint=False):
            found = original(self, *args, **kwargs)
            writes.after_insert(self, found)
        return found

    return execute_sql


def _collect(original: Any) -> Any:
    def add(self: Any, objs: Any, *args: Any, **kwargs: Any) -> Any:
        if scopes.tables and objs and not is_crossing():
            rows.before_deleting(objs, self.using)
        return original(self, objs, *args, **kwargs)

    return add
