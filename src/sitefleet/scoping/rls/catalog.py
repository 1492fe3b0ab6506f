"""What PostgreSQL's catalog says of tables, their policies, indexes and views, and of our role."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sitefleet.scoping.rls.policies import VARIABLE

#: The role, whether it bypasses, whether it has the rights of another, whether it may become that.
_ROLE = """
SELECT current_user, own.rolsuper OR own.rolbypassrls,
       (SELECT pg_has_role(current_user, oid, 'USAGE') FROM pg_roles WHERE rolname = %(role)s),
       (SELECT pg_has_role(current_user, oid, %(become)s) FROM pg_roles WHERE rolname = %(role)s)
FROM pg_roles own WHERE own.rolname = current_user
"""
_TABLES = """
SELECT oid, relrowsecurity, relforcerowsecurity, pg_get_userbyid(relowner),
       row_security_active(oid), has_table_privilege(oid, 'TRUNCATE'),
       (SELECT has_table_privilege(role.oid, pg_class.oid, 'SELECT')
        FROM pg_roles role WHERE rolname = %(role)s)
FROM pg_class WHERE oid = ANY(%(tables)s::oid[])
"""
_POLICIES = """
SELECT polrelid, polname, CASE polcmd WHEN '*' THEN 'ALL' WHEN 'r' THEN 'SELECT' ELSE 'OTHER' END,
       ARRAY(SELECT rolname::text FROM pg_roles WHERE oid = ANY(polroles) ORDER BY 1),
       COALESCE(pg_get_expr(polqual, polrelid), ''),
       COALESCE(pg_get_expr(polwithcheck, polrelid), '')
FROM pg_policy WHERE polrelid = ANY(%(tables)s::oid[]) AND polpermissive
"""
#: Columns that an index without a condition begins with.
_LEADING = """
SELECT i.indrelid, a.attname FROM pg_index i
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
WHERE i.indrelid = ANY(%(tables)s::oid[]) AND i.indisvalid AND i.indpred IS NULL
"""
#: Indexes of which no operator is leakproof: below a policy only those that are can use one.
_UNUSED = """
SELECT i.indrelid, x.relname
FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
WHERE i.indrelid = ANY(%(tables)s::oid[]) AND NOT EXISTS (
    SELECT FROM pg_opclass o JOIN pg_amop m ON m.amopfamily = o.opcfamily
    JOIN pg_operator p ON p.oid = m.amopopr JOIN pg_proc f ON f.oid = p.oprcode
    WHERE o.oid = ANY(i.indclass::oid[]) AND f.proleakproof)
ORDER BY 1, 2
"""
#: Materialised views, and those that are run with the rights of an owner who sees all rows.
_VIEWS = """
SELECT DISTINCT c.oid, v.relname
FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class v ON v.oid = r.ev_class
JOIN pg_class c ON c.oid = d.refobjid JOIN pg_roles o ON o.oid = v.relowner
WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
  AND c.oid = ANY(%(tables)s::oid[]) AND (v.relkind = 'm' OR (v.relkind = 'v'
    AND NOT COALESCE(v.reloptions && '{security_invoker=true,security_invoker=on}', false)
    AND (o.rolsuper OR o.rolbypassrls OR (o.oid = c.relowner AND NOT c.relforcerowsecurity)
      OR COALESCE((SELECT pg_has_role(o.oid, oid, 'USAGE')
                   FROM pg_roles WHERE rolname = %(role)s), false))))
ORDER BY 1, 2
"""
#: Partitions, and tables that INHERIT: who names one is shown its rows by its own policies alone.
_CHILDREN = """
WITH RECURSIVE below AS (
    SELECT inhparent AS root, inhrelid AS child FROM pg_inherits
    WHERE inhparent = ANY(%(tables)s::oid[])
    UNION SELECT below.root, inhrelid FROM below JOIN pg_inherits ON inhparent = below.child)
SELECT root, child::regclass::text FROM below JOIN pg_class c ON c.oid = child
WHERE NOT relrowsecurity AND has_table_privilege(child, 'SELECT, INSERT, UPDATE, DELETE')
ORDER BY 1, 2
"""
#: Roles and databases whose connections begin with a site.
_DEFAULTS = """
SELECT COALESCE('ROLE ' || quote_ident(rolname), 'DATABASE ' || quote_ident(current_database()))
FROM pg_db_role_setting LEFT JOIN pg_roles r ON r.oid = setrole
LEFT JOIN pg_database d ON d.oid = setdatabase
WHERE (setdatabase = 0 OR datname = current_database())
  AND EXISTS (SELECT FROM unnest(setconfig) c WHERE c LIKE %(variable)s) ORDER BY 1
"""
#: The first version in which a membership says by itself whether one may SET ROLE.
SET_OPTION = 160_000


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found; by the name of the table."""

    role: tuple[str, bool, bool | None, bool | None]
    tables: dict[str, tuple[Any, ...]]
    policies: dict[str, dict[str, tuple[str, list[str], str, str]]]
    leading: set[tuple[str, str]]
    unused: dict[str, list[str]]
    views: dict[str, list[str]]
    children: dict[str, list[str]]
    defaults: list[str]


def read(connection: Any, tables: list[str], role: str) -> Facts:
    """Return what the catalog says of those of the tables that are there."""
    with connection.cursor() as cursor:

        def ask(sql: str, **params: Any) -> list[tuple[Any, ...]]:
            cursor.execute(sql, {"role": role, **params})
            return list(cursor.fetchall())

        become = "SET" if connection.pg_version >= SET_OPTION else "MEMBER"
        own = ask(_ROLE, become=become)[0]
        named = ask(
            "SELECT to_regclass(t)::oid FROM unnest(%(tables)s::text[]) WITH ORDINALITY u(t, n)"
            " ORDER BY n",
            tables=[connection.ops.quote_name(table) for table in tables],
        )
        names = {row[0]: table for row, table in zip(named, tables, strict=True) if row[0]}

        def about(sql: str) -> list[tuple[Any, ...]]:
            return [(names[row[0]], *row[1:]) for row in ask(sql, tables=[*names])]

        policies: dict[str, dict[str, Any]] = {}
        for table, name, *rest in about(_POLICIES):
            policies.setdefault(table, {})[name] = tuple(rest)
        return Facts(
            role=(own[0], own[1], own[2], own[3]),
            tables={row[0]: row[1:] for row in about(_TABLES)},
            policies=policies,
            leading={(row[0], row[1]) for row in about(_LEADING)},
            unused=_grouped(about(_UNUSED)),
            views=_grouped(about(_VIEWS)),
            children=_grouped(about(_CHILDREN)),
            defaults=[row[0] for row in ask(_DEFAULTS, variable=f"{VARIABLE}=%")],
        )


def _grouped(rows: list[tuple[Any, ...]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for table, name in rows:
        found.setdefault(table, []).append(name)
    return found
