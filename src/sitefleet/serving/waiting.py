"""How the reader waits: for its time to pass, for news of the database, for its reader to leave."""

from __future__ import annotations

import select
from contextlib import suppress
from typing import Any

from django.db import Error

from sitefleet.conf import get_conf
from sitefleet.databases import site_connection
from sitefleet.triggers import CHANNEL, read_generation

GONE = select.POLLERR | select.POLLHUP | select.POLLNVAL


class Waiting:
    """Waits on a pipe, and with ``LISTEN`` on what PostgreSQL announces."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._listening: Any = None

    def wait(self, seconds: float) -> bool:
        """Wait, less where a change is announced. Returns whether anybody still reads."""
        poll = select.poll()
        poll.register(self._descriptor, 0)
        if self._listening is not None:
            poll.register(self._listening.fileno(), select.POLLIN)
        events = dict(poll.poll(seconds * 1000))
        return not events.get(self._descriptor, 0) & GONE

    def generation(self) -> int:
        """Return the generation of now. Raises DatabaseError."""
        connection = site_connection()
        if get_conf().LISTEN and connection.vendor == "postgresql":
            self._listen(connection)
        return read_generation(connection) or 0

    def reset(self) -> None:
        """Begin with a new connection."""
        self._listening = None
        with suppress(Error):
            site_connection().close()

    def _listen(self, connection: Any) -> None:
        connection.ensure_connection()
        if self._listening is not connection.connection:
            with connection.cursor() as cursor:
                cursor.execute(f"LISTEN {CHANNEL}")
            self._listening = connection.connection
        with connection.wrap_database_errors:
            # Read what has come: the generation tells what it is about.
            for _ in self._listening.notifies(timeout=0):
                pass
