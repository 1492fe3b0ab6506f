"""What the migrations lack of what SCOPED_MODELS does to the models of other people.

Only that is compared: what upstream itself has not written migrations for is not ours. Django's own
autodetector finds the operations, and they go into an app of the user's, within `InApp`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.migration import Migration
from django.db.migrations.operations import (
    AddField,
    AlterField,
    DeleteModel,
    RemoveField,
    RenameField,
    RenameModel,
)
from django.db.migrations.questioner import MigrationQuestioner
from django.db.migrations.state import ModelState, ProjectState
from django.db.migrations.writer import MigrationWriter

from sitefleet.scoping.fields import SiteField
from sitefleet.scoping.operations import AddSite, ForgetSite, GiveSite, InApp
from sitefleet.scoping.outside import scoped_models

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    #: App label and name of a model, in small letters.
    Key = tuple[str, str]
    #: By the label of a model, what `GiveSite` is told.
    Giving = Mapping[str, Mapping[str, Any]]

#: What of Meta is compared; `constraints` changes it.
OPTIONS = ("unique_together", "constraints")
#: The lines that a migration ends with: it is looked at again whenever migrations are loaded.
ORDER = """
    # What those apps do later to the same models comes after this, in a new database too.
    run_before = sitefleet.scoping.operations.what_follows(dependencies, operations)
"""


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
            _, _, args, kwargs = known.deconstruct()
            state.fields[name] = type(known)(*args, **{**kwargs, "unique": now.unique})
    for option in OPTIONS:
        state.options.pop(option, None)
        if option in actual.options:
            state.options[option] = actual.options[option]


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
        self.changed: list[InApp] = []
        self.removed: list[InApp] = []

    def __iter__(self) -> Iterator[tuple[str, list[InApp]]]:
        # What others follow has its site before them.
        self.given.sort(key=lambda each: self._place(each.label, each.operation))
        for name, operations in (
            ("sites_added", self.added),
            ("sites_given", self.given),
            ("sites_required" if self.given else "sites_changed", self.changed),
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

    def remove(self, app: str, operation: Any, default: str, *, forget: bool) -> None:
        """Add the end of a column."""
        model, name = operation.model_name, operation.name
        field = self.state.models[app, model.lower()].fields[name]
        if not field.null:  # so that the way back can give rows their site before it is required
            self.changed.append(InApp(app, AlterField(model, name, _with_null(field))))
        said: dict[str, Any] = {"default": default} if default else {}
        said |= {"several": True} if forget else {}
        end = ForgetSite(model, name, **said, **_unless_required(field))
        self.removed += [InApp(app, end), InApp(app, operation)]


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
