"""Foreign keys that include the site, in the database: operations for your migrations.

The guard refuses a reference to another site's row in what Django writes. Raw SQL, and PostgreSQL's
row-level security, which foreign keys are checked without, need the database itself to refuse: by a
second foreign key, ``(site_id, building_id)`` to ``(site_id, id)``. To Django it is not there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.core.management.base import CommandError
from django.db.backends.utils import names_digest, split_identifier
from django.db.migrations.operations.base import Operation, OperationCategory

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Databases that can have them, with what is written behind: PostgreSQL is to check them at the end
#: of the transaction, as it does those of Django.
DATABASES = {"postgresql": " DEFERRABLE INITIALLY DEFERRED", "mysql": ""}
#: PostgreSQL keeps the index while another foreign key needs it.
DROP_UNUSED_INDEX = (
    "DO $$ BEGIN DROP INDEX IF EXISTS {index};"
    " EXCEPTION WHEN dependent_objects_still_exist THEN NULL; END $$"
)


class SiteForeignKey(Operation):
    """Let the database refuse rows that refer to a row of another site.

    For ``model_name``, in the app of the migration or with its label, ``app.Model``, and the name
    of its foreign key. ``site`` and ``target_site`` name the fields of the sites of both. NULL, in
    the reference or as the site of a shared row, is not looked at: SQL calls that MATCH SIMPLE.
    PostgreSQL and MySQL or MariaDB; SQLite can add no constraint to a table, so nothing is done.

    Raises CommandError where the rows referred to may be shared by all sites.
    """

    reduces_to_sql = True
    reversible = True
    category = OperationCategory.ADDITION
    adds: ClassVar[bool] = True

    def __init__(
        self, model_name: str, name: str, *, site: str = "site", target_site: str = "site"
    ) -> None:
        self.model_name, self.name = model_name, name
        self.site, self.target_site = site, target_site

    def deconstruct(self) -> Any:
        """Return what makes this operation again."""
        sites = {"site": self.site, "target_site": self.target_site}
        kwargs = {key: value for key, value in sites.items() if value != "site"}
        return type(self).__name__, [self.model_name, self.name], kwargs

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Change nothing: models do not know of it."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        """Add the foreign key, or remove it."""
        self._run(app_label, schema_editor, to_state, adds=self.adds)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        """Undo that."""
        self._run(app_label, schema_editor, to_state, adds=not self.adds)

    def describe(self) -> str:
        """Return what it does, for ``migrate --plan`` and comments."""
        doing = "Let" if self.adds else "No longer let"
        return f"{doing} the database hold {self.model_name}.{self.name} to the site"

    @property
    def migration_name_fragment(self) -> str:
        """What Django names a migration after."""
        verb = "site" if self.adds else "no_site"
        return f"{verb}_{self.model_name.rpartition('.')[2]}_{self.name}".lower()

    def _run(self, app_label: str, editor: Any, state: Any, *, adds: bool) -> None:
        app, _, name = self.model_name.rpartition(".")
        model = state.apps.get_model(app or app_label, name)
        connection = editor.connection
        if not self.allow_migrate_model(connection.alias, model):
            return
        field = model._meta.get_field(self.name)
        target = field.remote_field.model
        site, target_site = self._sites(model, target)
        if connection.vendor not in DATABASES:
            if editor.collect_sql:
                editor.collected_sql.append("-- This database cannot: the guard alone refuses.")
            return
        key = _Key(editor, model, (site.column, field.column), target, _other(target_site, field))
        for statement in key.add() if adds else key.remove():
            editor.execute(statement, params=None)

    def _sites(self, model: Any, target: Any) -> tuple[Any, Any]:
        target_site = target._meta.get_field(self.target_site)
        if target_site.null:
            message = (
                f"SiteForeignKey({self.model_name!r}, {self.name!r}) cannot be: rows of"
                f" {target._meta.label} may be shared by all sites, and no row that has a site"
                " could refer to those. Take the operation out of the migration."
            )
            raise CommandError(message)
        return model._meta.get_field(self.site), target_site


class RemoveSiteForeignKey(SiteForeignKey):
    """Take away what `SiteForeignKey` has added, as before its field is removed on MySQL."""

    category = OperationCategory.REMOVAL
    adds = False


def _other(target_site: Any, field: Any) -> tuple[str, str]:
    return target_site.column, field.foreign_related_fields[0].column


class _Key:
    """The statements for one foreign key, and for the unique index that it needs."""

    def __init__(
        self,
        editor: Any,
        model: Any,
        columns: tuple[str, str],
        target: Any,
        others: tuple[str, str],
    ) -> None:
        self.editor, self.connection = editor, editor.connection
        self.table, self.columns = model._meta.db_table, columns
        self.target, self.others = target._meta.db_table, others
        self.name = _name(self.table, columns, "site_fk")
        self.index = _name(self.target, others, "site_uniq")

    @property
    def is_mysql(self) -> bool:
        return bool(self.connection.vendor == "mysql")

    def add(self) -> Iterator[str]:
        quote = self.editor.quote_name
        # Those of several foreign keys to a table need it once.
        if not self.is_mysql or not self._has_index():
            exists = "" if self.is_mysql else "IF NOT EXISTS "
            where = f"{quote(self.target)} {self._list(self.others)}"
            yield f"CREATE UNIQUE INDEX {exists}{quote(self.index)} ON {where}"
        yield (
            f"ALTER TABLE {quote(self.table)} ADD CONSTRAINT {quote(self.name)}"
            f" FOREIGN KEY {self._list(self.columns)}"
            f" REFERENCES {quote(self.target)} {self._list(self.others)}"
            f"{DATABASES[self.connection.vendor]}"
        )

    def remove(self) -> Iterator[str]:
        quote = self.editor.quote_name
        kind = "FOREIGN KEY" if self.is_mysql else "CONSTRAINT IF EXISTS"
        yield f"ALTER TABLE {quote(self.table)} DROP {kind} {quote(self.name)}"
        if not self.is_mysql:
            yield DROP_UNUSED_INDEX.format(index=quote(self.index))
        # MySQL may need the index for the foreign key to the site by now: it stays, and harms none.

    def _list(self, columns: tuple[str, str]) -> str:
        return f"({', '.join(map(self.editor.quote_name, columns))})"

    def _has_index(self) -> bool:
        if self.editor.collect_sql:
            return False
        with self.connection.cursor() as cursor:
            found = self.connection.introspection.get_constraints(cursor, self.target)
        return self.index in found


def _name(table: str, columns: tuple[str, str], suffix: str) -> str:
    table = split_identifier(table)[1]
    digest = names_digest(table, *columns, length=8)
    return f"{table[:20]}_{columns[-1][:20]}_{digest}_{suffix}"
