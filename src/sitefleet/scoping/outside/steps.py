"""The migrations for an app of the user's, of what is missing in those of others.

A column comes empty, is filled, and is then required. On the way back nothing is changed before it
is known that it may be forgotten whose rows are.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError
from django.db import DatabaseError, connection
from django.db.migrations.migration import Migration
from django.db.migrations.operations import AddField, AlterField, RemoveField
from django.db.migrations.recorder import MigrationRecorder
from django.db.migrations.writer import MigrationWriter

from sitefleet.scoping.fields import SiteField
from sitefleet.scoping.operations import AddSite, ForgetSite, GiveSite, InApp, KeepSite
from sitefleet.scoping.outside import scoped_models

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from django.db.migrations.loader import MigrationLoader
    from django.db.migrations.state import ProjectState
    from django.db.models import Model

    from sitefleet.scoping.outside.writer import Changes, Key

    #: By the label of a model, what `GiveSite` is told.
    Giving = Mapping[str, Mapping[str, Any]]

#: The lines that a migration ends with: it is looked at again whenever migrations are loaded.
ORDER = """
    # What those apps do later to the same models comes after this, in a new database too.
    run_before = sitefleet.scoping.operations.what_follows(dependencies, operations)
"""


def new_migrations(  # noqa: PLR0913 - what an operator may say of them
    changes: Changes,
    label: str,
    loader: MigrationLoader,
    giving: Giving,
    *,
    forget: bool = False,
    default: str = "",
) -> list[Migration]:
    """Return the migrations for an app of the user's: up to three, one after the other.

    A column comes empty, is filled, and is then required: no database adds one to rows otherwise,
    and PostgreSQL does not fill and alter a table in one transaction. ``giving``: by model, what
    `GiveSite` is told. ``forget``, ``default``: what `ForgetSite` is told.
    """
    steps = _Steps(changes.state, giving)
    for app, operation in changes.operations:
        if isinstance(operation, RemoveField):
            steps.remove(app, operation, default, forget=forget)
        else:
            steps.add(app, operation)
    steps.keep()
    leaves = [loader.graph.leaf_nodes(app) for app in ("sites", "sitefleet")]
    touched = sorted({app for app, _ in changes.operations if app != label})
    leaves += [loader.graph.leaf_nodes(app) for app in touched]
    dependencies = [leaf for leaves_of_app in leaves for leaf in leaves_of_app[:1]]
    own = loader.graph.leaf_nodes(label)[:1]
    number = max((int(name[:4]) for app, name in loader.disk_migrations if app == label
                  and name[:4].isdecimal()), default=0)  # fmt: skip
    made = []
    for name, operations in steps:
        number += 1
        migration: Any = Migration(f"{number:04}_{name}", label)
        migration.dependencies = [*dependencies, *own]
        migration.operations = operations
        own = [(label, migration.name)]
        made.append(migration)
    return made


class _Steps:
    """The operations of each migration, in the order in which they come."""

    def __init__(self, state: ProjectState, giving: Giving) -> None:
        self.state = state
        self.giving = giving
        self.order = [*giving]
        self.added: list[InApp] = []
        self.given: list[InApp] = []
        self.looked_at: list[InApp] = []
        self.forgotten: list[InApp] = []
        self.changed: list[InApp] = []
        self.removed: list[InApp] = []

    def __iter__(self) -> Iterator[tuple[str, list[InApp]]]:
        # What others follow has its site before them.
        self.given.sort(key=lambda each: self._place(each.label, each.operation))
        # It is refused to forget before values are unique on all sites again.
        changed = [*self.forgotten, *self.changed] if self.changed else []
        for name, operations in (
            ("sites_added", self.added),
            ("sites_given", [*self.given, *self.looked_at] if self.given else []),
            ("sites_required" if self.given else "sites_changed", changed),
            ("sites_removed", self.removed),
        ):
            if operations:
                yield name, operations

    def _place(self, app: str, operation: Any) -> int:
        label = f"{app}.{operation.model_name}".lower()
        return self.order.index(label) if label in self.order else -1

    def add(self, app: str, operation: Any) -> None:
        """Add a new column, empty, or another change."""
        if isinstance(operation, AddField):
            model, name = operation.model_name, operation.name
            self.added.append(InApp(app, AddSite(model, name, _with_null(operation.field))))
            self._give(app, operation)
        elif is_required_now(self.state, app, operation):
            self._give(app, operation)
        else:
            self.changed.append(InApp(app, operation))

    def _give(self, app: str, operation: Any) -> None:
        model, name, field = operation.model_name, operation.name, operation.field
        rule = self.giving.get(f"{app}.{model}".lower(), {})
        if rule or not field.null:
            self.given.append(InApp(app, GiveSite(model, name, **rule, **_unless_required(field))))
        if not field.null:
            self.changed.append(InApp(app, AlterField(model, name, field)))

    def keep(self) -> None:
        """Add what looks at references, where either end is new, and what keeps from going back."""
        given: list[Any] = [*self.added, *self.given]
        new = {(each.label, each.operation.model_name.lower()) for each in given}
        fields = {model: spec.field for model, spec in scoped_models() if spec.add}
        for model, field in fields.items():
            ends = {link.name: _target(link) for link in _links(model) if _target(link) in fields}
            app, name = _key(model)
            if ends and {(app, name), *map(_key, ends.values())} & new:
                # In the migration that gives sites: where it is refused, that is undone with it.
                refers = {link: fields[target] for link, target in ends.items()}
                self.looked_at.append(InApp(app, KeepSite(name, field, refers=refers)))
            if (app, name) in new:
                self.changed.append(InApp(app, KeepSite(name, field)))

    def remove(self, app: str, operation: Any, default: str, *, forget: bool) -> None:
        """Add the end of a column."""
        model, name = operation.model_name, operation.name
        field = self.state.models[app, model.lower()].fields[name]
        if not field.null:  # so that the way back can give rows their site before it is required
            self.changed.append(InApp(app, AlterField(model, name, _with_null(field))))
        said: dict[str, Any] = {"default": default} if default else {}
        said |= {"several": True} if forget else {}
        end = ForgetSite(model, name, **said, **_unless_required(field))
        self.forgotten.append(InApp(app, end))
        self.removed += [InApp(app, end), InApp(app, operation)]


def _links(model: type[Model]) -> Iterator[Any]:
    opts: Any = model._meta
    for field in (*opts.local_fields, *opts.local_many_to_many):
        if field.remote_field is not None and not getattr(field.remote_field, "parent_link", False):
            yield field


def _target(link: Any) -> Any:
    return link.related_model._meta.concrete_model if link.related_model is not None else None


def _key(model: Any) -> Key:
    return model._meta.app_label, str(model._meta.model_name)


def is_required_now(state: ProjectState, app: str, operation: Any) -> bool:
    """Tell whether an operation lets a site be required that rows could be without."""
    if isinstance(operation, AddField):
        return not operation.field.null
    if not isinstance(operation, AlterField) or not isinstance(operation.field, SiteField):
        return False
    before = state.models[app, operation.model_name_lower].fields[operation.name]
    return before.null and not operation.field.null


def _unless_required(field: Any) -> dict[str, Any]:
    return {"required": False} if field.null else {}


def _with_null(field: Any) -> Any:
    field = field.clone()
    field.null = True
    return field


def as_text(migration: Migration) -> str:
    """Return the source of a migration."""
    return MigrationWriter(migration).as_string() + ORDER


def path_of(migration: Migration) -> Path:
    """Return the file that a migration stands in, or is to."""
    return Path(MigrationWriter(migration).path)


def let_forget(loader: MigrationLoader, label: str, default: str = "") -> dict[Path, str]:
    """Return the migrations of an app, by their files, so that they forget what they refused to.

    Of those that are written and not run. ``default``: as `new_migrations` has it, where none is
    said yet. Raises CommandError for one that was changed by hand.
    """
    try:
        done = MigrationRecorder(connection).applied_migrations()
    except DatabaseError:
        done = {}
    texts = {}
    for key, migration in loader.disk_migrations.items():
        each = [op.operation for op in migration.operations if isinstance(op, InApp)]
        refusing = [op for op in each if isinstance(op, ForgetSite) and not op.several]
        if key[0] != label or key in done or not refusing:
            continue
        path = path_of(migration)
        more = (
            f"default={default!r}, " if default and not any(op.default for op in refusing) else ""
        )
        text, count = re.subn(
            r"(\bForgetSite\(\s*)(?=model_name=)(?![^()]*several)",
            rf"\1several=True, {more}",
            path.read_text(encoding="utf-8"),
        )
        if count != len(refusing):
            message = (
                f"Write several=True into each ForgetSite(...) of {path}; nothing was changed."
            )
            raise CommandError(message)
        texts[path] = text
    return texts
