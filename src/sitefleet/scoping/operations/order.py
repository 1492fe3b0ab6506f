"""The order of migrations: what another app does later to the same models comes after ours."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

from django.db.migrations import operations as of_django
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.fields import FieldOperation, RenameField
from django.db.migrations.operations.models import ModelOptionOperation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    #: A model, and its fields; None for all of them.
    Part = tuple[str, frozenset[str] | None]

#: What changes nothing that another operation on the same model would look at.
HARMLESS = (
    of_django.CreateModel,
    of_django.AlterModelOptions,
    of_django.AlterModelManagers,
    of_django.AlterModelTable,
    of_django.AlterModelTableComment,
)


def what_follows(
    dependencies: Iterable[tuple[str, str]], operations: Iterable[Any]
) -> list[tuple[str, str]]:
    """Return the ``run_before`` of a migration with operations in other apps.

    When it was written, those apps had the migrations of its ``dependencies``. They may rename or
    delete the same models since: in a new database that must come after it too. What does not
    clash is left alone, as a database may have it already.
    """
    touched: dict[str, list[Part]] = {}
    for operation in operations:
        label = getattr(operation, "label", None)
        if label is not None:
            touched.setdefault(label, []).extend(_parts(operation.operation))
    followers = []
    for label, name in dependencies:
        if label in touched:
            followers += [
                (label, later)
                for later, migration in _later(label, name)
                if _clashes(touched[label], migration)
            ]
    return followers


def _later(label: str, name: str) -> Iterator[tuple[str, Any]]:
    """Yield the migrations of an app that come after one of it."""
    found = _migrations(label)
    after = {name}
    squashed = {
        other
        for migration in found.values()
        if (label, name) in getattr(migration, "replaces", ())
        for _, other in migration.replaces
    }
    grown = True
    while grown:
        grown = False
        for other, migration in found.items():
            parents = {parent for app, parent in migration.dependencies if app == label}
            if other not in after and parents & after:
                after.add(other)
                grown = True
    for other in sorted(after - {name} - squashed):
        yield other, found[other]


def _migrations(label: str) -> dict[str, Any]:
    package, _ = MigrationLoader.migrations_module(label)
    if package is None:
        return {}
    try:
        paths = import_module(package).__path__
    except ModuleNotFoundError:
        return {}
    found = {}
    for module in iter_modules(paths):
        if not module.ispkg and module.name[0] not in "_~":
            made = getattr(import_module(f"{package}.{module.name}"), "Migration", None)
            if made is not None:
                found[module.name] = made
    return found


def _clashes(touched: list[Part], migration: Any) -> bool:
    parts = [part for operation in migration.operations for part in _parts(operation)]
    return any(
        model == other and (fields is None or names is None or fields & names)
        for model, fields in touched
        for other, names in parts
    )


def _parts(operation: Any) -> Iterator[Part]:
    inner = getattr(operation, "state_operations", None)
    if inner is not None:
        for each in inner:
            yield from _parts(each)
    elif isinstance(operation, RenameField):
        names = frozenset({operation.old_name_lower, operation.new_name_lower})
        yield operation.model_name_lower, names
    elif isinstance(operation, FieldOperation):
        yield operation.model_name_lower, frozenset({operation.name_lower})
    elif isinstance(operation, of_django.RenameModel):
        yield operation.old_name_lower, None
        yield operation.new_name_lower, None
    elif hasattr(operation, "reads"):  # our own, on rows
        yield operation.model_name.lower(), frozenset(operation.reads)
    elif not isinstance(operation, HARMLESS):
        name = getattr(operation, "model_name", "")
        if not name and isinstance(operation, (ModelOptionOperation, of_django.DeleteModel)):
            name = operation.name
        if name:
            yield name.lower(), None
