"""``manage.py rls``: row-level security of PostgreSQL on the tables whose rows belong to a site."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError
from django.db import DEFAULT_DB_ALIAS, ProgrammingError, connections, router

from sitefleet.conf import get_conf
from sitefleet.management import USAGE_ERROR
from sitefleet.management.output import FleetCommand, as_json, table
from sitefleet.models import SiteConfig
from sitefleet.scoping.rls.policies import disable, enable
from sitefleet.scoping.rls.problems import problems
from sitefleet.scoping.rls.status import NO_KIND, look
from sitefleet.scoping.scopes import scopes

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

    from sitefleet.scoping.rls.problems import Problem
    from sitefleet.scoping.rls.status import Status, Table

#: https://www.postgresql.org/docs/current/errcodes-appendix.html
INSUFFICIENT_PRIVILEGE, UNDEFINED_OBJECT = "42501", "42704"
ACTIONS = ("status", "enable", "disable")


class Command(FleetCommand):
    """Show, enable or disable row-level security."""

    help = (
        "Show what each table has of PostgreSQL's row-level security; enable or disable it,"
        " without migrations. In a migration the same is EnableRLS and DisableRLS of"
        " sitefleet.scoping.rls.operations. Exit status 0: done, or all is as it should be;"
        " 1: refused, or something is not; 2: wrong usage."
    )
    examples = (
        "  manage.py rls status\n"
        "  manage.py rls status --json\n"
        "  manage.py rls enable --dry-run\n"
        "  manage.py rls enable talks.Talk --database migrations --no-input\n"
        "  manage.py rls disable talks.Talk"
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options."""
        parser.add_argument("action", nargs="?", choices=ACTIONS, default="status")
        parser.add_argument(
            "models", nargs="*", metavar="app.Model", help="these only; default: all that can be"
        )
        parser.add_argument(
            "--database",
            default=DEFAULT_DB_ALIAS,
            metavar="ALIAS",
            help="connection to use; enable and disable need the role that owns the tables",
        )
        parser.add_argument("--json", action="store_true", help="print JSON for scripts (status)")
        parser.add_argument("--dry-run", action="store_true", help="show the SQL, change nothing")
        parser.add_argument(
            "--no-input", action="store_false", dest="interactive", help="do not ask, for scripts"
        )

    def handle(self, **options: Any) -> None:
        """Carry out the action."""
        if options["database"] not in connections:
            message = f"DATABASES has no {options['database']!r}."
            raise CommandError(message, returncode=USAGE_ERROR)
        connection = connections[options["database"]]
        if connection.vendor != "postgresql":
            message = f"Row-level security is PostgreSQL's, and this is {connection.display_name}."
            raise CommandError(message)
        if options["action"] == "status":
            self._status(connection, options["models"], as_data=options["json"])
        elif options["action"] == "enable":
            self._enable(connection, options)
        else:
            self._disable(connection, options)

    def _status(self, connection: Any, labels: list[str], *, as_data: bool) -> None:
        status = look(connection)
        status.tables = _chosen(status.tables, labels)
        serves = connection.alias == router.db_for_write(SiteConfig)
        found = list(problems(status, serves=serves))
        if as_data:
            self.stdout.write(as_json(asdict(status) | {"problems": list(map(asdict, found))}))
        else:
            self._show(status, found)
        if found:
            sys.exit(1)

    def _show(self, status: Status, found: list[Problem]) -> None:
        head = ("table", "kind", "enabled", "forced", "policies", "index", "owner")
        self.stdout.write(table(head, [_row(entry) for entry in status.tables]))
        sees = "all sites" if status.sees_all else "one site at a time"
        beside = f"; {status.all_sites} sees all sites" if status.all_sites else ""
        self.stdout.write(f"\nThe role {status.role} sees {sees}{beside}.")
        for problem in found:
            self.stdout.write(f"\n{problem.message}", self.style.WARNING)
            self.stdout.write(f"    {problem.hint}")

    def _enable(self, connection: Any, options: dict[str, Any]) -> None:
        role = get_conf().RLS_ROLE
        if not (role and get_conf().RLS):
            message = (
                "Connections are to be told their site first, and a role is to see all:"
                ' SITEFLEET = {"RLS": "transaction", "RLS_ROLE": "fleet_all"}.'
            )
            raise CommandError(message)
        known = [entry for entry in look(connection).tables if entry.kind != NO_KIND]
        able = []
        for entry in _chosen(known, options["models"]):
            why_not = entry.guard_only or ("" if entry.exists else "it has no table yet, migrate")
            if not why_not:
                able.append(entry)
            elif options["models"]:
                raise CommandError(f"{entry.model}: {why_not}.")
        statements = [
            statement
            for entry in able
            for statement in enable(scopes.tables[entry.table], connection, role)
        ]
        self._change(connection, able, statements, options)

    def _disable(self, connection: Any, options: dict[str, Any]) -> None:
        found = [
            entry
            for entry in _chosen(look(connection).tables, options["models"])
            if entry.exists and (entry.stray or not entry.guard_only)
        ]
        quote = connection.ops.quote_name
        statements = [line for entry in found for line in disable(quote(entry.table))]
        self._change(connection, found, statements, options)

    def _change(
        self, connection: Any, found: list[Table], statements: list[str], options: dict[str, Any]
    ) -> None:
        if options["dry_run"]:
            self.stdout.write("".join(f"{statement};\n" for statement in statements), ending="")
            self.stdout.write("Dry run: nothing was changed.", self.style.WARNING)
            return
        if options["interactive"] and not self._agrees(options["action"], found):
            message = "Nothing was changed."
            raise CommandError(message)
        _run(connection, statements)
        for entry in found:
            done = options["action"].capitalize()
            self.stdout.write(f"{done}d row-level security on {entry.table}.")

    def _agrees(self, action: str, found: list[Table]) -> bool:
        names = ", ".join(entry.table for entry in found)
        try:
            answer = input(f"{action.capitalize()} row-level security on {names}? [y/N] ")
        except EOFError:
            return False
        return answer.strip().lower() in {"y", "yes"}


