"""What a database has of row-level security."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db import router

from sitefleet.conf import get_conf
from sitefleet.scoping.rls import catalog
from sitefleet.scoping.rls.policies import OURS, normal_form, policies, why_not
from sitefleet.scoping.scopes import Kind, scopes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.models import Model

    from sitefleet.scoping.scopes import Scope

#: `Table.kind` of one whose rows belong to no site.
NO_KIND = "none"


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
    children: list[str] = field(default_factory=list)
    """Partitions, and tables that inherit, which the role may read past its policies."""
    stray: bool = False
    """Whether it is under row-level security though its rows belong to no site by a column."""


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
    defaults: list[str]
    """Roles and databases, as in ``ROLE x``, whose connections begin with a site."""
    tables: list[Table]

    @property
    def sees_all(self) -> bool:
        """Whether the role sees the rows of all sites, as the one for migrations must."""
        return self.bypasses or self.inherits


def look(connection: Any) -> Status:
    """Return what a connection to PostgreSQL finds."""
    role = get_conf().RLS_ROLE
    found = [
        scope
        for scope in sorted(scopes, key=lambda scope: scope.label)
        if router.allow_migrate_model(connection.alias, scope.model) and scope.model._meta.managed
    ]
    models = managed_models(connection.alias)
    facts = catalog.read(connection, [model._meta.db_table for model in models], role)
    user, bypasses, inherits, member = facts.role
    return Status(
        role=user,
        bypasses=bypasses,
        all_sites=role,
        inherits=bool(inherits),
        may_cross=bool(member),
        version=divmod(connection.pg_version, 10_000),
        defaults=facts.defaults,
        tables=[
            *(_table(scope, connection, facts, role) for scope in found),
            *_strays(models, {scope.table for scope in found}, facts),
        ],
    )


def managed_models(using: str) -> list[type[Model]]:
    """Return the models whose tables migrations make in a database."""
    return [
        model
        for model in apps.get_models(include_auto_created=True)
        if model._meta.managed
        and not model._meta.proxy
        and router.allow_migrate_model(using, model)
    ]


def _strays(models: list[type[Model]], known: set[str], facts: catalog.Facts) -> Iterator[Table]:
    """Find tables of models that were taken out of `scopes`, and are still locked."""
    for model in models:
        opts = model._meta
        if opts.db_table not in known and _is_locked(opts.db_table, facts):
            enabled, forced, owner = facts.tables[opts.db_table][:3]
            yield Table(
                opts.label,
                opts.db_table,
                NO_KIND,
                exists=True,
                enabled=enabled,
                forced=forced,
                owner=owner,
                stray=True,
            )


def _is_locked(table: str, facts: catalog.Facts) -> bool:
    """Tell whether a table has policies of ours, or what a column leaves that was dropped."""
    own = facts.policies.get(table, {})
    return bool(OURS & set(own)) or (not own and table in facts.tables and facts.tables[table][1])


def _table(scope: Scope, connection: Any, facts: catalog.Facts, role: str) -> Table:
    name = scope.table
    table = Table(scope.label, name, scope.kind.value, guard_only=why_not(scope))
    row = facts.tables.get(name)
    if row is None or table.guard_only:
        table.exists = row is not None
        table.stray = _is_locked(name, facts)
        return table
    table.exists = True
    table.enabled, table.forced, table.owner, table.binds, table.truncate, readable = row
    table.readable = readable is not False
    table.index = scope.kind is Kind.PATH or (name, scope.column) in facts.leading
    if table.enabled:
        table.policies = _compare(scope, connection, facts, role)
        table.unused = facts.unused.get(name, [])
        table.views = facts.views.get(name, [])
        table.children = facts.children.get(name, [])
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
