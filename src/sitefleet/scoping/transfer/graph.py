"""The models of which rows belong to a site, by which fields, and the rows themselves."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.contrib.sites.models import Site
from django.db import connections, models
from django.db.models import Exists, OuterRef, Value
from django.db.models.functions import Cast, Replace

from sitefleet.scoping.scopes import Kind, Scope
from sitefleet.scoping.transfer.generic import GENERIC_KEYS, ContentType, kinds_of

if TYPE_CHECKING:
    from django.db.models import QuerySet

    Model = type[models.Model]


@dataclass(frozen=True, slots=True)
class Link:
    """One way in which a row belongs to a site: by a foreign key, or as a generic relation's."""

    field: str
    target: Model
    """`Site` where the site itself is meant."""
    generic: Any = None


@dataclass(eq=False)
class Node:
    """A model of which rows belong to sites."""

    model: Model
    links: tuple[Link, ...]
    scope: Scope | None = None
    #: Foreign keys to rows of the graph that are filled in when all rows are there.
    late: set[str] = field(default_factory=set)

    @property
    def label(self) -> str:
        """The model as in settings, ``app.Model``."""
        return self.model._meta.label

    @property
    def is_many(self) -> bool:
        """Tell whether a row may be of several sites."""
        return self.scope is not None and self.scope.kind is Kind.MANY

    @property
    def may_be_shared(self) -> bool:
        """Tell whether a row may be of all sites."""
        return self.scope is not None and self.scope.kind is Kind.SHARED

    @cached_property
    def fields(self) -> list[Any]:
        """The columns of its own table that are copied; the site is always the new one."""
        own = self.scope.field if self.scope is not None and self.scope.parent is None else None
        return [
            item
            for item in self.model._meta.local_concrete_fields
            if item.name != own and not getattr(item, "generated", False)
        ]

    @cached_property
    def foreign_keys(self) -> list[Any]:
        """Those of the fields that refer to rows."""
        return [item for item in self.fields if item.remote_field is not None]

    @cached_property
    def generics(self) -> dict[str, str]:
        """Fields that hold the key of any row, and the field that says of which model it is."""
        names = {item.name for item in self.fields}
        found = {
            item.fk_field: item.ct_field
            for item in self.model._meta.private_fields
            if isinstance(item, GENERIC_KEYS) and item.fk_field in names
        }
        # As django.contrib.admin keeps it, without a generic foreign key.
        if not found and "object_id" in names and ContentType is not None:
            kinds = [item.name for item in self.foreign_keys if target_of(item) is ContentType]
            found = {"object_id": name for name in kinds[:1]}  # noqa: B035 - there is one, or none
        return found


@dataclass
class Graph:
    """The models of which rows belong to sites; what is referred to comes first."""

    nodes: dict[Model, Node]
    using: str
    excluded: frozenset[Model] = frozenset()

    def cuts(self, item: Any) -> bool:
        """Tell whether a field refers to rows that are excluded."""
        return item.remote_field is not None and target_of(item) in self.excluded

    def may_be_shared(self, model: Model) -> bool:
        """Tell whether rows of a model may be of all sites."""
        node = self.nodes.get(model)
        return node is not None and node.may_be_shared

    def rows(self, node: Node, site: int, *, alone: bool = False) -> QuerySet[Any]:
        """Return the rows of a site; with ``alone`` those of no other site as well."""
        rows = node.model._base_manager.using(self.using)
        return rows.filter(self.condition(node, site, alone=alone))

    def condition(self, node: Node, site: int, *, alone: bool = False) -> models.Q:
        """Return what is true for `rows`.

        It asks for each row, by keys: a list of keys would be made anew for each page of rows.
        """
        if node.is_many:
            members, own, of = self.members(node)
            members = members.filter(**{own: OuterRef("pk")})
            condition = models.Q(Exists(members.filter(**{of: site})))
            return (
                condition & ~models.Q(Exists(members.exclude(**{of: site}))) if alone else condition
            )
        condition = models.Q()
        for link in node.links:
            condition |= self._linked(node, link, site, alone=alone)
        return condition

    def members(self, node: Node) -> tuple[QuerySet[Any], str, str]:
        """Return the table between rows and sites, its fields to the row and to the site."""
        assert node.scope is not None  # noqa: S101 - for the type: MANY has one
        between = node.scope.parent
        assert between is not None  # noqa: S101 - the same
        own = between.field_of(node.scope.parent_column)
        return between.model._base_manager.using(self.using), own.attname, between.attname

    def _linked(self, node: Node, link: Link, site: int, *, alone: bool) -> models.Q:
        if link.target is Site:
            return models.Q(**{link.field: site})
        rows = self.rows(self.nodes[link.target], site, alone=alone)
        if link.generic is None:
            item: Any = node.model._meta.get_field(link.field)
            return models.Q(Exists(rows.filter(**{key_of(item): OuterRef(item.attname)})))
        key: Any = node.model._meta.get_field(link.generic.object_id_field_name)
        text = isinstance(key, (models.CharField, models.TextField))
        wanted: Any = OuterRef(key.name)
        if text and not connections[self.using].features.has_native_uuid_field:
            pk: Any = link.target._meta.pk
            while pk.remote_field is not None:  # of a child table: that of its parent
                pk = pk.target_field
            if isinstance(pk, models.UUIDField):  # kept without the hyphens that the text has
                wanted = Replace(wanted, Value("-"), output_field=models.CharField())
        rows = rows.annotate(transferred=Cast("pk", key)).filter(transferred=wanted)
        kinds = kinds_of(link.target, self.using)
        return models.Q(Exists(rows), **{f"{link.generic.content_type_field_name}__in": kinds})


def target_of(item: Any) -> Model:
    """Return the model, and no proxy of it, that a foreign key refers to."""
    model: Model = item.remote_field.model
    return model._meta.concrete_model or model


def key_of(item: Any) -> str:
    """Return the attribute of the row referred to that a foreign key holds, its key as a rule."""
    name: str = item.target_field.attname
    return name


def space_of(model: Model, key: str | None = None) -> str:
    """Return where the keys of a model are kept; ``key`` is an attribute of it."""
    return f"{model._meta.label}.{key or getattr(model._meta.pk, 'attname', 'pk')}"
