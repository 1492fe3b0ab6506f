"""Raw SQL that names a table of sites: refused where there is no site, as its statement would be.

Every statement of every cursor of Django passes by ``connection.execute_wrappers``, and ours is the
first there. Under a site it lets all of them go, unseen and **unfiltered**: PostgreSQL's row-level
security is the lock for those. What the ORM has compiled is told apart from what was written by
hand by a mark that the guard sets around it; SQL that is written by hand *inside* of it is in
``RawSQL`` and ``extra()``. A few methods of drivers go past the wrappers; they are looked at too.
"""

from __future__ import annotations

import functools
import logging
import re
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from django.db import connections
from django.db.backends.base.creation import BaseDatabaseCreation
from django.db.backends.base.operations import BaseDatabaseOperations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.signals import connection_created
from django.db.backends.utils import CursorWrapper
from django.db.migrations.migration import Migration
from django.db.models.expressions import RawSQL
from django.db.models.sql.where import ExtraWhere

from sitefleet.conf import get_conf
from sitefleet.current import current_state, get_current_site_id
from sitefleet.exceptions import NoCurrentSite, SiteRequired
from sitefleet.scoping.crossing import cross_site, is_crossing, unguarded
from sitefleet.scoping.introspection import is_historical
from sitefleet.scoping.patches import Patches
from sitefleet.scoping.scopes import scopes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

logger = logging.getLogger("sitefleet.raw_sql")

#: Texts whose answer is remembered, and how long one may be for that.
REMEMBERED, LONGEST = 1000, 5000
#: Methods of drivers that Django hands on as they are: psycopg 3, psycopg 2, sqlite3.
PAST_THE_WRAPPERS = ("copy", "stream", "copy_expert", "copy_from", "copy_to", "executescript")
_WORD = re.compile(r"[\w$]+")
#: On these databases such a statement tells of the schema, and of no row.
_SCHEMA = re.compile(r"\s*(PRAGMA|SHOW|DESCRIBE)\b[^;]*;?\s*", re.IGNORECASE)
_SCHEMA_VENDORS = frozenset({"sqlite", "mysql"})

#: Around a statement that the ORM has compiled, and the guard has seen.
_compiled: ContextVar[bool] = ContextVar("sitefleet_compiled", default=False)
#: Inside of a migration.
_migrating: ContextVar[bool] = ContextVar("sitefleet_migrating", default=False)
_patches = Patches()


class Finder:
    """Finds the names of tables in SQL: whole words, quoted or not, in any case.

    A name with a dot behind it is not that of a table, but says of which table a column is.
    Comments and texts are not told apart from the rest: a name in them counts.
    """

    def __init__(self, tables: Iterable[str]) -> None:
        self.tables = tables
        # A name may hold its schema, as 'office"."room': PostgreSQL takes that as db_table.
        names = {re.split(r'"\."|\.', table)[-1].strip('"`[]') for table in tables}
        # Words are looked up at once, however many tables there are; the pattern looks closer.
        self._words = {name.lower() for name in names}
        self._all_are_words = all(_WORD.fullmatch(name) for name in names)
        words = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
        self._pattern = re.compile(rf'(?<![\w$])({words})(?![\w$])(?!["`\]]?\s*\.)', re.IGNORECASE)
        self._remember = functools.lru_cache(REMEMBERED)(self._find)

    def find(self, sql: str) -> str:
        """Return the name of one such table in the SQL, or an empty text."""
        return self._find(sql) if len(sql) > LONGEST else self._remember(sql)

    def _find(self, sql: str) -> str:
        if self._all_are_words and self._words.isdisjoint(_WORD.findall(sql.lower())):
            return ""
        found = self._pattern.search(sql)
        return found[1] if found is not None else ""


_finder = Finder(())


def marking(original: Any) -> Any:
    """Return ``execute_sql`` of a compiler so that its statement is known to be the ORM's."""

    def execute_sql(self: Any, *args: Any, **kwargs: Any) -> Any:
        state = current_state.get()
        if state is not None and state[0] is not None:
            return original(self, *args, **kwargs)
        token = _compiled.set(True)
        try:
            return original(self, *args, **kwargs)
        finally:
            _compiled.reset(token)

    return execute_sql


def look_at_statement(
    execute: Callable[..., Any], sql: Any, params: Any, many: Any, context: dict[str, Any]
) -> Any:
    """Let a statement go, or refuse it: an execute wrapper. Raises SiteRequired."""
    state = current_state.get()
    if state is not None and state[0] is not None:
        return execute(sql, params, many, context)
    if not _compiled.get():
        look_at(sql, context["connection"])
        return execute(sql, params, many, context)
    token = _compiled.set(False)  # what other wrappers run in there is not the ORM's
    try:
        return execute(sql, params, many, context)
    finally:
        _compiled.reset(token)


