"""What a database has of row-level security, and what is wrong with that."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db import router

from sitefleet.conf import get_conf
from sitefleet.scoping.rls import catalog
from sitefleet.scoping.rls.policies import normal_form, policies, why_not
from sitefleet.scoping.scopes import Kind, scopes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sitefleet.scoping.scopes import Scope

#: By major version: the minor one from which on statistics do not tell of hidden rows.
#: CVE-2025-8713, https://www.postgresql.org/support/security/CVE-2025-8713/
MENDED = {13: 22, 14: 19, 15: 14, 16: 10, 17: 6}


@dataclass(slots=True)
class Table:
    """One table whose rows belong to a site."""

    model: str
    table: str
    kind: str
    guard_only: str = ""
    """Why it cannot be under row-level security."""
    exists: bool = False
    enabled: bool = False
    forced: bool = False
    binds: bool = False
    """Whether it binds the role of this connection."""
    owner: str = ""
    policies: str = ""
    """What is wrong with the policies; empty when they are as expected."""
    index: bool = True
    """Whether an index begins with the column of the site."""
    unused: list[str] = field(default_factory=list)
    """Indexes that statements under a policy cannot use."""
    truncate: bool = False
    """Whether the role may TRUNCATE it."""
    readable: bool = True
    """Whether the role for all sites may read it."""
    views: list[str] = field(default_factory=list)
    """Views that show its rows of all sites."""


@dataclass(slots=True)
class Status:
    """A database, seen with the role of a connection."""

    role: str
    bypasses: bool
    """A superuser, or BYPASSRLS."""
    all_sites: str
    """`SITEFLEET["RLS_ROLE"]`."""
    inherits: bool
    """Whether the role has the rights of `all_sites` without asking."""
    may_cross: bool
    version: tuple[int, int]
    tables: list[Table]

    @property
    def sees_all(self) -> bool:
        """Whether the role sees the rows of all sites, as the one for migrations must."""
        return self.bypasses or self.inherits


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, as its system check says it."""

    id: str
    message: str
    hint: str


def look(connection: Any) -> Status:
    """Return what a connection to PostgreSQL finds."""
    role = get_conf().RLS_ROLE
    found = [
        scope
        for scope in sorted(scopes, key=lambda scope: scope.label)
        if router.allow_migrate_model(connection.alias, scope.model) and scope.model._meta.managed
    ]
    facts = catalog.read(connection, [scope.table for scope in found], role)
    user, bypasses, inherits, member = facts.role
    return Status(
        role=user,
        bypasses=bypasses,
        all_sites=role,
        inherits=bool(inherits),
        may_cross=bool(member),
        version=divmod(connection.pg_version, 10_000),
        tables=[_table(scope, connection, facts, role) for scope in found],
    )


def _table(scope: Scope, connection: Any, facts: catalog.Facts, role: str) -> Table:
    name = scope.table
    table = Table(scope.label, name, scope.kind.value, guard_only=why_not(scope))
    row = facts.tables.get(name)
    if row is None or table.guard_only:
        table.exists = row is not None
        return table
    table.exists = True
    table.enabled, table.forced, table.owner, table.binds, table.truncate, readable = row
    table.readable = readable is not False
    table.index = scope.kind is Kind.PATH or (name, scope.column) in facts.leading
    if table.enabled:
        table.policies = _compare(scope, connection, facts, role)
        table.unused = facts.unused.get(name, [])
        table.views = facts.views.get(name, [])
    return table


def _compare(scope: Scope, connection: Any, facts: catalog.Facts, role: str) -> str:
    """Return what is wrong with the policies of a table."""
    there = dict(facts.policies.get(scope.table, {}))
    for policy in policies(scope, connection, role):
        found = there.pop(policy.name, None)
        if found is None:
            return f"{policy.name} is missing"
        expression = normal_form(policy.expression, scope.table)
        check = expression if policy.command == "ALL" else ""
        wanted = policy.command, [policy.role] if policy.role else [], expression, check
        command, roles, using, with_check = found
        shown = normal_form(using, scope.table), normal_form(with_check, scope.table)
        if (command, roles, *shown) != wanted:
            return f"{policy.name} is another one"
    return f"{', '.join(sorted(there))} shows more" if there else ""


def problems(status: Status, *, serves: bool = True) -> Iterator[Problem]:
    """Return all that is wrong; ``serves``: the role serves the sites, and does not migrate."""
    if serves:
        yield from _problems_of_role(status)
    yield from _problems_of_locks(status)
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
    tables = [table for table in status.tables if table.exists and not table.guard_only]
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


def _problems_beside(status: Status) -> Iterator[Problem]:
    locked = [table for table in status.tables if table.enabled]
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
