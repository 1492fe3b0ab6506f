"""Operations for the migrations that ``manage.py scopemodels`` writes into an app of yours.

`InApp` lets any operation act on the models of another app: so nobody writes into the package of
somebody else. `AddSite` makes the column, `GiveSite` says which site the rows belong to that are
there already, `KeepSite` and `ForgetSite` refuse to lose that, and `what_follows` keeps what the
other app does later behind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError
from django.db.migrations.operations import AddField
from django.db.migrations.operations.base import Operation
from django.db.models import QuerySet

from sitefleet.scoping.operations import upstream
from sitefleet.scoping.operations.giving import GiveSite, OnRows
from sitefleet.scoping.operations.order import what_follows
from sitefleet.scoping.operations.refusals import (
    refuse_duplicates,
    refuse_references,
    refuse_several,
)
from sitefleet.scoping.rls.operations import disable_table

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["AddSite", "ForgetSite", "GiveSite", "InApp", "KeepSite", "what_follows"]


class InApp(Operation):
    """An operation on the models of the app ``label``, whichever app the migration is of.

    State, tables and routers see it as one of that app. Other operations are neither merged with
    it nor moved across it.
    """

    def __init__(self, label: str, operation: Operation) -> None:
        self.label = label
        self.operation = operation
        upstream.register(label, operation)
        # What Django asks of a class, of an operation that is any.
        names = ("reversible", "reduces_to_sql", "atomic", "category")
        vars(self).update({name: getattr(operation, name) for name in names})

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Change the state of the other app. Raises CommandError where its model is gone."""
        name = getattr(self.operation, "model_name", "")
        if name and (self.label, name.lower()) not in state.models:
            message = (
                f"A migration of {app_label} changes {self.label}.{name}, which does not exist at"
                f" that point of the migrations of {self.label}. Correct its dependencies, so that"
                " it comes after the model was made and before it was renamed or deleted."
            )
            raise CommandError(message)
        if name:
            _drop_twins(state, self.label, name.lower())
        self.operation.state_forwards(self.label, state)

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        """Change the tables of the other app. Raises CommandError where rows are in the way."""
        self._look(schema_editor, from_state, to_state)
        self.operation.database_forwards(self.label, schema_editor, from_state, to_state)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        """Change the tables of the other app back. Raises CommandError as forwards."""
        self._look(schema_editor, from_state, to_state)
        self.operation.database_backwards(self.label, schema_editor, from_state, to_state)

    def _look(self, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if not schema_editor.collect_sql:
            using = schema_editor.connection.alias
            refuse_duplicates(self.label, self.operation, using, from_state, to_state)

    def describe(self) -> str:
        """Return what the operation says of itself, and the app."""
        return f"{self.operation.describe()} (in {self.label})"

    @property
    def migration_name_fragment(self) -> Any:
        """The operation's own, with the app in front; None where it has none."""
        fragment = self.operation.migration_name_fragment
        return f"{self.label}_{fragment}" if fragment else None


def _drop_twins(state: Any, label: str, name: str) -> None:
    """Drop indexes that a state has twice: no table can be made of it, which is how SQLite alters.

    Migrations that rename an index to what another one is called leave such a state behind.
    """
    options = state.models[label, name].options
    indexes = {index.name: index for index in options.get("indexes", ())}
    if len(indexes) < len(options.get("indexes", ())):
        options["indexes"] = list(indexes.values())
        state.reload_model(label, name, delay=True)


class AddSite(AddField):
    """Add the column of the site; on the way back refuse where rows are of several sites.

    Raises CommandError.
    """

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        """Take the column away."""
        model = from_state.apps.get_model(app_label, self.model_name)
        using = schema_editor.connection.alias
        if self.allow_migrate_model(using, model):
            disable_table(schema_editor, model)  # or the lock would stay without its policies
            refuse_several(QuerySet(model, using=using), self.name)
        super().database_backwards(app_label, schema_editor, from_state, to_state)


class KeepSite(OnRows):
    """Stand at the end of a migration: no row refers to another site, and no way leads back.

    Forwards it refuses where rows refer to rows of another site; ``refers``: by foreign keys and
    many-to-many fields, the field of the site behind them. Backwards it refuses where rows are of
    several sites, before anything is undone. Raises CommandError.
    """

    def __init__(
        self, model_name: str, field: str, refers: Mapping[str, str] | None = None
    ) -> None:
        self.model_name = model_name
        self.field = field
        self.refers = refers or {}
        self.reads = {field.lower(), *map(str.lower, self.refers)}

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        """Look whether rows and what they refer to are of one site."""
        rows = self.rows_of(app_label, schema_editor, to_state)
        if rows is not None:
            refuse_references(rows, self.field, self.refers)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        """Look whether it may be forgotten whose rows are."""
        rows = self.rows_of(app_label, schema_editor, from_state)
        if rows is not None:
            refuse_several(rows, self.field)

    def describe(self) -> str:
        """Return what it does."""
        return f"Keep rows of {self.model_name} on their site"


class ForgetSite(OnRows):
    """Stand ahead of the end of a site's column, and refuse it where rows are of several sites.

    On PostgreSQL it takes the table, and those whose rows go with it, out of row-level security.
    ``several``: it is meant. ``default``: the slug of the site that rows get on the way back.
    Raises CommandError.
    """

    def __init__(
        self,
        model_name: str,
        field: str,
        default: str = "",
        several: bool = False,  # noqa: FBT001, FBT002 - migrations name it
        required: bool = True,  # noqa: FBT001, FBT002 - migrations name it
    ) -> None:
        self.model_name = model_name
        self.field = field
        self.default = default
        self.several = several
        self.required = required
        self.reads = {field.lower()}

    def database_forwards(
        self,
        app_label: str,
        schema_editor: Any,
        from_state: Any,
        to_state: Any,
    ) -> None:
        """Look whether it may be forgotten."""
        rows = self.rows_of(app_label, schema_editor, to_state)
        if rows is None:
            return
        # Also so that all rows are seen: what is refused undoes it.
        disable_table(schema_editor, rows.model)
        if not self.several:
            refuse_several(rows, self.field)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        """Give the rows their site again."""
        again = GiveSite(self.model_name, self.field, self.default, required=self.required)
        again.database_forwards(app_label, schema_editor, from_state, to_state)

    def describe(self) -> str:
        """Return what it does."""
        return f"Forget which site rows of {self.model_name} belong to"
