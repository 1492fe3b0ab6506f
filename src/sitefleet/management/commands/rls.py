"""``manage.py rls``: row-level security of PostgreSQL on the tables whose rows belong to a site."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.management.base import CommandError
from django.db import DEFAULT_DB_ALIAS, ProgrammingError, connections, router

from sitefleet.conf import get_conf
from sitefleet.management import USAGE_ERROR
from sitefleet.management.output import FleetCommand, as_json, table
from sitefleet.models import SiteConfig
from sitefleet.scoping.rls import status as rls
from sitefleet.scoping.rls.policies import disable, enable, why_not
from sitefleet.scoping.scopes import scopes

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

    from sitefleet.scoping.scopes import Scope

#: https://www.postgresql.org/docs/current/errcodes-appendix.html
INSUFFICIENT_PRIVILEGE = "42501"
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
        found = _chosen(options["models"])
        if options["action"] == "status":
            self._status(connection, found, as_data=options["json"])
        else:
            self._change(connection, found, options)

    def _status(self, connection: Any, found: list[Scope], *, as_data: bool) -> None:
        status = rls.look(connection)
        labels = {scope.label for scope in found}
        status.tables = [entry for entry in status.tables if entry.model in labels]
        serves = connection.alias == router.db_for_write(SiteConfig)
        problems = list(rls.problems(status, serves=serves))
        if as_data:
            self.stdout.write(as_json(asdict(status) | {"problems": list(map(asdict, problems))}))
        else:
            self._show(status, problems)
        if problems:
            sys.exit(1)

    def _show(self, status: rls.Status, problems: list[rls.Problem]) -> None:
        head = ("table", "kind", "enabled", "forced", "policies", "index", "owner")
        self.stdout.write(table(head, [_row(entry) for entry in status.tables]))
        sees = "all sites" if status.sees_all else "one site at a time"
        beside = f"; {status.all_sites} sees all sites" if status.all_sites else ""
        self.stdout.write(f"\nThe role {status.role} sees {sees}{beside}.")
        for problem in problems:
            self.stdout.write(f"\n{problem.message}", self.style.WARNING)
            self.stdout.write(f"    {problem.hint}")

    def _change(self, connection: Any, found: list[Scope], options: dict[str, Any]) -> None:
        on = options["action"] == "enable"
        role = get_conf().RLS_ROLE
        if on and not (role and get_conf().RLS):
            message = (
                "Connections are to be told their site first, and a role is to see all:"
                ' SITEFLEET = {"RLS": "transaction", "RLS_ROLE": "fleet_all"}.'
            )
            raise CommandError(message)
        able = [scope for scope in found if not why_not(scope)]
        for scope in found:
            if scope not in able and options["models"]:
                raise CommandError(f"{scope.label}: {why_not(scope)}.")
        statements = [
            statement
            for scope in able
            for statement in (
                enable(scope, connection, role) if on else disable(scope.model, connection)
            )
        ]
        if options["dry_run"]:
            self.stdout.write("".join(f"{statement};\n" for statement in statements), ending="")
            self.stdout.write("Dry run: nothing was changed.", self.style.WARNING)
            return
        done = "Enabled" if on else "Disabled"
        if options["interactive"] and not self._agrees(options["action"], able):
            message = "Nothing was changed."
            raise CommandError(message)
        _run(connection, statements)
        for scope in able:
            self.stdout.write(f"{done} row-level security on {scope.table}.")

    def _agrees(self, action: str, found: list[Scope]) -> bool:
        names = ", ".join(scope.table for scope in found)
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
        if getattr(error.__cause__, "sqlstate", "") != INSUFFICIENT_PRIVILEGE:
            raise
        message = (
            f"The role {connection.settings_dict['USER']} does not own the tables: name an alias of"
            " DATABASES with the role that does, as in --database=migrations."
        )
        raise CommandError(message) from error


def _chosen(labels: list[str]) -> list[Scope]:
    known = {scope.label.lower(): scope for scope in scopes if _is_ours(scope)}
    if not labels:
        return sorted(known.values(), key=lambda scope: scope.label)
    for label in labels:
        if label.lower() not in known:
            names = ", ".join(sorted(scope.label for scope in known.values())) or "none"
            message = f"{label} is no model whose rows belong to a site. Those are: {names}."
            raise CommandError(message, returncode=USAGE_ERROR)
    return [known[label.lower()] for label in labels]


def _is_ours(scope: Scope) -> bool:
    return apps.is_installed(scope.model._meta.app_config.name) and scope.model._meta.managed


def _row(entry: rls.Table) -> tuple[str, ...]:
    if not entry.exists:
        return entry.table, entry.kind, "no table", "", "", "", ""
    if entry.guard_only:
        return entry.table, entry.kind, "guard only", "", "", "", entry.owner
    policies = "" if not entry.enabled else entry.policies or "as expected"
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