def look_at(sql: Any, connection: Any) -> None:
    """Refuse SQL that names a table of sites where there is none. Raises SiteRequired.

    ``sql``: text, bytes, or what psycopg composes.
    """
    tables = scopes.tables
    if not tables or _migrating.get() or is_crossing():
        return
    global _finder  # noqa: PLW0603 - as old as the tables that it finds
    finder = _finder
    if finder.tables is not tables:
        finder = _finder = Finder(tables)
    text = _text_of(sql, connection)
    table = finder.find(text)
    if not table or (connection.vendor in _SCHEMA_VENDORS and _SCHEMA.fullmatch(text)):
        return
    try:
        get_current_site_id()
    except NoCurrentSite:
        _refuse(table)


def _text_of(sql: Any, connection: Any) -> str:
    if isinstance(sql, str):
        return sql
    if isinstance(sql, (bytes, bytearray)):
        return sql.decode(errors="replace")
    if hasattr(sql, "as_string"):
        return str(sql.as_string(connection.connection))
    return str(sql)


def _refuse(table: str) -> None:
    way = get_conf().RAW_SQL
    if way == "allow":
        return
    rows = f"Raw SQL that names the table {table}, whose rows belong to a site,"
    if way == "warn":
        logger.warning("%s was run without a current site.", rows, stack_info=True)
        return
    raise SiteRequired(f"{rows} was refused; it is not read whether it names one.")


def _look_at_part(original: Any) -> Any:
    """Look at the SQL by hand in a statement of the ORM."""

    def as_sql(self: Any, compiler: Any = None, connection: Any = None) -> Any:
        model = compiler.query.model if compiler is not None else None
        if model is None or not is_historical(model):
            for sql in self.sqls if isinstance(self, ExtraWhere) else (self.sql,):
                look_at(sql, connection)
        return original(self, compiler, connection)

    return as_sql


def _looking(name: str) -> property:
    """Return a method of drivers for Django's cursor, which hands it on unseen."""

    def method(self: Any) -> Any:
        original = getattr(self.cursor, name)  # where the driver has it

        def call(*args: Any, **kwargs: Any) -> Any:
            for value in (*args, *kwargs.values()):
                if isinstance(value, (str, bytes)) or hasattr(value, "as_string"):
                    look_at(value, self.db)
            return original(*args, **kwargs)

        return call

    return property(method)


@contextmanager
def _in_migration() -> Iterator[None]:
    token = _migrating.set(True)
    try:
        yield
    finally:
        _migrating.reset(token)


def install() -> None:
    """Look at all statements from here on."""
    if _patches:
        return
    crossing = functools.partial(cross_site, by="Django")
    for owner, name, change in (
        (Migration, "apply", _in_migration()),
        (Migration, "unapply", _in_migration()),
        (BaseDatabaseSchemaEditor, "execute", _in_migration()),
        # What Django does with all rows by its nature: for `flush`, and between tests.
        (BaseDatabaseOperations, "execute_sql_flush", crossing("all tables are emptied")),
        (BaseDatabaseCreation, "serialize_db_to_string", crossing("rows are kept for tests")),
        (BaseDatabaseCreation, "deserialize_db_from_string", crossing("rows are put back")),
        (RawSQL, "as_sql", _look_at_part),
        (ExtraWhere, "as_sql", _look_at_part),
    ):
        _patches.change(owner, name, change)
    for name in PAST_THE_WRAPPERS:
        _patches.put(CursorWrapper, name, _looking(name))
    connection_created.connect(_connected, dispatch_uid="sitefleet.raw")
    for connection in connections.all(initialized_only=True):
        _connected(connection)


def uninstall() -> None:
    """Undo `install`; for tests."""
    connection_created.disconnect(dispatch_uid="sitefleet.raw")
    for connection in connections.all(initialized_only=True):
        if look_at_statement in connection.execute_wrappers:
            connection.execute_wrappers.remove(look_at_statement)
    _patches.undo()


def _connected(connection: Any, **_: Any) -> None:
    if look_at_statement not in connection.execute_wrappers:
        # The first is the outermost; and Django takes those of its blocks away from the end.
        connection.execute_wrappers.insert(0, look_at_statement)
    # Backends have these each their own: they ask with raw SQL, and tell of no row.
    for owner, name in (
        (type(connection), "check_constraints"),
        (type(connection.introspection), "get_table_description"),
    ):
        _patches.change_once(owner, name, unguarded())
