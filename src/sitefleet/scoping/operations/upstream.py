"""Migrations of other people, run on models whose values are unique on each site by now.

Upstream does not know of that. Where it alters a field that was unique, or `unique_together`, its
operation says again that values are unique, on all sites together: sites that share a value by then
could never run it. Where it removes or renames a field, a constraint of ours still names it:
PostgreSQL drops that without a word, and SQLite fails. So here, on models that `InApp` has given a
site, what operations of upstream make unique waits for `manage.py scopemodels`, which makes it so
on each site; a new constraint gets the site at once; and ours go with the field that they name.

It is told by the state of the migrations, so that it is the same in each database, and Django's own
again once the models have no site any more. Where values are to stay unique on all sites, that too
is what `scopemodels --check` finds missing, and the system check with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.migrations.operations import (
    AddConstraint,
    AddField,
    AlterField,
    AlterUniqueTogether,
    RemoveConstraint,
    RemoveField,
    RenameField,
)
from django.db.models import UniqueConstraint

from sitefleet.scoping.introspection import names_in, parts_with_site
from sitefleet.scoping.patches import Patches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: By the label of an app, the fields of the site that `InApp` gave its models.
_given: dict[str, set[str]] = {}
_patches = Patches()


def register(label: str, operation: Any) -> None:
    """Note what `InApp` does to an app: its operation is run as it is written."""
    operation.as_written = True
    fields = _given.setdefault(label, set())
    if isinstance(operation, AddField):
        fields.add(operation.name)
    elif isinstance(operation, RenameField):
        fields.add(operation.new_name)


def with_unique(field: Any, *, unique: bool) -> Any:
    """Return a field as it is, but for whether its values are unique."""
    _, _, args, kwargs = field.deconstruct()
    return type(field)(*args, **{**kwargs, "unique": unique})


def _target(field: Any) -> str:
    model = getattr(getattr(field, "remote_field", None), "model", "")
    return str(getattr(getattr(model, "_meta", None), "label", model)).lower()


def _site_of(state: Any, label: str, model: str) -> str:
    """Return the field of the site that a model was given, an empty text without one."""
    known = state.models.get((label, model))
    found = _given.get(label, set()) & {*known.fields} if known is not None else set()
    return next((name for name in found if _target(known.fields[name]) == "sites.site"), "")


def _is_of_all_sites(state: Any, label: str, model: str, names: Iterable[str]) -> bool:
    """Tell whether no field says the site: of the model, or of a row of one that has a site."""
    fields = state.models[label, model].fields
    for name in names:
        field = fields.get(name)
        target = _target(field).rpartition(".")
        other = target[0] or label, model if target[2] == "self" else target[2]
        if name == _site_of(state, label, model) or _site_of(state, *other):
            return False
    return True


def _altering(original: Any) -> Any:
    def state_forwards(self: Any, app_label: str, state: Any) -> None:
        key = app_label, self.model_name_lower
        field = self.field
        if getattr(self, "as_written", False) or not _site_of(state, *key) or not field.unique:
            original(self, app_label, state)
            return
        before = state.models[key].fields.get(self.name)
        kept = field.primary_key or field.one_to_one or (before is not None and before.unique)
        if not kept and _is_of_all_sites(state, *key, [self.name]):
            field = with_unique(field, unique=False)
        state.alter_field(*key, self.name, field, self.preserve_default)

    return state_forwards


def _altering_together(original: Any) -> Any:
    def state_forwards(self: Any, app_label: str, state: Any) -> None:
        key = app_label, self.name_lower
        if getattr(self, "as_written", False) or not _site_of(state, *key):
            original(self, app_label, state)
            return
        before = {*map(tuple, state.models[key].options.get("unique_together") or ())}
        wanted = self.option_value or ()
        left = {
            names
            for names in wanted
            if tuple(names) in before or not _is_of_all_sites(state, *key, names)
        }
        state.alter_model_options(*key, {"unique_together": left})

    return state_forwards


def _adding_in_state(original: Any) -> Any:
    def state_forwards(self: Any, app_label: str, state: Any) -> None:
        site = _site_of(state, app_label, self.model_name_lower)
        constraint: Any = self.constraint
        known = type(constraint) is UniqueConstraint and not self.constraint.opclasses
        if site and known and not getattr(self, "as_written", False):
            names = names_in(constraint, site)
            if _is_of_all_sites(state, app_label, self.model_name_lower, names):
                expressions, kwargs = parts_with_site(constraint, site)
                self = AddConstraint(self.model_name, UniqueConstraint(*expressions, **kwargs))
        original(self, app_label, state)

    return state_forwards


def _adding(original: Any) -> Any:
    """Add, or take away on the way back, the constraint that the state has got."""

    def in_database(self: Any, label: str, editor: Any, from_state: Any, to_state: Any) -> None:
        for state in (to_state, from_state):
            known = state.models.get((label, self.model_name_lower))
            for constraint in (known.options.get("constraints") or ()) if known else ():
                if constraint.name == self.constraint.name and constraint != self.constraint:
                    self = AddConstraint(self.model_name, constraint)
        original(self, label, editor, from_state, to_state)

    return in_database


def _naming(state: Any, label: str, model: str, field: str) -> list[str]:
    """Return the names of unique constraints that name a field, which is to go."""
    if not _site_of(state, label, model):
        return []
    constraints = state.models[label, model].options.get("constraints") or ()
    return [each.name for each in constraints if field in _fields_of(each)]


def _fields_of(constraint: Any) -> set[str]:
    if not isinstance(constraint, UniqueConstraint):
        return set()
    condition: Any = constraint.condition
    more = condition.referenced_base_fields if condition is not None else set()
    return names_in(constraint, "") | more


def _steps(operation: Any, app_label: str, state: Any) -> list[tuple[RemoveConstraint, Any, Any]]:
    """Return what takes the constraints away, with the states before and after each."""
    name = getattr(operation, "old_name", operation.name)
    steps = []
    for constraint in _naming(state, app_label, operation.model_name_lower, name):
        remove = RemoveConstraint(operation.model_name, constraint)
        after = state.clone()
        remove.state_forwards(app_label, after)
        steps.append((remove, state, after))
        state = after
    return steps


def _taking_away_in_state(original: Any) -> Any:
    def state_forwards(self: Any, app_label: str, state: Any) -> None:
        name = getattr(self, "old_name", self.name)
        for constraint in _naming(state, app_label, self.model_name_lower, name):
            RemoveConstraint(self.model_name, constraint).state_forwards(app_label, state)
        original(self, app_label, state)

    return state_forwards


def _taking_away(original: Any) -> Any:
    def database_forwards(
        self: Any, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        for remove, before, after in _steps(self, app_label, from_state):
            remove.database_forwards(app_label, schema_editor, before, after)
            from_state = after
        original(self, app_label, schema_editor, from_state, to_state)

    return database_forwards


def _bringing_back(original: Any) -> Any:
    def database_backwards(
        self: Any, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        steps = _steps(self, app_label, to_state)
        last = steps[-1][2] if steps else to_state
        original(self, app_label, schema_editor, from_state, last)
        for remove, before, after in reversed(steps):
            remove.database_backwards(app_label, schema_editor, after, before)

    return database_backwards


def install() -> None:
    """Let Django's operations do so, from here on."""
    if _patches:
        return
    changes: list[tuple[type, str, Callable[[Any], Any]]] = [
        (AlterField, "state_forwards", _altering),
        (AlterUniqueTogether, "state_forwards", _altering_together),
        (AddConstraint, "state_forwards", _adding_in_state),
        (AddConstraint, "database_forwards", _adding),
        (AddConstraint, "database_backwards", _adding),
    ]
    for operation in (RemoveField, RenameField):
        changes += [
            (operation, "state_forwards", _taking_away_in_state),
            (operation, "database_forwards", _taking_away),
            (operation, "database_backwards", _bringing_back),
        ]
    for owner, name, change in changes:
        _patches.change(owner, name, change)


def uninstall() -> None:
    """Undo `install`; for tests."""
    _patches.undo()