def _run(connection: Any, statements: list[str]) -> None:
    try:
        with connection.schema_editor() as editor:  # a transaction
            for statement in statements:
                editor.execute(statement, params=None)
    except ProgrammingError as error:
        state = getattr(error.__cause__, "sqlstate", "")
        if state == UNDEFINED_OBJECT:
            role = get_conf().RLS_ROLE
            message = (
                f'PostgreSQL has no role {role}, and SITEFLEET["RLS_ROLE"] names it. As a'
                f" superuser: CREATE ROLE {role} NOLOGIN;"
            )
        elif state == INSUFFICIENT_PRIVILEGE:
            message = (
                f"The role {connection.settings_dict['USER']} does not own the tables: name an"
                " alias of DATABASES with the role that does, as in --database=migrations."
            )
        else:
            raise
        raise CommandError(message) from error


def _chosen(tables: list[Table], labels: list[str]) -> list[Table]:
    known = {entry.model.lower(): entry for entry in tables}
    for label in labels:
        if label.lower() not in known:
            names = ", ".join(entry.model for entry in tables) or "none"
            message = f"{label} is no model whose rows belong to a site. Those are: {names}."
            raise CommandError(message, returncode=USAGE_ERROR)
    return [known[label.lower()] for label in labels] if labels else tables


def _row(entry: Table) -> tuple[str, ...]:
    if not entry.exists:
        return entry.table, entry.kind, "no table", "", "", "", ""
    if entry.guard_only and not entry.stray:
        return entry.table, entry.kind, "guard only", "", "", "", entry.owner
    policies = "" if not entry.enabled or entry.stray else entry.policies or "as expected"
    index = "yes" if entry.index else "none"
    return (
        entry.table,
        entry.kind,
        _yes(entry.enabled),
        _yes(entry.forced),
        policies,
        index,
        entry.owner,
    )


def _yes(value: bool) -> str:  # noqa: FBT001 - the value is what it is about
    return "yes" if value else "no"
