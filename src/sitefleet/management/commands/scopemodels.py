"""``manage.py scopemodels``: the migrations for models of other people that get a site."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.management.base import CommandError, no_translations
from django.db import DatabaseError
from django.db.migrations.operations import AddField
from django.db.models import QuerySet

from sitefleet.conf import get_conf
from sitefleet.management import USAGE_ERROR
from sitefleet.management.output import FleetCommand, as_json
from sitefleet.scoping.crossing import unguarded
from sitefleet.scoping.outside import mapping
from sitefleet.scoping.outside.checks import check_app, check_models
from sitefleet.scoping.outside.steps import (
    as_text,
    is_required_now,
    let_forget,
    new_migrations,
    path_of,
)
from sitefleet.scoping.outside.writer import Changes, find_changes, new_loader

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.core.management.base import CommandParser
    from django.db.migrations.loader import MigrationLoader
    from django.db.migrations.migration import Migration

FOUND = 1


class Command(FleetCommand):
    """Write migrations into an app of yours."""

    help = (
        'Write the migrations for SITEFLEET["SCOPED_MODELS"] into an app of yours: that of'
        ' SITEFLEET["SCOPED_APP"], or --app. Rows that are there already get their site by --site'
        " or --mapping. Exit status 0: done, or nothing to do, 1: refused, or with --check found,"
        " 2: wrong usage or unknown site."
    )
    examples = (
        "  manage.py scopemodels --site berlin --dry-run\n"
        "  manage.py scopemodels --mapping sites.json\n"
        "  manage.py scopemodels --check\n"
        "  manage.py scopemodels --save sites.csv\n"
        "  manage.py scopemodels --remove\n"
        "  manage.py scopemodels --remove --forget"
    )
    #: Its own: that migrations are missing is what it is called for.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the arguments."""
        parser.add_argument("--app", metavar="LABEL", help="the app that the migrations go into")
        whose = parser.add_mutually_exclusive_group()
        whose.add_argument(
            "--site", metavar="SITE", help="existing rows are of this site: slug, domain or id"
        )
        whose.add_argument(
            "--mapping", type=Path, metavar="FILE", help="JSON or CSV that says whose rows are"
        )
        what = parser.add_mutually_exclusive_group()
        what.add_argument(
            "--check", action="store_true", help="only say what is missing; exit status 1 if any is"
        )
        what.add_argument("--dry-run", action="store_true", help="print them, write nothing")
        what.add_argument(
            "--save", type=Path, metavar="FILE", help="write whose rows are, as CSV for --mapping"
        )
        parser.add_argument(
            "--remove", action="store_true",
            help="take the site from models that SCOPED_MODELS does not name any more",
        )  # fmt: skip
        parser.add_argument(
            "--forget",
            action="store_true",
            help="with --remove: even where rows are of many sites; migrations that are written"
            " and not run do so too",
        )
        parser.add_argument("--json", action="store_true", help="with --check: JSON for scripts")

    @no_translations
    def handle(self, **options: Any) -> None:
        """Do what the options say."""
        self.verbosity = options["verbosity"]
        get_conf()  # with settings that cannot be used it says so
        problems = [problem for problem in check_models() if problem.is_serious()]
        if problems:
            lines = [f"{problem.msg} {problem.hint or ''}".rstrip() for problem in problems]
            raise CommandError("\n".join(lines), returncode=FOUND)
        if options["save"]:
            self._save(options["save"])
            return
        loader = new_loader()
        changes = find_changes(loader)
        if options["check"]:
            self._check(changes, as_list=options["json"])
            return
        written = self._let_forget(loader, options) if options["forget"] else {}
        if changes:
            self._make(changes, loader, options)
        elif not written:
            self._say("Nothing to do: the migrations have all of SCOPED_MODELS.")
        for path, text in written.items():
            if not options["dry_run"]:
                path.write_text(text, encoding="utf-8")
            self._say(f"{'Would change' if options['dry_run'] else 'Changed'} {_short(path)}:")
            self._say("  it forgets which site rows belong to.")
        if (changes or written) and not options["dry_run"]:
            self._say("Now run `manage.py migrate`.")

    def _let_forget(self, loader: MigrationLoader, options: dict[str, Any]) -> dict[Path, str]:
        if not options["remove"]:
            message = "--forget goes with --remove."
            raise CommandError(message, returncode=USAGE_ERROR)
        default = mapping.slug_of(options["site"]) if options["site"] else ""
        return let_forget(loader, self._label(options), default)

    def _say(self, text: str, style: Any = None) -> None:
        if self.verbosity > 0:
            self.stdout.write(text, style)

    def _label(self, options: dict[str, Any]) -> str:
        return options["app"] or get_conf().SCOPED_APP

    def _check(self, changes: Changes, *, as_list: bool) -> None:
        lines = changes.describe()
        if as_list:
            self.stdout.write(as_json({"missing": lines, "removed": changes.removed}))
        if changes:
            listed = "".join(f"\n  {line}" for line in lines)
            message = f"Migrations are missing{'.' if as_list else f':{listed}'}"
            raise CommandError(message, returncode=FOUND)
        if not as_list:
            self._say("No migration is missing.")

    def _save(self, path: Path) -> None:
        try:
            count = mapping.save(path)
        except OSError as error:
            message = f"{path} cannot be written: {error.strerror}."
            raise CommandError(message, returncode=FOUND) from error
        self._say(f"Wrote the sites of {count} rows to {path}.")

    def _make(self, changes: Changes, loader: MigrationLoader, options: dict[str, Any]) -> None:
        label = self._app(changes, loader, options)
        if options["mapping"]:
            read = mapping.read(options["mapping"])
        else:
            read = mapping.all_to(options["site"]) if options["site"] else {}
        giving = {name: read[name] for name in mapping.in_order(read)}
        mapping.refuse_unknown(giving)
        self._refuse_rows_of_nobody(changes, giving)
        default = mapping.slug_of(options["site"]) if options["site"] else ""
        made = new_migrations(
            changes, label, loader, giving, forget=options["forget"], default=default
        )
        for migration in made:
            self._write(migration, dry_run=options["dry_run"])
        if options["dry_run"]:
            self._say("Dry run: nothing was written.", self.style.WARNING)

    def _app(self, changes: Changes, loader: MigrationLoader, options: dict[str, Any]) -> str:
        label = self._label(options)
        problems = [*check_app(label, changes)]
        if problems:
            lines = [f"{problem.msg} {problem.hint or ''}".rstrip() for problem in problems]
            status = FOUND if label else USAGE_ERROR
            raise CommandError("\n".join(lines), returncode=status)
        if label in loader.detect_conflicts():
            message = f"{label} has two last migrations: run `manage.py makemigrations --merge`."
            raise CommandError(message, returncode=FOUND)
        if changes.removed and not options["remove"]:
            message = (
                f"SCOPED_MODELS does not name {', '.join(changes.removed)} any more, whose rows"
                " have a site in the database. Name it again, or say --remove."
            )
            raise CommandError(message, returncode=FOUND)
        return label

    def _refuse_rows_of_nobody(
        self, changes: Changes, giving: Mapping[str, Mapping[str, Any]]
    ) -> None:
        found = []
        for app, operation in changes.operations:
            if not is_required_now(changes.state, app, operation):
                continue
            model = apps.get_model(app, operation.model_name)
            if not giving.get(model._meta.label_lower):
                count = _count(model, "" if isinstance(operation, AddField) else operation.name)
                found += [f"{count} of {model._meta.label}"] if count else []
        if found:
            message = (
                f"There are rows that need a site: {', '.join(found)}. Say --site SITE if all are"
                " of one, or --mapping FILE."
            )
            raise CommandError(message, returncode=FOUND)

    def _write(self, migration: Migration, *, dry_run: bool) -> None:
        if dry_run:
            self.stdout.write(f"# {migration.app_label} {migration.name}", self.style.MIGRATE_LABEL)
            self.stdout.write(as_text(migration))
            return
        # Makes the package where there is none.
        path = path_of(migration)
        path.parent.mkdir(exist_ok=True)
        (path.parent / "__init__.py").touch(exist_ok=True)
        path.write_text(as_text(migration), encoding="utf-8")
        self._say(f"Wrote {_short(path)}", self.style.MIGRATE_LABEL)
        for operation in migration.operations:
            self._say(f"  {operation.describe()}")


def _count(model: Any, field: str) -> int:
    """Return the number of rows; of those without a site where there is a column for it."""
    try:
        with unguarded():
            return QuerySet(model).filter(**({f"{field}__isnull": True} if field else {})).count()
    except DatabaseError:
        return 0  # there is no table yet


def _short(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
