"""Database triggers: whoever changes a site, by whatever means, changes the generation too.

They are installed after each ``migrate``, not by a migration: SQLite drops the triggers of a table
that another migration rebuilds, and test databases may be made without migrations.
"""

from __future__ import annotations

from secrets import randbits
from typing import TYPE_CHECKING, NamedTuple

from django.contrib.sites.models import Site
from django.db import OperationalError

from sitefleet.databases import asking
from sitefleet.exceptions import SiteError
from sitefleet.generation import GENERATION_BITS, LOCK_ROW, TOKEN_ROW, Generation
from sitefleet.models import Alias, SiteConfig

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.backends.base.base import BaseDatabaseWrapper

CHANNEL = "sitefleet"
WATCHED = tuple(model._meta.db_table for model in (Site, SiteConfig, Alias))
GENERATION = Generation._meta.db_table
#: ER_BINLOG_CREATE_ROUTINE_NEED_SUPER
MYSQL_NO_TRIGGERS = 1419
OPERATIONS = ("insert", "update", "delete")


class Dialect(NamedTuple):
    """How one database does it: the statements for a table, and where triggers are listed."""

    create: Callable[[str], list[str]]
    listing: str


def read_generation(connection: BaseDatabaseWrapper) -> int | None:
    """Return the token of the generation; None where there is no row yet."""
    with asking(), connection.cursor() as cursor:
        cursor.execute(f"SELECT token FROM {GENERATION} WHERE id = {TOKEN_ROW}")
        row = cursor.fetchone()
    return row[0] if row else None


def install(connection: BaseDatabaseWrapper) -> None:
    """Create the triggers that are missing, and the row that they change."""
    dialect = DIALECTS.get(connection.vendor)
    if dialect is None:
        return
    manager = Generation.objects.using(connection.alias)
    manager.get_or_create(pk=TOKEN_ROW, defaults={"token": randbits(GENERATION_BITS)})
    manager.get_or_create(pk=LOCK_ROW, defaults={"token": 0})
    try:
        with connection.cursor() as cursor:
            for table in missing(connection):
                for statement in dialect.create(table):
                    cursor.execute(statement)
    except OperationalError as error:
        if error.args[0] != MYSQL_NO_TRIGGERS:
            raise
        message = (
            "MySQL and MariaDB with binary logging let this user create no triggers, by which"
            " processes see changes of sites: set log_bin_trust_function_creators=1, then migrate."
        )
        raise SiteError(message) from error


def remove(connection: BaseDatabaseWrapper) -> None:
    """Drop the triggers: without the tables that they write to, sites could not be changed."""
    on_table = connection.vendor == "postgresql"
    with connection.cursor() as cursor:
        for table in WATCHED if connection.vendor in DIALECTS else ():
            for name in _names(table, connection):
                suffix = f" ON {table}" if on_table else ""
                cursor.execute(f"DROP TRIGGER IF EXISTS {name}{suffix}")
        if on_table:
            cursor.execute("DROP FUNCTION IF EXISTS sitefleet_changed()")


def missing(connection: BaseDatabaseWrapper) -> list[str]:
    """Return the watched tables that have not all of their triggers."""
    dialect = DIALECTS.get(connection.vendor)
    if dialect is None:
        return list(WATCHED)
    with connection.cursor() as cursor:
        cursor.execute(dialect.listing)
        present = {row[0] for row in cursor.fetchall()}
    return [table for table in WATCHED if not _names(table, connection) <= present]


def _names(table: str, connection: BaseDatabaseWrapper) -> set[str]:
    # PostgreSQL has one trigger for all that can happen to a table.
    operations = ("any",) if connection.vendor == "postgresql" else OPERATIONS
    return {_name(table, operation) for operation in operations}


def _name(table: str, operation: str) -> str:
    return f"sitefleet_{table.removeprefix('sitefleet_')}_{operation}"


def _sqlite(table: str) -> list[str]:
    return [
        f"CREATE TRIGGER IF NOT EXISTS {_name(table, operation)}"
        f" AFTER {operation.upper()} ON {table} BEGIN"
        f" INSERT INTO {GENERATION} (id, token) VALUES ({TOKEN_ROW}, random())"
        f" ON CONFLICT (id) DO UPDATE SET token = random(); END"
        for operation in OPERATIONS
    ]


_PG_RANDOM = "floor(random() * 9007199254740992)::bigint"


def _postgresql(table: str) -> list[str]:
    # One statement-level trigger; the notification leaves with the commit. The search path of now
    # is kept, so that the function finds its table whatever the path of the caller is.
    function = (
        "CREATE OR REPLACE FUNCTION sitefleet_changed() RETURNS trigger LANGUAGE plpgsql"
        " SET search_path FROM CURRENT AS $$ BEGIN"
        f" INSERT INTO {GENERATION} (id, token) VALUES ({TOKEN_ROW}, {_PG_RANDOM})"
        f" ON CONFLICT (id) DO UPDATE SET token = {_PG_RANDOM};"
        f" PERFORM pg_notify('{CHANNEL}', ''); RETURN NULL; END $$"
    )
    name = _name(table, "any")
    trigger = (
        f"CREATE TRIGGER {name} AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table}"
        " FOR EACH STATEMENT EXECUTE FUNCTION sitefleet_changed()"
    )
    return [function, f"DROP TRIGGER IF EXISTS {name} ON {table}", trigger]


def _mysql(table: str) -> list[str]:
    new = "FLOOR(RAND() * 9007199254740992)"
    statements = []
    for operation in OPERATIONS:
        name = _name(table, operation)
        trigger = (
            f"CREATE TRIGGER {name} AFTER {operation.upper()} ON {table}"
            f" FOR EACH ROW INSERT INTO {GENERATION} (id, token) VALUES ({TOKEN_ROW}, {new})"
            f" ON DUPLICATE KEY UPDATE token = {new}"
        )
        statements += [f"DROP TRIGGER IF EXISTS {name}", trigger]
    return statements


DIALECTS = {
    "sqlite": Dialect(_sqlite, "SELECT name FROM sqlite_master WHERE type = 'trigger'"),
    "postgresql": Dialect(
        _postgresql,
        "SELECT tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid"
        " WHERE NOT tgisinternal AND pg_table_is_visible(pg_class.oid)",
    ),
    "mysql": Dialect(
        _mysql,
        "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = DATABASE()",
    ),
}
