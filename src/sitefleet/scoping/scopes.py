"""Which rows belong to a site, and by what: one `Scope` for each table, found once from the models.

A scope says how a row is told to be of a site, as SQL on an alias of its table:

* ``OWN``: a foreign key to the site;
* ``SHARED``: the same, where NULL means: of all sites. Read everywhere, changed on none;
* ``MANY``: a many-to-many field to sites;
* ``PATH``: the row goes with a row of another table: child tables of multi-table inheritance, and
  the tables behind many-to-many fields, with a ``through`` of one's own too.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from django.apps import apps

from sitefleet.scoping.introspection import column_of, is_historical, tables_between

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from django.db.models import Model

    #: SQL, and the number of times that the id of the site stands in it.
    Part = tuple[str, int]

#: `Scope.owner` of a row that does not say it.
UNKNOWN = object()


class Kind(Enum):
    """How a row belongs to a site; what says it best comes first."""

    OWN = "own"
    SHARED = "own or shared"
    MANY = "many"
    PATH = "path"


class Use(Enum):
    """What rows are wanted for: shared ones are only read."""

    READ = "read"
    CHANGE = "change"
    DELETE = "delete"
    UNTIE = "untie"
    """References are set to NULL, ahead of a deletion perhaps."""


@dataclass(frozen=True, slots=True)
class Scope:
    """How the rows of one model belong to a site."""

    model: type[Model]
    kind: Kind
    field: str
    """The field that says it: to the site, or with PATH to the row that it goes with."""
    column: str
    """Its column; with MANY the primary key's."""
    parent: Scope | None = None
    """With PATH the scope of the table it goes with; with MANY the table between, as OWN."""
    parent_column: str = ""
    """What ``column`` equals in the table of ``parent``."""

    @property
    def table(self) -> str:
        """The table of the model."""
        return self.model._meta.db_table

    @property
    def label(self) -> str:
        """The model as in settings, ``app.Model``."""
        return self.model._meta.label

    @property
    def column_field(self) -> Any:
        """The field of ``column``."""
        opts = self.model._meta
        return opts.pk if self.kind is Kind.MANY else opts.get_field(self.field)

    @property
    def attname(self) -> str:
        """The attribute of instances that holds the id of the site; OWN and SHARED only."""
        return self.model._meta.get_field(self.field).attname  # type: ignore[union-attr]

    @property
    def root(self) -> Scope:
        """The scope that says it in the end: of the row that a row goes with, however far."""
        scope = self
        while scope.kind is Kind.PATH and scope.parent is not None:
            scope = scope.parent
        return scope

    def field_of(self, column: str) -> Any:
        """Return the field of a column."""
        return column_of(self.model, column)

    def __reduce__(self) -> Any:
        # As part of a query that is pickled: the tables between have no class that could be.
        return _scope_of, (self.table,)

    def condition(
        self, alias: str, quote: Callable[[str], str], use: Use = Use.READ, depth: int = 0
    ) -> Part:
        """Return the SQL that is true for rows of ``alias`` that belong to a site, its id as %s.

        ``alias`` is quoted already.
        """
        column = f"{alias}.{quote(self.column)}"
        if self.parent is not None:
            inner = quote(f"sitefleet_{depth}")
            table = f"{quote(self.parent.table)} {inner}"
            link = f"{inner}.{quote(self.parent_column)} = {column}"
            if self.kind is Kind.PATH and use is Use.DELETE and not self._inherits:
                use = Use.UNTIE  # the row that it goes with stays
            sql, count = self.parent.condition(inner, quote, use, depth + 1)
            own = f"EXISTS(SELECT 1 FROM {table} WHERE {link} AND {sql})"
            if self.kind is not Kind.MANY or use in (Use.READ, Use.CHANGE):
                return own, count
            # Django deletes from the table between first, what says that it is of this site.
            other = f"{inner}.{quote(self.parent.column)} <> %s"
            alone = f"NOT EXISTS(SELECT 1 FROM {table} WHERE {link} AND {other})"
            return (alone, 1) if use is Use.DELETE else (f"({own} OR {alone})", count + 1)
        if self.kind is Kind.SHARED and use is Use.READ:
            return f"({column} = %s OR {column} IS NULL)", 1
        return f"{column} = %s", 1

    @property
    def _inherits(self) -> bool:
        """Whether a row is a part of the row that it goes with."""
        return bool(self.column_field.remote_field.parent_link)

    def owner(self, instance: Model) -> Any:
        """Return the id of the site that an instance says it is of, None where it is shared.

        `UNKNOWN` where the instance does not say: the field is deferred, or it is in other tables.
        """
        if self.kind in (Kind.OWN, Kind.SHARED):
            return as_site(instance.__dict__.get(self.attname, UNKNOWN))
        if self.kind is Kind.PATH and self.parent is not None:
            inherits = isinstance(instance, self.parent.model)
            return self.parent.owner(instance) if inherits else UNKNOWN
        return UNKNOWN


