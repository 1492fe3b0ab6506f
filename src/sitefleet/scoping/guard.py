"""Every statement on rows of sites is for a site: the one file that touches Django's compiler.

Statements are completed while they are compiled: whoever made them, whenever, with whatever manager.
Where a table is read, or joined, the condition that its rows are of the current site is added;
UPDATE and DELETE get it before they are compiled, INSERT is looked at. Django has no hook for that,
so these are replaced, and a test for each supported Django says that they are still there:

* ``SQLCompiler.get_from_clause``: the tables of a statement are known, its WHERE is not compiled yet;
* ``Join.as_sql``: a joined table gets its condition in ON, so that outer joins stay outer;
* ``get_compiler`` of the queries for UPDATE, DELETE and INSERT;
* ``execute_sql`` of the compilers for UPDATE and INSERT, for what only the answer tells;
* ``Collector.add``: what is going to be deleted as instances.
"""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.db.models.deletion import Collector
from django.db.models.sql.compiler import SQLCompiler, SQLInsertCompiler, SQLUpdateCompiler
from django.db.models.sql.constants import INNER
from django.db.models.sql.datastructures import BaseTable, Join
from django.db.models.sql.subqueries import DeleteQuery, InsertQuery, UpdateQuery
from django.db.models.sql.where import AND, WhereNode

from sitefleet.exceptions import SiteRequired
from sitefleet.scoping import writes
from sitefleet.scoping.conditions import OfCurrentSite, states_site
from sitefleet.scoping.crossing import is_crossing
from sitefleet.scoping.scopes import Kind, Scope, scopes

_originals: list[tuple[type, str, Any]] = []


def is_installed() -> bool:
    """Tell whether statements are guarded in this process."""
    return bool(_originals)


def install() -> None:
    """Guard all statements from here on."""
    if _originals:
        return
    for owner, name, replacement in (
        (SQLCompiler, "get_from_clause", _get_from_clause),
        (Join, "as_sql", _join_as_sql),
        (UpdateQuery, "get_compiler", _update_compiler),
        (DeleteQuery, "get_compiler", _delete_compiler),
        (InsertQuery, "get_compiler", _insert_compiler),
        (SQLUpdateCompiler, "execute_sql", _execute_update),
        (SQLInsertCompiler, "execute_sql", _execute_insert),
        (Collector, "add", _collect),
    ):
        original = getattr(owner, name)
        _originals.append((owner, name, owner.__dict__.get(name)))
        setattr(owner, name, replacement(original))


def uninstall() -> None:
    """Undo `install`; for tests."""
    while _originals:
        owner, name, original = _originals.pop()
        if original is None:  # it was inherited
            delattr(owner, name)
        else:
            setattr(owner, name, original)


def _is_free(query: Any) -> bool:
    """Tell whether a query may see all rows: one of a migration, or one that crosses sites."""
    model = query.model
    return (model is not None and model._meta.apps is not apps) or is_crossing()


def _get_from_clause(original: Any) -> Any:
    def get_from_clause(self: Any) -> Any:
        query = self.query
        tables = scopes.tables
        if tables and not _is_free(query):
            for alias, table in query.alias_map.items():
                if not isinstance(table, BaseTable) or not query.alias_refcount[alias]:
                    continue
                scope = tables.get(table.table_name)
                if scope is not None and not query.is_empty():
                    _demand(self, scope, alias)
            for name in query.extra_tables:
                if name in tables:
                    message = f"extra(tables=[{name!r}]) was refused."
                    raise SiteRequired(message)
        return original(self)

    return get_from_clause


def _demand(compiler: Any, scope: Scope, alias: str) -> None:
    where = compiler.where
    if where is not None and states_site(where, scope, alias):
        return
    if scope.kind is Kind.PATH and _goes_with_another(compiler.query, scope, alias):
        return
    condition = OfCurrentSite(scope, alias)
    children = [condition] if where is None else [where, condition]
    compiler.where = WhereNode(children, AND)


def _join_as_sql(original: Any) -> Any:
    def as_sql(self: Any, compiler: Any, connection: Any) -> Any:
        sql, params = original(self, compiler, connection)
        scope = scopes.tables.get(self.table_name)
        if scope is None or _is_free(compiler.query):
            return sql, params
        query, alias = compiler.query, self.table_alias
        if query.is_empty():
            return sql, params
        # In WHERE it would turn an outer join into an inner one, so there it counts for INNER.
        if self.join_type == INNER and compiler.where is not None:
            if states_site(compiler.where, scope, alias):
                return sql, params
        if scope.kind is Kind.PATH and _goes_with_another(query, scope, alias):
            return sql, params
        more, values = OfCurrentSite(scope, alias).as_sql(compiler, connection)
        return f"{sql[:-1]} AND {more})", [*params, *values]

    return as_sql


def _goes_with_another(query: Any, scope: Scope, alias: str) -> bool:
    """Tell whether the row that a row of ``alias`` goes with is in the statement itself."""
    assert scope.parent is not None  # noqa: S101 - for the type: PATH has one
    link = scope.column, scope.parent_column
    for other, table in query.alias_map.items():
        if not query.alias_refcount[other] or not isinstance(table, Join):
            continue
        columns = [(left.column, right.column) for left, right in table.join_fields]
        if (
            table.parent_alias == alias
            and table.join_type == INNER
            and table.table_name == scope.parent.table
            and columns == [link]
        ):
            return True
        if other == alias:
            before = query.alias_map[table.parent_alias]
            if before.table_name == scope.parent.table and columns == [link[::-1]]:
                return True
    return False


def _update_compiler(original: Any) -> Any:
    def get_compiler(self: Any, *args: Any, **kwargs: Any) -> Any:
        compiler = original(self, *args, **kwargs)
        if scopes.tables and not _is_free(self):
            writes.before_update(self, compiler.using)
        return compiler

    return get_compiler


def _delete_compiler(original: Any) -> Any:
    def get_compiler(self: Any, *args: Any, **kwargs: Any) -> Any:
        compiler = original(self, *args, **kwargs)
        if scopes.tables and not _is_free(self):
            writes.before_delete(self)
        return compiler

    return get_compiler


def _insert_compiler(original: Any) -> Any:
    def get_compiler(self: Any, *args: Any, **kwargs: Any) -> Any:
        compiler = original(self, *args, **kwargs)
        if scopes.tables and not _is_free(self):
            writes.before_insert(self, compiler.using)
        return compiler

    return get_compiler


def _execute_update(original: Any) -> Any:
    def execute_sql(self: Any, *args: Any, **kwargs: Any) -> Any:
        count = original(self, *args, **kwargs)
        if not count:
            writes.after_vain_update(self.query, self.using)
        return count

    return execute_sql


def _execute_insert(original: Any) -> Any:
    def execute_sql(self: Any, *args: Any, **kwargs: Any) -> Any:
        rows = original(self, *args, **kwargs)
        if scopes.tables and not _is_free(self.query):
            writes.after_insert(self.query, self.using, rows)
        return rows

    return execute_sql


def _collect(original: Any) -> Any:
    def add(self: Any, objs: Any, *args: Any, **kwargs: Any) -> Any:
        if scopes.tables and objs and not is_crossing():
            writes.before_deleting(objs)
        return original(self, objs, *args, **kwargs)

    return add
