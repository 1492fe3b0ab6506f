"""What is remembered of hosts: the entries of one generation, bounded."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary, WeakValueDictionary

from django.contrib.sites import models as django_sites

from sitefleet.pipeline import UNKNOWN, Entry

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

    from sitefleet.current import State
    from sitefleet.presented import Stored

NEVER_READ: Final = object()


class Memory:
    """The entries of one generation.

    ``exact`` holds hosts that are names of a site. Whatever a client can make up (unknown hosts,
    what a wildcard covers, odd ports) goes to ``derived``, so that it cannot push names out.
    """

    def __init__(self, token: object, size: int) -> None:
        self.token = token
        self.size = size
        self.exact: dict[str, Entry] = {}
        self.derived: dict[str, Entry] = {}
        #: Of both, the frames of hosts whose site is simply to be served: most requests look
        #: nowhere else, and touch nothing else.
        self.plain: dict[str, State] = {}
        #: What is stored of a site, once for all of its hosts: clients can make up many.
        self.stored: WeakValueDictionary[int, Stored] = WeakValueDictionary()
        self.empty: bool | None = None

    def get(self, host: str) -> Entry | None:
        """Return the entry of a host, or None when it is not known yet."""
        return self.exact.get(host) or self.derived.get(host)

    def keep(self, host: str, entry: Entry) -> Entry:
        """Remember an entry; the oldest one of its kind makes room. Returns the entry."""
        match = entry.root or (entry.below[0] if entry.below else None)
        odd_port = ":" in host and match and host not in (match.name, match.site.domain)
        made_up = match is None or match.how == "wildcard" or odd_port
        entries = self.derived if made_up else self.exact
        while len(entries) >= self.size:
            with suppress(RuntimeError, StopIteration):  # another thread makes room as well
                self._drop(next(iter(entries)), entries)
        entries[host] = entry
        if match is not None and match.plain and not entry.below:
            self.plain[host] = match.frame
        return entry

    def _drop(self, host: str, entries: dict[str, Entry]) -> None:
        entry = entries.pop(host, UNKNOWN)
        self.plain.pop(host, None)
        for match in (entry.root, *entry.below):
            if match is not None:
                # Django's own cache of sites has no bound but this.
                django_sites.SITE_CACHE.pop(match.site.pk, None)


class View:
    """What one connection sees inside of a transaction, and until when it need not look again."""

    def __init__(self, connection: BaseDatabaseWrapper, memory: Memory, due: float) -> None:
        self.memory = memory
        self.due = due
        # Django begins a new list when a transaction ends, and when a savepoint is rolled back.
        # Atomic blocks do not tell transactions apart: a decorator enters the same one each time.
        self.hooks = connection.run_on_commit

    def holds(self, connection: BaseDatabaseWrapper) -> bool:
        """Tell whether what was seen has neither ended nor been rolled back."""
        return connection.in_atomic_block and connection.run_on_commit is self.hooks


class Views:
    """The views of all connections; a connection that is gone takes its view with it."""

    def __init__(self) -> None:
        self._views: WeakKeyDictionary[BaseDatabaseWrapper, View] = WeakKeyDictionary()
        #: What is inside of that, for a quick look at whether there is any.
        self.held: dict[Any, View] = self._views.data  # type: ignore[attr-defined]

    def __contains__(self, connection: BaseDatabaseWrapper) -> bool:
        return connection in self._views

    def of(self, connection: BaseDatabaseWrapper) -> View | None:
        """Return the view of a connection, or None."""
        return self._views.get(connection)

    def keep(self, connection: BaseDatabaseWrapper, view: View) -> None:
        """Keep the view of a connection."""
        self._views[connection] = view

    def drop(self, connection: BaseDatabaseWrapper) -> None:
        """Forget the view of a connection."""
        self._views.pop(connection, None)

    def any_open(self) -> bool:
        """Tell whether a transaction is open that sees something of its own.

        A view may outlive its transaction, until its thread asks again; that one tells nothing.
        """
        return any(view.holds(connection) for connection, view in list(self._views.items()))