class Scopes:
    """All scopes of this process, by table."""

    def __init__(self) -> None:
        self.tables: dict[str, Scope] = {}
        """What the guard asks; empty until the models are ready."""
        self.guarded = False
        """Whether the guard is installed, and completes all statements."""
        self.memberships: dict[str, Scope] = {}
        """Of the tables between rows with many sites and their sites: by the site, as OWN."""
        self._declared: dict[str, tuple[str, bool]] = {}

    def declare(self, label: str, field: str, *, shared: bool = False) -> None:
        """Say that rows of the model ``label`` belong to a site by ``field``, which it has.

        For models whose field is not of our making. ``shared``: NULL means all sites.
        """
        self._declared[label.lower()] = (field, shared)
        if apps.models_ready:
            self.find()

    def withdraw(self, label: str) -> None:
        """Undo `declare`."""
        self._declared.pop(label.lower(), None)
        if apps.models_ready:
            self.find()

    def find(self) -> None:
        """Look at all models again; what is known is replaced at once, as other threads read it."""
        found: dict[str, Scope] = {}
        models = [
            model for model in apps.get_models(include_auto_created=True) if not model._meta.proxy
        ]
        for model in models:
            scope = self._own(model)
            if scope is not None:
                found[scope.table] = scope
        between = [_membership(scope) for scope in found.values() if scope.kind is Kind.MANY]
        # Rows that go with another row, which may go with yet another. Whether the end of a table
        # between is of a site is known only with all children.
        while more := _children(models, found) or _between(models, found):
            found |= more
        found |= {path.table: path for path, _ in between}
        self.memberships = {own.table: own for _, own in between}
        self.tables = found

    def of(self, model: type[Model]) -> Scope | None:
        """Return the scope of a model or a proxy of it; None where its rows belong to no site.

        None for the models of migrations, too: they are free.
        """
        return None if is_historical(model) else self.tables.get(model._meta.db_table)

    def of_writes(self, model: type[Model]) -> Scope | None:
        """Return the scope that writing goes by: of memberships, each is of its own site."""
        if is_historical(model):
            return None
        table = model._meta.db_table
        return self.memberships.get(table) or self.tables.get(table)

    def __iter__(self) -> Iterator[Scope]:
        return iter(self.tables.values())

    def _own(self, model: type[Model]) -> Scope | None:
        opts: Any = model._meta
        declared = self._declared.get(opts.label_lower)
        for field in (*opts.local_fields, *opts.local_many_to_many):
            marked = getattr(field, "belongs_to_site", False)
            if not marked and (declared is None or declared[0] != field.name):
                continue
            if field.many_to_many:
                return _many(model, field)
            shared = field.null if marked else declared is not None and declared[1]
            kind = Kind.SHARED if shared else Kind.OWN
            return Scope(model, kind, field.name, field.column)
        return None


def _many(model: type[Model], field: Any) -> Scope:
    through: Any = field.remote_field.through
    own = through._meta.get_field(field.m2m_field_name())
    site = through._meta.get_field(field.m2m_reverse_field_name())
    between = Scope(through, Kind.OWN, site.name, site.column)
    pk: Any = model._meta.pk
    return Scope(model, Kind.MANY, field.name, pk.column, between, own.column)


def _membership(scope: Scope) -> tuple[Scope, Scope]:
    """Return the scopes of the table behind a many-to-many field to sites: to read, to write.

    All sites of a row that is of the current site are seen, and only that membership is changed.
    """
    own = scope.parent
    assert own is not None  # noqa: S101 - for the type: MANY has one
    field = own.field_of(scope.parent_column)
    return Scope(own.model, Kind.PATH, field.name, field.column, scope, scope.column), own


def _children(models: Iterable[type[Model]], found: dict[str, Scope]) -> dict[str, Scope]:
    """Return the scopes of the child tables of what is found, by table."""
    paths: dict[str, Scope] = {}
    for model in models:
        opts = model._meta
        # The links of the parents are among them, and in their tables.
        links = [field for field in opts.parents.values() if field in opts.local_fields]
        if links and opts.db_table not in found and (path := path_by(links, found)):
            paths[path.table] = path
    return paths


def _between(models: Iterable[type[Model]], found: dict[str, Scope]) -> dict[str, Scope]:
    """Return the scopes of the tables between rows of which one at least is found, by table."""
    paths: dict[str, Scope] = {}
    for through, ends in tables_between(models):
        if through._meta.db_table not in found and (path := path_by(ends, found)):
            paths.setdefault(path.table, path)
    return paths


def path_by(fields: Iterable[Any], found: dict[str, Scope]) -> Scope | None:
    """Return the scope of rows that go with what a foreign key of theirs refers to.

    Of several it is the one that says best which site that is; none that may be NULL.
    """
    paths: list[Scope] = []
    for field in fields:
        parent = None if field.null else found.get(field.remote_field.model._meta.db_table)
        if parent is not None:
            column = field.foreign_related_fields[0].column
            paths.append(Scope(field.model, Kind.PATH, field.name, field.column, parent, column))
    return min(paths, key=lambda path: list(Kind).index(path.root.kind), default=None)


def as_site(value: Any) -> Any:
    """Return the id of a site, given as whatever Django takes for one."""
    value = getattr(value, "pk", value)
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def _scope_of(table: str) -> Scope:
    return scopes.tables[table]


scopes = Scopes()
