"""The SQL by which PostgreSQL shows and takes the rows of one site alone.

The expression is ``site_id = (SELECT current_setting('sitefleet.site_id')::integer)`` and nothing
else: the subquery is evaluated once for a statement, and leaves the condition one for an index. The
right to see all rows belongs to a role, in a policy of its own: as a part of the expression, by OR
or CASE, it would make each statement read the whole table.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.contrib.sites.models import Site

from sitefleet.scoping.scopes import Kind, Use

if TYPE_CHECKING:
    from sitefleet.scoping.scopes import Scope

#: What a connection is told its site by.
VARIABLE = "sitefleet.site_id"
OF_SITE, SHARED, OF_ROLE = "sitefleet_site", "sitefleet_shared", "sitefleet_all"
OURS = {OF_SITE, SHARED, OF_ROLE}
#: Tables with policies of ours that read a table: its own, and those of rows that go with its rows.
_READERS = """
SELECT DISTINCT polrelid::regclass::text
FROM pg_depend JOIN pg_policy p ON p.oid = objid
WHERE classid = 'pg_policy'::regclass AND refclassid = 'pg_class'::regclass
  AND refobjid = to_regclass(%s) AND polname = ANY(%s) ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy, as we create it."""

    name: str
    command: str
    """ALL or SELECT."""
    role: str
    """Empty: everyone."""
    expression: str

    def create(self, table: str, quote: Any) -> str:
        """Return the statement that creates it on a table, which is quoted."""
        to = f" TO {quote(self.role)}" if self.role else ""
        check = f" WITH CHECK ({self.expression})" if self.command == "ALL" else ""
        return (
            f"CREATE POLICY {self.name} ON {table} FOR {self.command}{to}"
            f" USING ({self.expression}){check}"
        )


def why_not(scope: Scope) -> str:
    """Return why rows of a scope cannot be under row-level security, empty where they can.

    A row with many sites has none of them when it is inserted, so no policy could show it to the
    INSERT that asks for its key, as Django does.
    """
    inner: Scope | None = scope
    while inner is not None:
        if inner.kind is Kind.MANY:
            return "rows with many sites are guarded by the ORM alone"
        inner = inner.parent
    return ""


def policies(scope: Scope, connection: Any, role: str) -> list[Policy]:
    """Return what the table of a scope is to have; ``role`` sees all rows, empty for none."""
    quote = connection.ops.quote_name
    found = [Policy(OF_SITE, "ALL", "", _condition(scope, connection, Use.CHANGE))]
    if scope.kind is Kind.SHARED:
        found.append(Policy(SHARED, "SELECT", "", f"{quote(scope.column)} IS NULL"))
    else:
        reading = _condition(scope, connection, Use.READ)
        if reading != found[0].expression:  # it goes with a row that may be shared
            found.append(Policy(SHARED, "SELECT", "", reading))
    if role:
        found.append(Policy(OF_ROLE, "ALL", role, "true"))
    return found


def enable(scope: Scope, connection: Any, role: str) -> list[str]:
    """Return the statements that put a table under row-level security, from whatever it has."""
    quote = connection.ops.quote_name
    table = quote(scope.table)
    return [
        *_drop(table),
        *(policy.create(table, quote) for policy in policies(scope, connection, role)),
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
    ]


def disable(table: str) -> list[str]:
    """Return the statements that undo `enable`; the table is quoted."""
    return [
        f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY",
        f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY",
        *_drop(table),
    ]


def readers(table: str, connection: Any) -> list[str]:
    """Return the tables whose policies of ours a table, which is quoted, would take with it."""
    with connection.cursor() as cursor:
        cursor.execute(_READERS, [table, sorted(OURS)])
        return [row[0] for row in cursor.fetchall()]


def normal_form(expression: str, table: str) -> str:
    """Return an expression so that ours equals what PostgreSQL shows of it (``pg_get_expr``)."""
    text = expression.lower().replace(" as current_setting", "").replace("::text", "")
    # The schema of a table is shown or not, as the search_path has it.
    text = re.sub(r'(\bfrom\s+)(?:"[^"]+"|\w+)\.', r"\1", text)
    text = re.sub(r'[\s()"]', "", text)
    whole = re.sub(r'[\s"]', "", table.lower())
    return text.replace(f"{whole}.", "").replace(f"{whole.rpartition('.')[2]}.", "")


def _drop(table: str) -> list[str]:
    return [f"DROP POLICY IF EXISTS {name} ON {table}" for name in (OF_SITE, SHARED, OF_ROLE)]


def _condition(scope: Scope, connection: Any, use: Use) -> str:
    quote = connection.ops.quote_name
    site = f"(SELECT current_setting('{VARIABLE}')::{Site._meta.pk.rel_db_type(connection)})"
    if scope.parent is None:
        return f"{quote(scope.column)} = {site}"
    sql, _ = scope.condition(quote(scope.table), quote, use)
    return sql.replace("%s", site)
