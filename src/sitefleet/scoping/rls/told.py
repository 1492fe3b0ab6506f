"""What a connection of psycopg has been told of its site, and what it is to be told.

It is forgotten where PostgreSQL forgets it, or might: at the end of a transaction, by ROLLBACK TO,
SET, RESET, and after an error.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sitefleet.conf import get_conf
from sitefleet.current import current_state, get_current_site_id
from sitefleet.databases import is_asking
from sitefleet.exceptions import SiteError, SiteRequired
from sitefleet.scoping.crossing import is_crossing
from sitefleet.scoping.rls.policies import VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

#: libpq's PGTransactionStatusType.
IDLE, IN_ERROR = 0, 3
#: What a connection may have been told, beside the id of a site; None: no site.
CROSSING, UNKNOWN, NOTHING = object(), object(), object()

#: These are about transactions and settings, or no policy is asked for them. All but those of the
#: first line may change what the connection has been told.
_CONTROL = re.compile(
    r"(?:\s|--[^\n]*\n|/\*.*?\*/)*(?:(SAVEPOINT|RELEASE|SHOW|TRUNCATE)"
    r"|ROLLBACK|COMMIT|BEGIN|START|END|ABORT|SET|RESET|DISCARD|PREPARE\s+TRANSACTION)\b[^;]*;?\s*$",
    re.IGNORECASE | re.DOTALL,
)
_HOME = (
    "SELECT current_setting('role'),"
    " (SELECT pg_has_role(current_user, oid, 'USAGE') FROM pg_roles WHERE rolname = %s)"
)


class Told:
    """What one connection of psycopg has been told."""

    __slots__ = ("by_session", "finding", "home", "local", "plain", "raw", "session", "transaction")

    def __init__(self, raw: Any, *, by_session: bool) -> None:
        self.raw = raw
        self.plain, self.transaction = raw.cursor_factory, raw.transaction
        self.by_session = by_session
        self.session: Any = None
        """Outside of transactions."""
        self.local: Any = NOTHING
        """In this transaction."""
        self.home: tuple[str, bool] | None = None
        """The role outside of `cross_site`, and whether it sees all rows; None: not known yet."""
        self.finding = False

    def wanted(self, query: Any) -> Any:
        """Return what is to be told ahead of a statement; NOTHING where that is not needed."""
        status = self.raw.pgconn.transaction_status
        if status == IDLE:
            self.local = NOTHING
        control = _CONTROL.match(query)
        if control is not None:
            if control[1] is None:
                self.forget()
            return NOTHING
        if status == IN_ERROR:
            return NOTHING
        site = self.site()
        return NOTHING if site == self.effective else site

    @property
    def effective(self) -> Any:
        """What counts for the next statement."""
        return self.session if self.local is NOTHING else self.local

    @property
    def in_transaction(self) -> bool:
        """Whether the next statement is in a transaction, or begins one."""
        return self.raw.pgconn.transaction_status != IDLE or not self.raw.autocommit

    def stays(self, wanted: Any) -> bool:
        """Tell whether it is left for later statements outside of transactions."""
        # Never the right to see all rows.
        return self.by_session and wanted is not CROSSING and not self.in_transaction

    def message(self, wanted: Any) -> list[str]:
        """Return the statements that tell it."""
        local = "" if self.stays(wanted) else "LOCAL "
        site = "" if wanted is None or wanted is CROSSING else int(wanted)
        found = [f"SET {local}{VARIABLE} = '{site}'"]
        if wanted is CROSSING:
            home, free = self._find_home()
            if not free:
                found.append(f"SET LOCAL ROLE {_quoted(get_conf().RLS_ROLE)}")
        elif self.home is not None and self.effective in (CROSSING, UNKNOWN):
            home, free = self.home
            if not free:
                found.append(f"SET LOCAL ROLE {home if home == 'none' else _quoted(home)}")
        return found

    def note(self, wanted: Any, *, stays: bool, in_transaction: bool) -> None:
        """Keep in mind what was told."""
        if stays:
            self.session = wanted
        elif in_transaction:
            self.local = wanted

    def forget(self) -> None:
        """Say it again ahead of the next statement."""
        self.local = UNKNOWN if self.raw.pgconn.transaction_status != IDLE else NOTHING
        if self.by_session:
            self.session = UNKNOWN

    @contextmanager
    def noticed(self, *args: Any, **options: Any) -> Iterator[Any]:
        """Stand in for the connection's ``transaction()``, whose statements are no cursor's."""
        if self.raw.pgconn.transaction_status == IDLE:
            self.local = NOTHING
        try:
            with self.transaction(*args, **options) as transaction:
                yield transaction
        finally:
            self.forget()

    @contextmanager
    def apart(self, wanted: Any) -> Iterator[None]:
        """Tell it in a message of its own; for statements that share theirs with nothing.

        Where it would not be left for the statement, both go into a transaction.
        """
        in_transaction, stays = self.in_transaction, self.stays(wanted)
        if not in_transaction and not stays:
            with self.transaction():
                self._say(wanted)
                yield
            return
        self._say(wanted)
        self.note(wanted, stays=stays, in_transaction=in_transaction)
        yield

    def _say(self, wanted: Any) -> None:
        self.plain(self.raw).execute("; ".join(self.message(wanted)))

    def site(self) -> Any:
        """Return what statements are for here; NOTHING where it is being looked for."""
        if is_crossing():
            return CROSSING
        state = current_state.get()
        if state is not None and state[0] is not None:
            return state[0]
        if self.finding or is_asking():  # the statement looks for the default site
            return NOTHING
        self.finding = True
        try:
            return get_current_site_id()
        except SiteError:
            return None
        finally:
            self.finding = False

    def _find_home(self) -> tuple[str, bool]:
        role = get_conf().RLS_ROLE
        if self.home is None:
            row = self.plain(self.raw).execute(_HOME, [role]).fetchone()
            self.home = row[0], bool(row[1])
        if not role and not self.home[1]:
            message = (
                "cross_site() sees the rows of all sites through a role of PostgreSQL, and"
                " SITEFLEET['RLS_ROLE'] names none."
            )
            raise SiteRequired(message)
        return self.home


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
