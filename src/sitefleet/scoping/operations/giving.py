"""Rows that are there already get their site."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError
from django.db.migrations.operations.base import Operation, OperationCategory
from django.db.models import OuterRef, QuerySet, Subquery

from sitefleet.scoping.batches import batches, in_batches

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from django.db.models import Model


class OnRows(Operation):
    """What gives rows their site, or takes it: it changes no state and no table."""

    reduces_to_sql = False
    category = OperationCategory.PYTHON
    model_name: str
    field: str

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Change nothing."""

    def rows_of(self, app_label: str, schema_editor: Any, state: Any) -> QuerySet[Model] | None:
        """Return the rows of the model; None where it has no table in this database."""
        model = state.apps.get_model(app_label, self.model_name)
        using = schema_editor.connection.alias
        return QuerySet(model, using=using) if self.allow_migrate_model(using, model) else None


class GiveSite(OnRows):
    """Give the rows of a model their site, where they have none; sites are named by slug.

    ``rows``: slug to primary keys. ``by``, ``values``: a field, or a path of fields, and slug to
    values of it. ``follow``: a foreign key, and the field of its model that holds the site.
    ``default``: the slug for the rest. They count in that order. ``required``: rows that are left
    without one are an error, and else of all sites.

    In batches, so that memory is bounded. Raises CommandError for rows that are left over, and
    for slugs that do not exist.
    """

    __module__ = __package__  # as migrations name it

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
        rows = self.rows_of(app_label, schema_editor, to_state)
        if rows is None:
            return
        without = rows.filter(**{f"{self.field}__isnull": True})
        if without.exists():
            self._give_keys(without, to_state.apps)
            self._give(without, [*self._by_value(rows, to_state.apps)])
            if self._follows_itself(rows.model):
                while self._give_followed(without):  # the next generation
                    pass
            elif self.follow:
                self._give(without, [({}, self._followed(rows))])
            if self.default:
                self._give(without, [({}, _site(to_state.apps, rows.db, self.default))])
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
            for some in batches(keys):
                without.filter(pk__in=some).update(**{self.field: site})

    def _give(self, without: QuerySet[Model], rules: list[tuple[dict[str, Any], Any]]) -> None:
        for batch in in_batches(without) if rules else ():
            for condition, site in rules:
                batch.filter(**condition).update(**{self.field: site})

    def _by_value(self, rows: QuerySet[Model], apps: Any) -> Iterator[tuple[dict[str, Any], Any]]:
        for slug, values in self.values.items():
            yield {f"{self.by}__in": values}, _site(apps, rows.db, slug)

    def _followed(self, rows: QuerySet[Model]) -> Subquery:
        name, site = self.follow
        link: Any = rows.model._meta.get_field(name)
        key = link.foreign_related_fields[0].attname
        parents: QuerySet[Any] = QuerySet(link.related_model, using=rows.db)
        return Subquery(parents.filter(**{key: OuterRef(link.attname)}).values(f"{site}_id")[:1])

    def _follows_itself(self, model: type[Model]) -> bool:
        link: Any = model._meta.get_field(self.follow[0]) if self.follow else None
        return link is not None and link.related_model._meta.concrete_model is model

    def _give_followed(self, without: QuerySet[Model]) -> int:
        """Give rows the site of others of the same table; return how many could be."""
        name, site = self.follow
        behind = f"{name}__{site}"
        given = 0
        for batch in in_batches(without.filter(**{f"{behind}__isnull": False})):
            by_site: dict[Any, list[Any]] = {}
            for pk, found in batch.values_list("pk", behind):
                by_site.setdefault(found, []).append(pk)
            for found, keys in by_site.items():
                for some in batches(keys):
                    given += without.filter(pk__in=some).update(**{self.field: found})
        return given

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
