"""Each connection to PostgreSQL is told the site that its next statement is for, when that changes.

What it is told goes in the same message as the statement, ``SET LOCAL ..; SELECT ..``, so that it
costs no trip to the server: in a transaction it holds until its end, and outside of one for that
message, which PostgreSQL runs as a transaction of its own. So nothing is left for the next client
of a pooler. With ``SITEFLEET["RLS"] = "session"`` it is left, and said again only when it changes.

What a connection was told is kept on psycopg's connection itself, which pools hand on.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sitefleet.conf import find_problems, get_conf
from sitefleet.exceptions import CrossSiteWrite, SiteRequired
from sitefleet.scoping.rls.policies import VARIABLE
from sitefleet.scoping.rls.told import AHEAD, CROSSING, NO_SITE, NOTHING, Told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Of these some refuse to run in a transaction, so they share their message with nothing. But for
#: the last one they ask no policy.
_ALONE = re.compile(
    rf"{AHEAD}(?:(?:VACUUM|ALTER|DROP|REINDEX|CLUSTER)\b"
    r"|CREATE\s+(?:DATABASE|TABLESPACE|SUBSCRIPTION|(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY)\b"
    r"|DO\b.*\b(?:COMMIT|ROLLBACK)\b)",
    re.IGNORECASE | re.DOTALL,
)
#: What may end the transaction that it runs in: it has one of its own where the site stays.
_CALL = re.compile(rf"{AHEAD}CALL\b", re.IGNORECASE | re.DOTALL)
#: The function of PostgreSQL in which a new row is refused: execMain.c.
_OF_POLICIES = "ExecWithCheckOptions"


class TellingCursor:
    """What `equip` adds to a class of cursors of psycopg."""

    connection: Any

    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        """Run a statement for the current site. Raises SiteRequired, CrossSiteWrite."""
        parent: Any = super()
        told = self.connection.sitefleet
        text = query if type(query) is str else as_text(query, self.connection)
        wanted = told.wanted(text)
        try:
            if wanted is NOTHING:
                return parent.execute(query, params, **options)
            if not told.in_transaction and _ALONE.match(text):
                wanted = None if wanted is CROSSING else wanted
                if not told.stays(wanted):
                    return parent.execute(query, params, **options)
            elif self._shares() and not (told.stays(wanted) and _CALL.match(text)):
                self._execute_together(told, wanted, text, params, options)
                return self
            with told.apart(wanted):
                return parent.execute(query, params, **options)
        except BaseException as error:  # an interrupt may come behind what was told
            told.forget()
            explain(error, told)
            raise
        finally:
            if ";" in text:  # whatever its other statements have done
                told.forget()

    def _shares(self) -> bool:
        """Tell whether several statements can go in one message, with the parameters in them."""
        return hasattr(self, "mogrify") and not self.connection.pgconn.pipeline_status

    def _execute_together(
        self, told: Told, wanted: Any, text: str, params: Any, options: dict[str, Any]
    ) -> None:
        parent: Any = super()
        stays, in_transaction = told.stays(wanted), told.in_transaction
        first = told.message(wanted)
        parent.execute("; ".join([*first, text]), params, **options)
        for _ in first:
            parent.nextset()
        told.note(wanted, stays=stays, in_transaction=in_transaction)

    def executemany(self, query: Any, params_seq: Any, **options: Any) -> Any:
        """Run a statement for the current site with each of many parameters."""
        parent: Any = super()
        with self._telling(query):
            return parent.executemany(query, params_seq, **options)

    def stream(self, query: Any, *args: Any, **options: Any) -> Any:
        """Run a statement for the site that is current when its first row is asked for."""
        parent: Any = super()
        with self._telling(query):
            yield from parent.stream(query, *args, **options)

    @contextmanager
    def copy(self, statement: Any, *args: Any, **options: Any) -> Iterator[Any]:
        """Run a COPY for the current site."""
        parent: Any = super()
        with self._telling(statement), parent.copy(statement, *args, **options) as copy:
            yield copy

    @contextmanager
    def _telling(self, query: Any) -> Iterator[None]:
        told = self.connection.sitefleet
        with telling(told, as_text(query, self.connection)):
            yield


class TellingNamedCursor(TellingCursor):
    """What `equip` adds to cursors with a name: their rows are found while they are fetched."""

    withhold: bool
    declared: Any = NOTHING

    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        """Declare it for the current site, and for the transaction at most that it is in."""
        told = self.connection.sitefleet
        if self.withhold and told.in_transaction:
            # Held rows are found by COMMIT, and would be those of the site that is told last.
            self._withhold = False
        self.declared = told.site()
        try:
            return super().execute(query, params, **options)
        except BaseException:
            self._described = False  # it may have failed in COMMIT: there is nothing to close
            raise

    def _shares(self) -> bool:
        return False

    @contextmanager
    def _as_declared(self) -> Iterator[None]:
        told = self.connection.sitefleet
        try:
            if not self.withhold:
                told.back_to(self.declared)
            yield
        except Exception as error:
            explain(error, told)
            raise

    def fetchone(self) -> Any:
        """Fetch a row of the site that it was declared for."""
        parent: Any = super()
        with self._as_declared():
            return parent.fetchone()

    def fetchmany(self, size: int = 0) -> Any:
        """Fetch rows of the site that it was declared for."""
        parent: Any = super()
        with self._as_declared():
            return parent.fetchmany(size)

    def fetchall(self) -> Any:
        """Fetch the other rows of the site that it was declared for."""
        parent: Any = super()
        with self._as_declared():
            return parent.fetchall()

    def __next__(self) -> Any:
        parent: Any = super()
        with self._as_declared():
            return parent.__next__()

    def scroll(self, value: int, mode: str = "relative") -> None:
        """Go past rows of the site that it was declared for."""
        parent: Any = super()
        with self._as_declared():
            parent.scroll(value, mode)


@contextmanager
def telling(told: Told, text: str) -> Iterator[None]:
    """Tell the connection the site for a statement, in a message of its own."""
    wanted = told.wanted(text)
    try:
        if wanted is NOTHING:
            yield
        else:
            with told.apart(wanted):
                yield
    except BaseException as error:
        told.forget()
        explain(error, told)
        raise


def tell_named_cursors(
    execute: Callable[..., Any],
    sql: Any,
    params: Any,
    many: bool,  # noqa: FBT001 - as Django calls it
    context: dict[str, Any],
) -> Any:
    """Let the cursors of ``iterator()``, whose class Django knows, follow the current site too.

    An execute wrapper of Django.
    """
    cursor = context["cursor"].cursor
    if hasattr(cursor.connection, "sitefleet"):
        factory: type = type(cursor)
        cursor.__class__ = _telling_class(factory)
    return execute(sql, params, many, context)


def equip(connection: Any, **_: Any) -> None:
    """Let a connection of Django, which is open, follow the current site; ``connection_created``.

    With settings that cannot be used nothing is told, and PostgreSQL refuses.
    """
    raw = connection.connection
    if connection.vendor != "postgresql" or find_problems() or not hasattr(raw, "pgconn"):
        return
    mode = get_conf().RLS
    if not hasattr(raw, "sitefleet"):
        if not mode:
            return
        raw.sitefleet = Told(raw, by_session=mode == "session")
        raw.cursor_factory = _telling_class(raw.cursor_factory)
        raw.server_cursor_factory = _telling_class(raw.server_cursor_factory)
        raw.transaction = raw.sitefleet.noticed
    if tell_named_cursors not in connection.execute_wrappers:
        # First of all: Django takes the wrappers of its ``with`` blocks away from the end.
        connection.execute_wrappers.insert(0, tell_named_cursors)


def explain(error: BaseException, told: Told) -> None:
    """Raise our error for one of PostgreSQL's policies. Raises SiteRequired, CrossSiteWrite."""
    state, diag = getattr(error, "sqlstate", None), getattr(error, "diag", None)
    text = str(getattr(diag, "message_primary", ""))
    # Nothing here goes by words of PostgreSQL's, which has many languages.
    if (state == "22P02" and NO_SITE in text) or (state == "42704" and VARIABLE in text):
        if told.site() is None:
            message = "PostgreSQL was asked for rows of a site, and its connection has none."
            raise SiteRequired(message) from error
    elif state == "42501" and getattr(diag, "source_function", "") == _OF_POLICIES:
        raise CrossSiteWrite(f"PostgreSQL: {text}.") from error


def as_text(query: Any, raw: Any) -> str:
    """Return SQL as text: psycopg takes bytes too, and what its module ``sql`` composes."""
    if isinstance(query, str):
        return query
    if isinstance(query, bytes):
        return query.decode()
    return str(query.as_string(raw))


@lru_cache
def _telling_class(factory: type) -> type:
    if issubclass(factory, TellingCursor):
        return factory
    kind = TellingNamedCursor if hasattr(factory, "withhold") else TellingCursor
    return type(factory.__name__, (kind, factory), {})
