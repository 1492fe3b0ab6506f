"""Operations of migrations that put tables under row-level security, and take them out again."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from django.db.migrations.operations.base import Operation

from sitefleet.conf import get_conf
from sitefleet.scoping.introspection import tables_between
from sitefleet.scoping.rls.policies import disable, enable, readers
from sitefleet.scoping.scopes import Kind, Scope, path_by

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
        model = self._model(app_label, state)
        if self._applies(schema_editor, model):
            scope = scope_in(model, self.field, shared=self.shared)
            for statement in enable(scope, schema_editor.connection, get_conf().RLS_ROLE):
                schema_editor.execute(statement, params=None)

    def _disable(self, app_label: str, schema_editor: Any, state: Any) -> None:
        model = self._model(app_label, state)
        if self._applies(schema_editor, model):
            table = schema_editor.connection.ops.quote_name(model._meta.db_table)
            for statement in disable(table):
                schema_editor.execute(statement, params=None)

    def _model(self, app_label: str, state: Any) -> Any:
        try:
            return state.apps.get_model(app_label, self.model_name)
        except LookupError as error:
            known = ", ".join(sorted(name for app, name in state.models if app == app_label))
            message = (
                f"{type(self).__name__}({self.model_name!r}): the migrations of {app_label} know no"
                f" such model here. They know: {known or 'none'}."
            )
            raise ImproperlyConfigured(message) from error

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


def disable_table(schema_editor: Any, model: type[Model]) -> None:
    """Take a table out of row-level security, ahead of the end of its site's column.

    So too the tables whose rows go with its rows: PostgreSQL drops all those policies with the
    column, and leaves the locks. Does nothing to tables without policies of ours.
    """
    connection = schema_editor.connection
    if connection.vendor == "postgresql":
        for table in readers(connection.ops.quote_name(model._meta.db_table), connection):
            for statement in disable(table):
                schema_editor.execute(statement, params=None)


def scope_in(model: type[Model], name: str = "", *, shared: bool | None = None) -> Scope:
    """Return the scope of a model of a migration, which has no fields of ours.

    Raises ImproperlyConfigured where its rows belong to no site, or it cannot be told by what.
    """
    opts = model._meta
    ends = _ends(model)
    keys = [
        field
        for field in opts.local_fields
        if _refers_to_site(field) and (not name or field.name == name)
    ]
    if len(keys) == 1 and keys[0] not in ends:
        if shared is None:
            shared = bool(keys[0].null)
        kind = Kind.SHARED if shared else Kind.OWN
        return Scope(model, kind, keys[0].name, str(keys[0].column))
    if not keys and not name:
        links = ends or [link for link in opts.parents.values() if link in opts.local_fields]
        path = path_by(links, _scopes_at(links))
        if path is not None:
            return path
    message = (
        f"{opts.label} cannot be put under row-level security: by which field do its rows belong"
        f' to a site? Name its foreign key: EnableRLS("{opts.model_name}", field="site").'
        " Rows with many sites are guarded by the ORM alone."
    )
    raise ImproperlyConfigured(message)


def _refers_to_site(field: Any) -> bool:
    return bool(field.many_to_one) and field.remote_field.model._meta.label_lower == "sites.site"


def _ends(model: type[Model]) -> list[Any]:
    """Return the foreign keys of a table between two others; none of any other table."""
    models = model._meta.apps.get_models(include_auto_created=True)
    return next((ends for through, ends in tables_between(models) if through is model), [])


def _scopes_at(links: list[Any]) -> dict[str, Scope]:
    """Return the scopes of what foreign keys refer to, by table."""
    found: dict[str, Scope] = {}
    for link in links:
        with suppress(ImproperlyConfigured):
            scope = scope_in(link.remote_field.model)
            found[scope.table] = scope
    return found
