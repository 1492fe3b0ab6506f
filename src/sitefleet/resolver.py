"""What the pipeline said, remembered: a request costs one dict look-up.

For each host its `Entry` is kept, unknown hosts too, both bounded. All of it is dropped when the
*generation* has changed: one row, changed by database triggers with every change of a site, read
by each process once in ``FRESHNESS`` seconds. So every process sees a change within that time.

The trap is the transaction. What a thread reads inside of one may be rolled back, or older than
what others see already. So a generation read there, where it differs, gets a memory of its own,
which that database connection alone uses, until the transaction ends.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from threading import Lock, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.contrib.sites import models as django_sites
from django.db import Error, connections, transaction
from django.db.models.functions import Coalesce

from sitefleet import hosts
from sitefleet.conf import get_conf, process_site_id
from sitefleet.current import current_state
from sitefleet.databases import asking, is_asking, is_in_memory, site_connection
from sitefleet.environments import get_environment
from sitefleet.hybrid import in_event_loop
from sitefleet.memory import NEVER_READ, Memory, View, Views
from sitefleet.pipeline import UNKNOWN, Entry, decide, look_up, present_bare, steps_for
from sitefleet.presented import shown
from sitefleet.triggers import read_generation

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.sites.models import Site
    from django.db.backends.base.base import BaseDatabaseWrapper

    from sitefleet.current import State

logger = logging.getLogger("sitefleet")


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
        self._memory = Memory(NEVER_READ, 1)
        self._due = 0.0
        self._news = object()
        self._clear_again = False
        self._views = Views()
        #: What is inside of that: whether it is empty is told without a call, in each request.
        self._viewed = self._views.held
        #: Sites that event loops have put into Django's cache out of requests under way.
        self._older: set[int] = set()
        self._clear_sites()

    def usual(self, host: str) -> State | None:
        """Return the frame of a Host header whose site is simply to be served.

        None when there is more to it, or when `find` must be asked. Never touches the database, so
        that async code may call it.
        """
        if monotonic() >= self._due or (self._viewed and site_connection() in self._views):
            return None
        return self._memory.plain.get(host)

    def find(self, host: str) -> Entry:
        """Return the entry of a Host header. Raises InvalidHost; may query."""
        host = hosts.normalize_header(host)
        connection = site_connection()
        entry = self._memory_for(connection).get(host)
        if entry is None:
            memory = self._memory_to_fill(connection)
            entry = memory.get(host) or memory.keep(host, self._load(host, connection, memory))
        return entry

    def site(self, pk: int) -> Site:
        """Return a site by its primary key, as it is presented in this environment.

        Kept in Django's own cache of sites. Raises Site.DoesNotExist.
        """
        self.refresh()
        site: Site | None = django_sites.SITE_CACHE.get(pk)
        if site is None or shown(site) is None:
            self._memory_to_fill(site_connection())
            if len(django_sites.SITE_CACHE) >= 2 * get_conf().CACHE_SIZE:
                self._clear_sites()
            with asking():
                site = django_sites.Site.objects.select_related("siteconfig").get(pk=pk)
            config = getattr(site, "siteconfig", None)
            site = config.presented_site() if config else present_bare(site)
            django_sites.SITE_CACHE[pk] = site
        return site

    def before_site_id(self, pk: int | None, *, entered: bool = True) -> None:
        """Get Django's cache ready for ``Site.objects.get_current()``. Cheap; never raises.

        Called at each look at ``settings.SITE_ID``, so that a process that serves no requests
        keeps the promise of freshness too, and so that what that cache holds is presented for this
        environment. In live the default site, which nobody has ``entered``, shows what it is: no
        query there, as ``manage.py check`` looks at this setting and must do without a database.
        """
        quick = monotonic() < self._due and pk in django_sites.SITE_CACHE and not self._older
        if is_asking() or (quick and not (self._viewed and site_connection() in self._views)):
            return
        self.refresh()
        if pk in self._older and not in_event_loop():
            self._older.discard(pk)
            django_sites.SITE_CACHE.pop(pk, None)
        if pk is None or pk in django_sites.SITE_CACHE or self.paused:
            return
        if self._put_site_of_request(pk) or in_event_loop():
            return
        # Django is going to say what is wrong, in its own way, when it needs the row.
        with suppress(Exception):
            wanted = entered or (apps.ready and not get_environment().is_live)
            if wanted and not site_connection().needs_rollback:
                self.site(pk)

    def _put_site_of_request(self, pk: int) -> bool:
        """Put the site that is served into Django's cache, if that can be had without a query."""
        state = current_state.get()
        if state is None:
            return False
        seen = self._viewed and site_connection() in self._views
        frame = None if seen else self._memory.plain.get(state[1] or "")
        site: Any = frame[3] if frame is not None and frame[0] == pk else None
        if site is None and in_event_loop():
            site = getattr(state[3], "site", state[3])
        if getattr(site, "pk", None) != pk or shown(site) is None:
            return False
        if frame is None or site is not frame[3]:
            self._older.add(pk)  # perhaps older than what others are to see
        django_sites.SITE_CACHE[pk] = site
        return True

    def refresh(self) -> None:
        """See to it that Django's own cache of sites is not stale. Cheap; never raises."""
        if self.paused or not django_sites.SITE_CACHE or is_asking():
            return
        due = monotonic() >= self._due
        if not in_event_loop():
            if due or self._viewed:
                self._look()
        elif due and not is_in_memory(site_connection()):
            # No queries in the event loop: look in a thread, to be right at the next look.
            self._due = monotonic() + get_conf().FRESHNESS
            Thread(target=self._look_and_close, name="sitefleet-refresh", daemon=True).start()

    def expire(self, using: str | None = None) -> None:
        """Look at the generation at the next call: something was changed in this process."""
        connection = connections[using] if using else site_connection()
        if not connection.in_atomic_block:
            self.announced()
        elif connection is site_connection():
            self._keep_view(connection, self._memory, 0.0)
        else:  # Written here, read from a replica.
            transaction.on_commit(self.announced, using=connection.alias)

    def announced(self) -> None:
        """Look at the generation at the next call: another process says that it has changed."""
        self._news = object()
        self._due = 0.0

    def forked(self) -> None:
        """Go on in a process that was just forked: who holds the lock there is gone."""
        self._lock = Lock()
        self.announced()

    def is_empty(self) -> bool:
        """Tell whether there is no site yet but the placeholder that Django's ``migrate`` makes."""
        memory = self._memory_for(site_connection())
        if memory.empty is None:
            memory = self._memory_to_fill(site_connection())
            domain = Coalesce("siteconfig__domain", "domain")
            domains = django_sites.Site.objects.order_by("pk").values_list(domain, flat=True)
            memory.empty = list(domains[:2]) in ([], ["example.com"])
        return memory.empty

    def _look(self) -> None:
        connection = site_connection()
        if connection.needs_rollback:
            return
        try:
            self._memory_for(connection)
        except Exception as error:  # noqa: BLE001 - a look at a setting must not fail; test runners forbid queries
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
        now, news = monotonic(), self._news
        try:
            token = read_generation(connection)
        except Error as error:
            if self._memory.token is NEVER_READ:
                raise
            logger.warning("Sites are served from memory, the database did not answer: %s", error)
        else:
            changed = token != self._memory.token
            if changed:
                self._memory = Memory(token, conf.CACHE_SIZE)
            if changed or self._clear_again:
                self._clear_sites()
            # That cache may get an older site back from a request that is under way, or from a
            # transaction that sees something else.
            self._clear_again = changed or bool(self._older) or self._views.any_open()
            self.after_look()
        self._due = now + conf.FRESHNESS
        if news is not self._news:
            self._due = 0.0  # Changed while we looked, perhaps too late for our answer.

    def _clear_sites(self) -> None:
        self._older.clear()
        django_sites.Site.objects.clear_cache()

    def _drop_view(self, connection: BaseDatabaseWrapper) -> None:
        """Look at what is true now: the transaction is over, and may have been rolled back."""
        self._views.drop(connection)
        self._due = 0.0
        self._clear_sites()

    def _memory_to_fill(self, connection: BaseDatabaseWrapper) -> Memory:
        """Return the memory that may keep what this connection is going to read now.

        Inside of a transaction that is the one of the generation which the transaction sees: what
        it has changed itself, or does not see yet, is not for others.
        """
        if connection.in_atomic_block:
            return self._inside_transaction(connection, look=True)
        return self._memory

    def _inside_transaction(self, connection: BaseDatabaseWrapper, *, look: bool = False) -> Memory:
        view = self._views.of(connection)
        now = monotonic()
        if view is not None and not view.holds(connection):
            self._drop_view(connection)
            view = None
        memory, due = (self._memory, self._due) if view is None else (view.memory, view.due)
        if not look and now < due:
            return memory
        conf = get_conf()
        token = read_generation(connection)
        if token != memory.token:
            memory = self._memory
        if token != memory.token:
            memory = Memory(token, conf.CACHE_SIZE)
            self._clear_sites()
        self._keep_view(connection, memory, now + conf.FRESHNESS)
        return memory

    def _keep_view(self, connection: BaseDatabaseWrapper, memory: Memory, due: float) -> None:
        self._views.keep(connection, View(connection, memory, due))
        # Django's cache is one for all: it may get what this transaction reads.
        self._clear_again = True

    @staticmethod
    def _load(host: str, connection: BaseDatabaseWrapper, memory: Memory) -> Entry:
        environment = get_environment()
        steps = steps_for(host, environment, www=get_conf().WWW)
        if not steps:
            return UNKNOWN
        with asking():
            rows = look_up(steps, environment, connection)
        entry = decide(host, steps, rows, environment, memory.stored)[0]
        return entry if (own := process_site_id()) is None else entry.only(own)


resolver = Resolver()
