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
IDLE, IN_TRANSACTION, IN_ERROR = 0, 2, 3
#: What a connection may have been told, beside the id of a site; None: no site.
CROSSING, UNKNOWN, NOTHING = object(), object(), object()
#: What PostgreSQL is told in place of an id. It is no number, and stands in the error so.
NO_SITE = "no site"
#: What may stand ahead of the first word of a statement.
AHEAD = r"(?:\s|--[^\n]*\n|/\*.*?\*/)*"

#: These are about transactions and settings, or no policy is asked for them. All but those of the
#: first line may change what the connection has been told.
_CONTROL = re.compile(
    rf"{AHEAD}(?:(SAVEPOINT|RELEASE|SHOW|TRUNCATE)"
    r"|ROLLBACK|COMMIT|BEGIN|START|END|ABORT|SET|RESET|DISCARD|PREPARE\s+TRANSACTION)\b[^;]*;?\s*$",
    re.IGNORECASE | re.DOTALL,
)
#: PostgreSQL keeps the role to come back to itself: so a ROLLBACK TO undoes both, and a role that
#: somebody has SET is not undone. Nothing is done where the role sees all rows anyhow.
_ENTER = (
    "SELECT set_config('sitefleet.role', current_setting('role'), true),"
    " set_config('role', {role}, true) WHERE NOT pg_has_role({role}, 'USAGE')"
)
_LEAVE = (
    "SELECT set_config('role', current_setting('sitefleet.role'), true),"
    " set_config('sitefleet.role', '', true)"
    " WHERE current_setting('role') = {role} AND current_setting('sitefleet.role', true) <> ''"
)


class Told:
    """What one connection of psycopg has been told."""

    __slots__ = (
        "by_session",
        "crossed",
        "finding",
        "local",
        "plain",
        "raw",
        "session",
        "transaction",
    )

    def __init__(self, raw: Any, *, by_session: bool) -> None:
        self.raw = raw
        self.plain, self.transaction = raw.cursor_factory, raw.transaction
        self.by_session = by_session
        self.session: Any = UNKNOWN
        """Outside of transactions; options, ``ALTER ROLE`` and other clients may have said it."""
        self.local: Any = NOTHING
        """In this transaction."""
        self.crossed = False
        """Whether this transaction may have the role that sees all rows."""
        self.finding = False

    def wanted(self, query: Any) -> Any:
        """Return what is to be told ahead of a statement; NOTHING where that is not needed."""
        status = self.raw.pgconn.transaction_status
        if status == IDLE:
            self._begin()
        control = _CONTROL.match(query)
        if control is not None:
            if control[1] is None:
                self.forget()
            return NOTHING
        if status == IN_ERROR:
            return NOTHING
        site = self.site()
        return NOTHING if site == self.effective else site

    def _begin(self) -> None:
        """Nothing is left of the last transaction."""
        self.local, self.crossed = NOTHING, False

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
        site = NO_SITE if wanted is None or wanted is CROSSING else int(wanted)
        found = [f"SET {local}{VARIABLE} = '{site}'"]
        if wanted is CROSSING:
            self.crossed = True
            found.append(_ENTER.format(role=_role()))
        elif self.crossed and self.effective in (CROSSING, UNKNOWN):
            found.append(_LEAVE.format(role=_role()))
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
            self._begin()
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

    def back_to(self, declared: Any) -> None:
        """Tell it what the named cursor of this transaction was declared under, for its FETCH."""
        if self.raw.pgconn.transaction_status != IN_TRANSACTION:
            return
        if declared is not NOTHING and declared != self.effective:
            self._say(declared)
            self.note(declared, stays=False, in_transaction=True)

    def _say(self, wanted: Any) -> None:
        message = self.message(wanted)
        # In a pipeline each message is one statement.
        together = not self.raw.pgconn.pipeline_status
        for text in ["; ".join(message)] if together else message:
            self.plain(self.raw).execute(text)

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


def _role() -> str:
    """Return the role that sees all rows, as SQL. Raises SiteRequired where there is none."""
    role = get_conf().RLS_ROLE
    if not role:
        message = (
            "cross_site() sees the rows of all sites through a role of PostgreSQL, and"
            " SITEFLEET['RLS_ROLE'] names none."
        )
        raise SiteRequired(message)
    return "'" + role.replace("'", "''") + "'"
