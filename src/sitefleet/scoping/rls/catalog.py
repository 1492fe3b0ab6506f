"""What PostgreSQL's catalog says of tables, their policies, indexes and views, and of our role."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

#: The role, whether it bypasses, whether it has the rights of another, whether it may become that.
_ROLE = """
SELECT current_user, own.rolsuper OR own.rolbypassrls,
       (SELECT pg_has_role(current_user, oid, 'USAGE') FROM pg_roles WHERE rolname = %(role)s),
       (SELECT pg_has_role(current_user, oid, %(become)s) FROM pg_roles WHERE rolname = %(role)s)
FROM pg_roles own WHERE own.rolname = current_user
"""
_TABLES = """
SELECT relname, relrowsecurity, relforcerowsecurity, pg_get_userbyid(relowner),
       row_security_active(oid), has_table_privilege(oid, 'TRUNCATE'),
       (SELECT has_table_privilege(role.oid, pg_class.oid, 'SELECT')
        FROM pg_roles role WHERE rolname = %(role)s)
FROM pg_class WHERE oid = ANY(%(tables)s::regclass[])
"""
_POLICIES = """
SELECT c.relname, polname, CASE polcmd WHEN '*' THEN 'ALL' WHEN 'r' THEN 'SELECT' ELSE 'OTHER' END,
       ARRAY(SELECT rolname::text FROM pg_roles WHERE oid = ANY(polroles) ORDER BY 1),
       COALESCE(pg_get_expr(polqual, polrelid), ''),
       COALESCE(pg_get_expr(polwithcheck, polrelid), '')
FROM pg_policy JOIN pg_class c ON c.oid = polrelid
WHERE polrelid = ANY(%(tables)s::regclass[]) AND polpermissive
"""
#: Columns that an index without a condition begins with.
_LEADING = """
SELECT c.relname, a.attname
FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
WHERE i.indrelid = ANY(%(tables)s::regclass[]) AND i.indisvalid AND i.indpred IS NULL
"""
#: Indexes of which no operator is leakproof: below a policy only those that are can use one.
_UNUSED = """
SELECT c.relname, x.relname
FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_class x ON x.oid = i.indexrelid
WHERE i.indrelid = ANY(%(tables)s::regclass[]) AND NOT EXISTS (
    SELECT FROM pg_opclass o JOIN pg_amop m ON m.amopfamily = o.opcfamily
    JOIN pg_operator p ON p.oid = m.amopopr JOIN pg_proc f ON f.oid = p.oprcode
    WHERE o.oid = ANY(i.indclass::oid[]) AND f.proleakproof)
ORDER BY 1, 2
"""
#: Materialised views, and those that are run with the rights of an owner who sees all rows.
_VIEWS = """
SELECT DISTINCT c.relname, v.relname
FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class v ON v.oid = r.ev_class
JOIN pg_class c ON c.oid = d.refobjid JOIN pg_roles o ON o.oid = v.relowner
WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
  AND c.oid = ANY(%(tables)s::regclass[]) AND (v.relkind = 'm' OR (v.relkind = 'v'
    AND NOT COALESCE(v.reloptions && '{security_invoker=true,security_invoker=on}', false)
    AND (o.rolsuper OR o.rolbypassrls OR (o.oid = c.relowner AND NOT c.relforcerowsecurity)
      OR COALESCE((SELECT pg_has_role(o.oid, oid, 'USAGE')
                   FROM pg_roles WHERE rolname = %(role)s), false))))
ORDER BY 1, 2
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


def read(connection: Any, tables: list[str], role: str) -> Facts:
    """Return what the catalog says of those of the tables that are there."""
    with connection.cursor() as cursor:

        def ask(sql: str, **params: Any) -> list[tuple[Any, ...]]:
            cursor.execute(sql, {"role": role, **params})
            return list(cursor.fetchall())

        become = "SET" if connection.pg_version >= SET_OPTION else "MEMBER"
        own = ask(_ROLE, become=become)[0]
        quoted = [connection.ops.quote_name(table) for table in tables]
        visible = ask(
            "SELECT t FROM unnest(%(tables)s::text[]) t WHERE to_regclass(t) IS NOT NULL",
            tables=quoted,
        )
        there = [row[0] for row in visible]
        policies: dict[str, dict[str, Any]] = {}
        for table, name, *rest in ask(_POLICIES, tables=there):
            policies.setdefault(table, {})[name] = tuple(rest)
        return Facts(
            role=(own[0], own[1], own[2], own[3]),
            tables={row[0]: row[1:] for row in ask(_TABLES, tables=there)},
            policies=policies,
            leading={(row[0], row[1]) for row in ask(_LEADING, tables=there)},
            unused=_grouped(ask(_UNUSED, tables=there)),
            views=_grouped(ask(_VIEWS, tables=there)),
        )


def _grouped(rows: list[tuple[Any, ...]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for table, name in rows:
        found.setdefault(table, []).append(name)
    return found
