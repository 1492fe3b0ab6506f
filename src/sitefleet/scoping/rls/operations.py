"""Operations of migrations that put tables under row-level security, and take them out again."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from django.db.migrations.operations.base import Operation

from sitefleet.conf import get_conf
from sitefleet.scoping.rls.policies import disable, enable
from sitefleet.scoping.scopes import Kind, Scope

if TYPE_CHECKING:
    from django.db.models import Model

logger = logging.getLogger("sitefleet.rls")


class EnableRLS(Operation):
    """Put the table of a model under row-level security: ``EnableRLS("talk")``.

    The model has a foreign key to ``Site``, or is a child, or the table between, of one that has.
    ``field`` names the key where there are several; ``shared`` says whether NULL means all sites,
    and is otherwise told by whether the field may be NULL. On other databases nothing is done.

    Raises ImproperlyConfigured where rows of the model belong to no site.
    """

    reversible = True
    reduces_to_sql = True

    def __init__(self, model_name: str, *, field: str = "", shared: bool | None = None) -> None:
        self.model_name, self.field, self.shared = model_name, field, shared

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        """Return what the writer of migrations needs."""
        kwargs = {"field": self.field, "shared": self.shared}
        given = {name: value for name, value in kwargs.items() if value not in ("", None)}
        return type(self).__name__, [self.model_name], given

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Change nothing: models know nothing of it."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        self._enable(app_label, schema_editor, to_state)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        self._disable(app_label, schema_editor, to_state)

    def describe(self) -> str:
        return f"Enable row-level security on {self.model_name}"

    @property
    def migration_name_fragment(self) -> str:
        return f"{self.model_name.lower()}_rls"

    def _enable(self, app_label: str, schema_editor: Any, state: Any) -> None:
        model = state.apps.get_model(app_label, self.model_name)
        if self._applies(schema_editor, model):
            scope = scope_in(model, self.field, shared=self.shared)
            for statement in enable(scope, schema_editor.connection, get_conf().RLS_ROLE):
                schema_editor.execute(statement, params=None)

    def _disable(self, app_label: str, schema_editor: Any, state: Any) -> None:
        model = state.apps.get_model(app_label, self.model_name)
        if self._applies(schema_editor, model):
            for statement in disable(model, schema_editor.connection):
                schema_editor.execute(statement, params=None)

    def _applies(self, schema_editor: Any, model: type[Model]) -> bool:
        connection = schema_editor.connection
        if not self.allow_migrate_model(connection.alias, model):
            return False
        if connection.vendor == "postgresql":
            return True
        message = f"{self.describe()}: nothing to do, that is PostgreSQL's alone."
        if schema_editor.collect_sql:
            schema_editor.collected_sql.append(f"-- {message}")
        else:
            logger.info(message)
        return False


class DisableRLS(EnableRLS):
    """Take the table of a model out of row-level security; backwards puts it in again."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        self._disable(app_label, schema_editor, to_state)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        self._enable(app_label, schema_editor, to_state)

    def describe(self) -> str:
        return f"Disable row-level security on {self.model_name}"

    @property
    def migration_name_fragment(self) -> str:
        return f"{self.model_name.lower()}_no_rls"


def scope_in(model: type[Model], name: str = "", *, shared: bool | None = None) -> Scope:
    """Return the scope of a model of a migration, which has no fields of ours.

    Raises ImproperlyConfigured where its rows belong to no site, or it cannot be told by what.
    """
    opts = model._meta
    keys = [
        field
        for field in opts.local_fields
        if _refers_to_site(field) and (not name or field.name == name)
    ]
    if len(keys) == 1 and not opts.auto_created:
        if shared is None:
            shared = bool(keys[0].null)
        kind = Kind.SHARED if shared else Kind.OWN
        return Scope(model, kind, keys[0].name, str(keys[0].column))
    if not keys and not name:
        for field in _links(model):
            try:
                parent = scope_in(field.remote_field.model)
            except ImproperlyConfigured:
                continue
            column = field.foreign_related_fields[0].column
            return Scope(model, Kind.PATH, field.name, field.column, parent, column)
    message = (
        f"{opts.label} cannot be put under row-level security: by which field do its rows belong"
        f' to a site? Name its foreign key: EnableRLS("{opts.model_name}", field="site").'
        " Rows with many sites are guarded by the ORM alone."
    )
    raise ImproperlyConfigured(message)


def _refers_to_site(field: Any) -> bool:
    return bool(field.many_to_one) and field.remote_field.model._meta.label_lower == "sites.site"


def _links(model: type[Model]) -> list[Any]:
    """Return the fields by which rows go with others: to a parent, or from between two."""
    opts = model._meta
    if not opts.auto_created:
        return [field for field in opts.parents.values() if field is not None]
    fields = [field for field in opts.local_fields if field.remote_field is not None]
    return sorted(fields, key=lambda field: field.remote_field.model is not opts.auto_created)
