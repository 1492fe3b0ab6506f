"""The database that sites are read from, and whether it may be asked now."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from django.db import connections, router

from sitefleet.models import SiteConfig

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper


def site_connection() -> BaseDatabaseWrapper:
    """Return this thread's connection to the database that sites are read from."""
    return connections[router.db_for_read(SiteConfig)]


def in_event_loop() -> bool:
    """Tell whether this is code of an event loop, which must not wait for a database."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def is_in_memory(connection: Any) -> bool:
    """Tell whether nobody else can change this database; a thread could not close it either."""
    return connection.vendor == "sqlite" and bool(connection.is_in_memory_db())
