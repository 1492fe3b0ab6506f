"""The database that sites are read from, and whether it may be asked now."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from django.db import connections, router

from sitefleet.models import SiteConfig

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.backends.base.base import BaseDatabaseWrapper


_asking: ContextVar[bool] = ContextVar("sitefleet_asking", default=False)


@contextmanager
def asking() -> Iterator[None]:
    """Mark code in which the resolver asks the database.

    To open a connection Django reads settings, and connecting may run other people's code: what
    follows the site there must not ask in turn.
    """
    before = _asking.get()
    _asking.set(True)
    try:
        yield
    finally:
        _asking.set(before)


def is_asking() -> bool:
    """Tell whether the resolver is asking the database here."""
    return _asking.get()


def site_connection() -> BaseDatabaseWrapper:
    """Return this thread's connection to the database that sites are read from."""
    return connections[router.db_for_read(SiteConfig)]


def is_in_memory(connection: Any) -> bool:
    """Tell whether nobody else can change this database; a thread could not close it either."""
    return connection.vendor == "sqlite" and bool(connection.is_in_memory_db())
