"""What the pipeline said, remembered: a request costs one dict look-up.

For each host its `Entry` is kept, unknown hosts too, both bounded. All of it is dropped when the
*generation* has changed: one row, changed by database triggers with every change of a site, read
by each process once in ``FRESHNESS`` seconds. So every process sees a change within that time.

The trap is the transaction. What a thread reads inside of one may be rolled back, or older than
what others see already. So a generation read there, where it differs, gets a memory of its own,
which that database connection alone uses, until the transaction ends.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from threading import Lock, Thread
from time import monotonic
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from django.contrib.sites import models as django_sites
from django.db import DatabaseError, connections, router

from sitefleet import hosts
from sitefleet.conf import get_conf
from sitefleet.environments import get_environment
from sitefleet.models import Generation, SiteConfig
from sitefleet.pipeline import UNKNOWN, Entry, decide, look_up, steps_for
from sitefleet.presented import present, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.sites.models import Site
    from django.db.backends.base.base import BaseDatabaseWrapper

logger = logging.getLogger("sitefleet")

_NEVER_READ: Final = object()


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
            entries.pop(next(iter(entries)), None)
        entries[host] = entry
        return entry


class View:
    """What one connection sees inside of a transaction, and until when it need not look again."""

    def __init__(self, memory: Memory, due: float, blocks: tuple[object, ...]) -> None:
        self.memory = memory
        self.due = due
        self.blocks = blocks

    def holds(self, connection: BaseDatabaseWrapper) -> bool:
        """Tell whether the atomic blocks in which this was seen are all still open."""
        now = connection.atomic_blocks
        return len(now) >= len(self.blocks) and all(
            mine is theirs for mine, theirs in zip(self.blocks, now, strict=False)
        )


class Resolver:
    """The memory of this process."""

    def __init__(self) -> None:
        self._lock = Lock()
        #: While tables may be missing: between ``pre_migrate`` and ``post_migrate``.
        self.paused = False
        #: Called after each look at the generation; the listener hangs here.
        self.after_look: Callable[[], None] = lambda: None
        self.reset()

    def reset(self) -> None:
        """Forget everything: after a change of settings, and between tests."""
        self._memory = Memory(_NEVER_READ, 1)
        self._due = 0.0
        self._clear_again = False
        self._views: WeakKeyDictionary[BaseDatabaseWrapper, View] = WeakKeyDictionary()

    def peek(self, host: str) -> Entry | None:
        """Return the entry of a Host header from memory; None when `find` must be asked.

        Never touches the database, so that async code may call it.
        """
        if monotonic() >= self._due or self._views:
            return None
        memory = self._memory
        return memory.exact.get(host) or memory.derived.get(host)

    def find(self, host: str) -> Entry:
        """Return the entry of a Host header. Raises InvalidHost; may query."""
        host = hosts.normalize_header(host)
        connection = _connection()
        memory = self._memory_for(connection)
        return memory.get(host) or memory.keep(host, self._load(host, connection))

    def site(self, pk: int) -> Site:
        """Return a site by its primary key, as it is presented in this environment.

        Kept in Django's own cache of sites. Raises Site.DoesNotExist.
        """
        self.refresh()
        site = django_sites.SITE_CACHE.get(pk)
        if site is None or shown(site) is None:
            site = django_sites.Site.objects.select_related("siteconfig").get(pk=pk)
            config = getattr(site, "siteconfig", None)
            site = config.presented_site() if config else present(site, site.domain, "", "")
            django_sites.SITE_CACHE[pk] = site
        return site

    def before_site_id(self, pk: int | None) -> None:
        """Get Django's cache ready for ``Site.objects.get_current()``. Cheap; never raises.

        Called at each look at ``settings.SITE_ID``, with the id of the site that code has entered,
        so that a process that serves no requests keeps the promise of freshness too, and so that
        what that cache holds is presented for this environment.
        """
        self.refresh()
        if pk is None or pk in django_sites.SITE_CACHE or self.paused or _in_event_loop():
            return
        if not _connection().needs_rollback:
            # Django is going to say what is wrong, in its own way, when it needs the row.
            with suppress(DatabaseError, django_sites.Site.DoesNotExist):
                self.site(pk)

    def refresh(self) -> None:
        """See to it that Django's own cache of sites is not stale. Cheap; never raises."""
        if self.paused or monotonic() < self._due or not django_sites.SITE_CACHE:
            return
        if _in_event_loop():
            # No queries in the event loop: look in a thread, to be right at the next look.
            self._due = monotonic() + get_conf().FRESHNESS
            Thread(target=self._look_and_close, name="sitefleet-refresh", daemon=True).start()
        else:
            self._look()

    def expire(self, using: str | None = None) -> None:
        """Look at the generation at the next call: something was changed in this process."""
        connection = connections[using] if using else _connection()
        if connection.in_atomic_block:
            self._views[connection] = View(self._memory, 0.0, tuple(connection.atomic_blocks))
        else:
            self._due = 0.0

    def announced(self) -> None:
        """Look at the generation at the next call: another process says that it has changed."""
        self._due = 0.0

    def is_empty(self) -> bool:
        """Tell whether there is no site yet but the placeholder that Django's ``migrate`` makes."""
        memory = self._memory_for(_connection())
        if memory.empty is None:
            domains = django_sites.Site.objects.order_by("pk").values_list("domain", flat=True)
            memory.empty = list(domains[:2]) in ([], ["example.com"])
        return memory.empty

    def _look(self) -> None:
        connection = _connection()
        if connection.needs_rollback:
            return
        try:
            self._memory_for(connection)
        except DatabaseError as error:
            logger.debug("The generation of sites could not be read: %s", error)
            self._due = monotonic() + get_conf().FRESHNESS

    def _look_and_close(self) -> None:
        self._due = 0.0
        self._look()
        connections.close_all()

    def _memory_for(self, connection: BaseDatabaseWrapper) -> Memory:
        if connection.in_atomic_block:
            return self._inside_transaction(connection)
        if connection in self._views:
            self._drop_view(connection)
        if monotonic() >= self._due:
            # Who comes while another one looks waits for the answer: it would be late otherwise.
            with self._lock:
                if monotonic() >= self._due:
                    self._read(connection)
        return self._memory

    def _read(self, connection: BaseDatabaseWrapper) -> None:
        conf = get_conf()
        now = monotonic()
        try:
            token = read_generation(connection)
        except DatabaseError as error:
            if self._memory.token is _NEVER_READ:
                raise
            logger.warning("Sites are served from memory, the database did not answer: %s", error)
        else:
            changed = token != self._memory.token
            if changed:
                self._memory = Memory(token, conf.CACHE_SIZE)
            if changed or self._clear_again:
                django_sites.Site.objects.clear_cache()
            # A request that was under way may just have put its older site back into that cache.
            self._clear_again = changed
            self.after_look()
        self._due = now + conf.FRESHNESS

    def _drop_view(self, connection: BaseDatabaseWrapper) -> None:
        """The transaction is over, and may have been rolled back: look at what is true now."""
        self._views.pop(connection, None)
        self._due = 0.0
        django_sites.Site.objects.clear_cache()

    def _inside_transaction(self, connection: BaseDatabaseWrapper) -> Memory:
        view = self._views.get(connection)
        now = monotonic()
        if view is not None and not view.holds(connection):
            self._drop_view(connection)
            view = None
        if view is None and now < self._due:
            return self._memory
        if view is not None and now < view.due:
            return view.memory
        conf = get_conf()
        token = read_generation(connection)
        memory = view.memory if view is not None else self._memory
        if token != memory.token:
            memory = self._memory
        if token != memory.token:
            memory = Memory(token, conf.CACHE_SIZE)
            django_sites.Site.objects.clear_cache()
        blocks = tuple(connection.atomic_blocks)
        self._views[connection] = View(memory, now + conf.FRESHNESS, blocks)
        return memory

    @staticmethod
    def _load(host: str, connection: BaseDatabaseWrapper) -> Entry:
        environment = get_environment()
        steps = steps_for(host, environment, www=get_conf().WWW)
        if not steps:
            return UNKNOWN
        rows = look_up(steps, environment, connection)
        return decide(host, steps, rows, environment)[0]


def read_generation(connection: BaseDatabaseWrapper) -> int | None:
    """Return the token of the generation; None where there is no row yet."""
    with connection.cursor() as cursor:
        cursor.execute(_GENERATION)
        row = cursor.fetchone()
    return row[0] if row else None


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _connection() -> BaseDatabaseWrapper:
    return connections[router.db_for_read(SiteConfig)]


_GENERATION = f"SELECT token FROM {Generation._meta.db_table} WHERE id = 1"

resolver = Resolver()
