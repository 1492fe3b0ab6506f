"""System checks of row-level security, ids 441 to 459; none of it without ``SITEFLEET["RLS"]``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core import checks
from django.db import connections, router

from sitefleet.checking import look_into
from sitefleet.conf import find_problems, get_conf
from sitefleet.models import SiteConfig
from sitefleet.scoping.rls.problems import problems
from sitefleet.scoping.rls.status import look

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def connect() -> None:
    """Register the checks."""
    checks.register(check_settings)
    checks.register(check_database, checks.Tags.database)


def check_settings(**_: Any) -> list[checks.CheckMessage]:
    """Look at the settings."""
    if find_problems() or not get_conf().RLS:
        return []
    return list(_look_at_settings(connections[router.db_for_write(SiteConfig)]))


def _look_at_settings(connection: Any) -> Iterator[checks.CheckMessage]:
    driver = getattr(getattr(connection, "Database", None), "__name__", "")
    if connection.vendor != "postgresql" or driver != "psycopg":
        yield checks.Error(
            "SITEFLEET['RLS'] needs PostgreSQL with psycopg 3.",
            hint='Take it out, or: pip install "psycopg[binary]"',
            id="sitefleet.E441",
        )
        return
    if not get_conf().RLS_ROLE:
        yield checks.Error(
            "SITEFLEET['RLS'] is set without RLS_ROLE: cross_site() has no way to see all sites.",
            hint='Add to SITEFLEET: "RLS_ROLE": "fleet_all", after CREATE ROLE fleet_all NOLOGIN;',
            id="sitefleet.E442",
        )
    if get_conf().RLS == "session" and connection.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS"):
        yield checks.Warning(
            "SITEFLEET['RLS'] is \"session\", and DISABLE_SERVER_SIDE_CURSORS is a sign of a pooler"
            " such as pgbouncer: its clients would be left the site of others.",
            hint='SITEFLEET = {"RLS": "transaction"}',
            id="sitefleet.W443",
        )


def check_database(databases: Sequence[str] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """Look at the role, the tables and their policies."""
    if find_problems() or not get_conf().RLS:
        return []
    return look_into(databases, _look_at_database)


def _look_at_database(using: str) -> Iterator[checks.CheckMessage]:
    connection = connections[using]
    if connection.vendor != "postgresql":
        return
    # Warnings: an error would stop the very `migrate` that mends it.
    for problem in problems(look(connection)):
        yield checks.Warning(problem.message, hint=problem.hint, id=problem.id)
