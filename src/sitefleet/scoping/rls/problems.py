"""What is wrong with row-level security in a database, and what mends it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sitefleet.scoping.rls.policies import VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sitefleet.scoping.rls.status import Status, Table

#: By major version: the minor one from which on statistics do not tell of hidden rows.
#: CVE-2025-8713, https://www.postgresql.org/support/security/CVE-2025-8713/
MENDED = {14: 19, 15: 14, 16: 10, 17: 6}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, as its system check says it."""

    id: str
    message: str
    hint: str


def problems(status: Status, *, serves: bool = True) -> Iterator[Problem]:
    """Return all that is wrong; ``serves``: the role serves the sites, and does not migrate."""
    if serves:
        yield from _problems_of_role(status)
    yield from _problems_of_locks(status)
    yield from _problems_of_strays(status)
    yield from _problems_beside(status)


def _problems_of_role(status: Status) -> Iterator[Problem]:
    role, all_sites = status.role, status.all_sites
    if status.bypasses:
        yield Problem(
            "sitefleet.W444",
            f"Row-level security does not bind the role {role}: a superuser, or BYPASSRLS.",
            f"Log in as another one: CREATE ROLE fleet_app LOGIN NOINHERIT IN ROLE {all_sites};",
        )
    elif status.inherits:
        yield Problem(
            "sitefleet.W445",
            f"The role {role} inherits the rights of {all_sites}: it sees the rows of all sites.",
            f"ALTER ROLE {role} NOINHERIT; from PostgreSQL 16 on also"
            f" GRANT {all_sites} TO {role} WITH INHERIT FALSE, SET TRUE;",
        )
    if all_sites and not status.may_cross and not status.bypasses:
        yield Problem(
            "sitefleet.W446",
            f"The role {role} cannot become {all_sites}: cross_site() fails.",
            f"CREATE ROLE {all_sites} NOLOGIN; GRANT {all_sites} TO {role};",
        )


def _problems_of_locks(status: Status) -> Iterator[Problem]:
    tables = [
        table
        for table in status.tables
        if table.exists and not table.guard_only and not table.stray
    ]
    open_ones = [table for table in tables if not table.enabled]
    locked = [table for table in tables if table.enabled]
    yield from _each(
        "sitefleet.W447",
        "without row-level security",
        open_ones,
        "A migration with EnableRLS, or: manage.py rls enable",
    )
    yield from _each(
        "sitefleet.W448",
        "whose owner row-level security does not bind",
        [table for table in locked if not table.forced],
        "manage.py rls enable",
    )
    for table in locked:
        if table.policies:
            yield Problem(
                "sitefleet.W449",
                f"Policies on {table.table} are not as expected: {table.policies}.",
                f"manage.py rls enable {table.model}",
            )


def _problems_of_strays(status: Status) -> Iterator[Problem]:
    for table in status.tables:
        if table.stray:
            yield Problem(
                "sitefleet.W456",
                f"{table.table} is under row-level security, and no column says which site its rows"
                " belong to: they are hidden, and nothing says so.",
                f"manage.py rls disable {table.model}",
            )
    for name in status.defaults:
        yield Problem(
            "sitefleet.W458",
            f"PostgreSQL gives connections a site, by {name}: Sitefleet is to say it.",
            f"ALTER {name} RESET {VARIABLE};",
        )


def _problems_beside(status: Status) -> Iterator[Problem]:
    locked = [table for table in status.tables if table.enabled and not table.stray]
    yield from _each(
        "sitefleet.W450",
        "without an index that begins with the site",
        [table for table in locked if not table.index],
        "Meta.indexes with the site's field first, or db_index=True on it.",
    )
    for table in locked:
        if table.unused:
            yield Problem(
                "sitefleet.W451",
                f"Under row-level security these indexes on {table.table} are not used, as their"
                f" operators are not leakproof: {', '.join(table.unused)}.",
                "Keep what is searched in a table without row-level security, or put the site"
                " first into the index (btree_gin, btree_gist).",
            )
        if table.views:
            yield Problem(
                "sitefleet.W453",
                f"Views show the rows of {table.table} of all sites: {', '.join(table.views)}.",
                f"ALTER VIEW {table.views[0]} SET (security_invoker = true); a materialised view"
                " needs a column of the site, and a view with a condition on it.",
            )
        if table.children and not status.sees_all:
            names = ", ".join(table.children)
            yield Problem(
                "sitefleet.W457",
                f"Partitions of {table.table}, or tables that inherit from it, have no row-level"
                f" security: who names one sees all sites: {names}.",
                f"REVOKE ALL ON {names} FROM {status.role}; as {table.table} does for them",
            )
    major, minor = status.version
    if minor < MENDED.get(major, 0):
        yield Problem(
            "sitefleet.W454",
            f"PostgreSQL {major}.{minor} tells of hidden rows in its statistics (CVE-2025-8713).",
            f"Update it to {major}.{MENDED[major]} or later.",
        )
    yield from _each(
        "sitefleet.W452",
        f"which {status.role} may TRUNCATE, all sites at once",
        [table for table in locked if table.truncate and not status.sees_all],
        f"REVOKE TRUNCATE ON {{table}} FROM {status.role};",
    )
    yield from _each(
        "sitefleet.W455",
        f"which {status.all_sites} may not read, so that cross_site() fails",
        [table for table in locked if not table.readable],
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {{table}} TO {status.all_sites};",
    )


def _each(identifier: str, what: str, tables: list[Table], hint: str) -> Iterator[Problem]:
    if tables:
        names = ", ".join(table.table for table in tables)
        yield Problem(identifier, f"Tables {what}: {names}.", hint.replace("{table}", names))
