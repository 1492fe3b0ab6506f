"""How many connections the database of sites has, and how many are taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.backends.base.base import BaseDatabaseWrapper


def read_capacity(connection: BaseDatabaseWrapper) -> dict[str, Any]:
    """Return ``vendor``, and where connections are limited how many there can be and are.

    ``max_connections`` are those that an ordinary user can have; ``used_connections`` those of all.
    """
    read = READERS.get(connection.vendor)
    if read is None:
        return {"vendor": connection.vendor}
    with connection.cursor() as cursor:
        most, used = read(cursor)
    return {"vendor": connection.vendor, "max_connections": most, "used_connections": used}


def _postgresql(cursor: Any) -> tuple[int, int]:
    # reserved_connections came with PostgreSQL 16. Of the sessions of others an ordinary user sees
    # whose they are and where, and not that they are clients: only of those is both known.
    cursor.execute(
        "SELECT sum(CASE name WHEN 'max_connections' THEN 1 ELSE -1 END * setting::int),"
        " (SELECT count(*) FROM pg_stat_activity WHERE usesysid IS NOT NULL"
        " AND datid IS NOT NULL)"
        " FROM pg_settings WHERE name IN"
        " ('max_connections', 'superuser_reserved_connections', 'reserved_connections')"
    )
    most, used = cursor.fetchone()
    return int(most), int(used)


def _mysql(cursor: Any) -> tuple[int, int]:
    cursor.execute("SHOW VARIABLES LIKE 'max_connections'")
    most = int(cursor.fetchone()[1])
    cursor.execute("SHOW STATUS LIKE 'Threads_connected'")
    return most, int(cursor.fetchone()[1])


READERS: dict[str, Callable[[Any], tuple[int, int]]] = {
    "postgresql": _postgresql,
    "mysql": _mysql,
}
