"""Changes at once, on PostgreSQL: a thread that hears what the triggers announce.

Polling stays: it keeps the promise while the listener is away (a restart, a pooler that drops
notifications). One connection for each process that listens, so it is off by default.
"""

from __future__ import annotations

import logging
from threading import Thread
from time import sleep

from django.db import Error, connections, router

from sitefleet.conf import get_conf
from sitefleet.models import SiteConfig
from sitefleet.resolver import resolver
from sitefleet.triggers import CHANNEL

logger = logging.getLogger("sitefleet")

#: Seconds between two looks at whether the thread is to go on.
PATIENCE = 5.0
RETRY = 2.0


class Listener:
    """The listening thread of this process."""

    def __init__(self) -> None:
        self.thread: Thread | None = None

    def ensure_running(self) -> None:
        """Start to listen where the settings say so; again after a fork, which ends threads."""
        if not get_conf().LISTEN or (self.thread is not None and self.thread.is_alive()):
            return
        alias = router.db_for_read(SiteConfig)
        if connections[alias].vendor != "postgresql":
            return
        self.thread = Thread(
            target=self._run, args=(alias,), name="sitefleet-listener", daemon=True
        )
        self.thread.start()

    def stop(self) -> None:
        """Let the thread end, within `PATIENCE` seconds."""
        self.thread = None

    def _run(self, alias: str) -> None:
        me = self.thread
        while self.thread is me:
            try:
                self._listen(alias, me)
            except Error as error:
                logger.warning("No announcements of changes, trying again: %s", error)
                sleep(RETRY)
            finally:
                connections[alias].close()

    def _listen(self, alias: str, me: Thread | None) -> None:
        connection = connections[alias]
        with connection.cursor() as cursor:
            cursor.execute(f"LISTEN {CHANNEL}")
        # Whatever happened while nobody listened.
        resolver.announced()
        while self.thread is me:
            with connection.wrap_database_errors:
                for _ in connection.connection.notifies(timeout=PATIENCE, stop_after=1):
                    resolver.announced()


listener = Listener()
