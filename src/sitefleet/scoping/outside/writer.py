"""What the migrations lack of what SCOPED_MODELS does to the models of other people.

Only that is compared: what upstream itself has not written migrations for is not ours. Django's own
autodetector finds the operations; `steps` makes migrations of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import (
    AddField,
    DeleteModel,
    RemoveField,
    RenameField,
    RenameModel,
)
from django.db.migrations.questioner import MigrationQuestioner
from django.db.migrations.state import ModelState, ProjectState

from sitefleet.scoping.operations import InApp
from sitefleet.scoping.operations.upstream import with_unique
from sitefleet.scoping.outside import scoped_models

if TYPE_CHECKING:
    from collections.abc import Iterable

    #: App label and name of a model, in small letters.
    Key = tuple[str, str]

#: What of Meta is compared; `constraints` changes it.
OPTIONS = ("unique_together", "constraints")


@dataclass(frozen=True, slots=True)
class Changes:
    """What is missing in the migrations."""

    state: ProjectState
    """The models as the migrations have them."""
    operations: list[tuple[str, Any]]
    """By the label of the app that each is for, in their order."""
    unmigrated: list[str]
    """Labels of apps that have no migrations, so that none can follow them."""
    removed: list[str]
    """Models that migrations have changed for SCOPED_MODELS, which does not name them any more."""

    def __bool__(self) -> bool:
        return bool(self.operations or self.unmigrated)

    def describe(self) -> list[str]:
        """Return a line for each."""
        return [
            *(f"{label}: {operation.describe()}" for label, operation in self.operations),
            *(f"{label}: has no migrations" for label in self.unmigrated),
        ]


class _Questioner(MigrationQuestioner):
    """Answers for us: a field of ours that comes where one goes is the same, renamed."""

    def ask_rename(self, *_: Any) -> bool:
        return True


def new_loader() -> MigrationLoader:
    """Return all migrations; no database is asked."""
    return MigrationLoader(None, ignore_no_migrations=True)


def find_changes(loader: MigrationLoader) -> Changes:
    """Return what the migrations lack. No database is asked."""
    before = loader.project_state()
    found = [(model._meta, spec) for model, spec in scoped_models() if model._meta.managed]
    scoped = {(opts.app_label, str(opts.model_name)): spec.field for opts, spec in found}
    ours = _ours(loader)
    added = {opts.app_label for opts, spec in found if spec.add}
    wanted = ProjectState(
        models={key: state.clone() for key, state in before.models.items()},
        real_apps=before.real_apps,
    )
    for key in sorted({*scoped, *ours}):
        if key in wanted.models:
            names = ours.get(key, set()) | ({scoped[key]} if key in scoped else set())
            _bring_up_to_date(wanted.models[key], names)
    detector = MigrationAutodetector(before, wanted, _Questioner())
    operations = [
        (label, operation)
        for label, migrations in detector.changes(graph=loader.graph).items()
        for migration in migrations
        for operation in migration.operations
    ]
    touched = {(label, _model_name(operation)) for label, operation in operations}
    removed = sorted(".".join(key) for key in touched - {*scoped})
    return Changes(before, operations, sorted(added & loader.unmigrated_apps), removed)


def _model_name(operation: Any) -> str:
    return str(getattr(operation, "model_name", "") or getattr(operation, "name", "")).lower()


def _ours(loader: MigrationLoader) -> dict[Key, set[str]]:
    """Return the models of other apps that migrations have changed, as they are called now.

    Each with the fields that it was given.
    """
    ours: dict[Key, set[str]] = {}
    graph = loader.graph
    plan = dict.fromkeys(node for leaf in graph.leaf_nodes() for node in graph.forwards_plan(leaf))
    for label, name in plan:
        for operation in graph.nodes[label, name].operations:
            inner = operation.operation if isinstance(operation, InApp) else operation
            _follow(ours, getattr(operation, "label", label), inner, own=inner is not operation)
    return ours


def _follow(ours: dict[Key, set[str]], label: str, operation: Any, *, own: bool) -> None:
    if own and _model_name(operation):
        ours.setdefault((label, _model_name(operation)), set())
    if isinstance(operation, RenameModel):
        names = ours.pop((label, operation.old_name_lower), None)
        if names is not None:
            ours[label, operation.new_name_lower] = names
    elif isinstance(operation, DeleteModel):
        ours.pop((label, operation.name_lower), None)
    elif isinstance(operation, AddField) and own:
        ours.setdefault((label, operation.model_name_lower), set()).add(operation.name)
    elif isinstance(operation, (RemoveField, RenameField)):
        names = ours.get((label, operation.model_name_lower), set())
        old = operation.name if isinstance(operation, RemoveField) else operation.old_name
        if old in names:
            names.remove(old)
            if isinstance(operation, RenameField):
                names.add(operation.new_name)


def _bring_up_to_date(state: ModelState, names: Iterable[str]) -> None:
    """Let what is ours of a model be as the model is now."""
    try:
        model = apps.get_model(state.app_label, state.name)
    except LookupError:
        return  # upstream has deleted it, and has no migration that says so
    actual = ModelState.from_model(model)
    for name in names:
        if name in actual.fields:
            state.fields[name] = actual.fields[name]
        else:
            state.fields.pop(name, None)
    for name, now in actual.fields.items():
        known: Any = state.fields.get(name)
        if known is not None and known.unique != now.unique:
            state.fields[name] = with_unique(known, unique=now.unique)
    for option in OPTIONS:
        state.options.pop(option, None)
        if option in actual.options:
            state.options[option] = actual.options[option]
