"""Operations for the migrations that ``manage.py scopemodels`` writes into an app of yours.

`InApp` lets any operation act on the models of another app: so nobody writes into the package of
somebody else. `AddSite` makes the column, `GiveSite` says which site the rows belong to that are
there already, `ForgetSite` stands ahead of the end of that, and `what_follows` keeps what the other
app does later behind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError
from django.db.migrations.operations import AddField
from django.db.migrations.operations.base import Operation, OperationCategory
from django.db.models import OuterRef, QuerySet, Subquery

from sitefleet.scoping.operations.batches import in_batches
from sitefleet.scoping.operations.order import what_follows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from django.db.models import Model

__all__ = ["AddSite", "ForgetSite", "GiveSite", "InApp", "what_follows"]

#: Keys in one statement: fewer than any database allows.
KEYS = 500


class InApp(Operation):
    """An operation on the models of the app ``label``, whichever app the migration is of.

    State, tables and routers see it as one of that app. Other operations are neither merged with
    it nor moved across it.
    """

    def __init__(self, label: str, operation: Operation) -> None:
        self.label = label
        self.operation = operation
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
        self.operation.state_forwards(self.label, state)

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        """Change the tables of the other app."""
        self.operation.database_forwards(self.label, schema_editor, from_state, to_state)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        """Change the tables of the other app back."""
        self.operation.database_backwards(self.label, schema_editor, from_state, to_state)

    def describe(self) -> str:
        """Return what the operation says of itself, and the app."""
        return f"{self.operation.describe()} (in {self.label})"

    @property
    def migration_name_fragment(self) -> Any:
        """The operation's own, with the app in front; None where it has none."""
        fragment = self.operation.migration_name_fragment
        return f"{self.label}_{fragment}" if fragment else None


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
            _refuse_several(QuerySet(model, using=using), self.name)
        super().database_backwards(app_label, schema_editor, from_state, to_state)


class _OnRows(Operation):
    """What gives rows their site, or takes it: it changes no state and no table."""

    reduces_to_sql = False
    category = OperationCategory.PYTHON
    model_name: str
    field: str

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Change nothing."""

    def _rows(self, app_label: str, schema_editor: Any, state: Any) -> QuerySet[Model] | None:
        """Return the rows of the model; None where it has no table in this database."""
        model = state.apps.get_model(app_label, self.model_name)
        using = schema_editor.connection.alias
        return QuerySet(model, using=using) if self.allow_migrate_model(using, model) else None


class GiveSite(_OnRows):
    """Give the rows of a model their site, where they have none; sites are named by slug.

    ``rows``: slug to primary keys. ``by``, ``values``: a field, or a path of fields, and slug to
    values of it. ``follow``: a foreign key, and the field of its model that holds the site.
    ``default``: the slug for the rest. They count in that order. ``required``: rows that are left
    without one are an error, and else of all sites.

    In batches, so that memory is bounded. Raises CommandError for rows that are left over, and
    for slugs that do not exist.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - so that they stand in migrations by name
        self,
        model_name: str,
        field: str,
        default: str = "",
        rows: Mapping[str, Sequence[Any]] | None = None,
        by: str = "",
        values: Mapping[str, Sequence[Any]] | None = None,
        follow: Sequence[str] = (),
        required: bool = True,  # noqa: FBT001, FBT002 - migrations name it
    ) -> None:
        self.model_name = model_name
        self.field = field
        self.default = default
        self.rows = rows or {}
        self.by = by
        self.values = values or {}
        self.follow = follow
        self.required = required
        self.reads = {field.lower(), by.lower().split("__")[0], *follow[:1]}

    def database_forwards(
        self,
        app_label: str,
        schema_editor: Any,
        from_state: Any,
        to_state: Any,
    ) -> None:
        """Give rows their site."""
        rows = self._rows(app_label, schema_editor, to_state)
        if rows is None:
            return
        without = rows.filter(**{f"{self.field}__isnull": True})
        if without.exists():
            self._give_keys(without, to_state.apps)
            rules = [*self._rules(rows, to_state.apps)]
            for batch in in_batches(without):
                for condition, site in rules:
                    batch.filter(**condition).update(**{self.field: site})
        if self.required:
            self._refuse_rest(without)

    def database_backwards(
        self,
        app_label: str,
        schema_editor: Any,
        from_state: Any,
        to_state: Any,
    ) -> None:
        """Change nothing: rows keep their site as long as there is a column."""

    def describe(self) -> str:
        """Return what it does."""
        return f"Give rows of {self.model_name} their site"

    def _give_keys(self, without: QuerySet[Model], apps: Any) -> None:
        for slug, keys in self.rows.items():
            site = _site(apps, without.db, slug)
            for start in range(0, len(keys), KEYS):
                without.filter(pk__in=keys[start : start + KEYS]).update(**{self.field: site})

    def _rules(self, rows: QuerySet[Model], apps: Any) -> Iterator[tuple[dict[str, Any], Any]]:
        for slug, values in self.values.items():
            yield {f"{self.by}__in": values}, _site(apps, rows.db, slug)
        if self.follow:
            name, site = self.follow
            link: Any = rows.model._meta.get_field(name)
            key = link.foreign_related_fields[0].attname
            parents: QuerySet[Any] = QuerySet(link.related_model, using=rows.db)
            parents = parents.filter(**{key: OuterRef(link.attname)})
            yield {}, Subquery(parents.values(f"{site}_id")[:1])
        if self.default:
            yield {}, _site(apps, rows.db, self.default)

    def _refuse_rest(self, without: QuerySet[Model]) -> None:
        rest = without.count()
        if rest:
            message = (
                f"{rest} rows of {without.model._meta.label} have no site, and the migration does"
                " not say which is theirs. Say it there, as in"
                f' GiveSite({self.model_name!r}, {self.field!r}, default="SLUG"). Nothing was'
                " changed by this migration."
            )
            raise CommandError(message)


class ForgetSite(_OnRows):
    """Stand ahead of the end of a site's column, and refuse it where rows are of several sites.

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
        rows = self._rows(app_label, schema_editor, to_state)
        if rows is not None and not self.several:
            _refuse_several(rows, self.field)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        """Give the rows their site again."""
        again = GiveSite(self.model_name, self.field, self.default, required=self.required)
        again.database_forwards(app_label, schema_editor, from_state, to_state)

    def describe(self) -> str:
        """Return what it does."""
        return f"Forget which site rows of {self.model_name} belong to"


def _refuse_several(rows: QuerySet[Model], field: str) -> None:
    given = rows.filter(**{f"{field}__isnull": False}).order_by()
    sites = given.values(field).distinct().count()
    if sites > 1:
        message = (
            f"{rows.model._meta.label} has rows of {sites} sites, and which is whose would be"
            " forgotten: from then on each site shows them all. Keep it in a file by"
            " `manage.py scopemodels --save FILE`, which --mapping reads. If it is meant:"
            " take the model out of SCOPED_MODELS, and run"
            " `manage.py scopemodels --remove --forget`."
        )
        raise CommandError(message)


def _site(apps: Any, using: str, slug: str) -> int:
    """Return the id of a site. Raises CommandError."""
    configs: QuerySet[Any] = QuerySet(apps.get_model("sitefleet", "SiteConfig"), using=using)
    pk: int | None = configs.filter(slug=slug).values_list("site_id", flat=True).first()
    if pk is None:
        message = (
            f"No site has the slug {slug!r}, which a migration names for rows that are there."
            f" Add it by `manage.py sites add {slug}`, or name another in the migration."
        )
        raise CommandError(message)
    return pk
