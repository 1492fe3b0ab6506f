"""What belongs to a site, found from the models: which tables, by which fields, in which order.

To a site belong the rows of scoped models; and the rows of other models that cannot be without a
row of the site: they have a foreign key to one that is required, or that deletes them with it, or
are what a generic relation of it finds. All else that is referred to is shared, people before all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.conf import settings
from django.contrib.sites.models import Site
from django.db import models, router
from django.db.models import Exists, OuterRef
from django.db.models.functions import Cast

from sitefleet.exceptions import TransferRefused
from sitefleet.models import Alias, SiteConfig
from sitefleet.scoping.scopes import Kind, Scope, scopes
from sitefleet.scoping.transfer.generic import (
    GENERIC_KEYS,
    GENERIC_RELATIONS,
    ContentType,
    kind_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.db.models import QuerySet

    Model = type[models.Model]

#: Of the registry, which makes and removes them itself.
OF_THE_REGISTRY = (Site, SiteConfig, Alias)
#: Shared by their nature, whatever they refer to, unless they are scoped.
SHARED = ("contenttypes.contenttype", "auth.permission", "auth.group", "sessions.session")


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
        between = node.scope.parent if node.scope is not None else None
        assert between is not None  # noqa: S101 - for the type: MANY has one
        opts = between.model._meta
        own = next(f for f in opts.local_fields if f.column == between_column(node))
        return between.model._base_manager.using(self.using), own.attname, between.attname

    def _linked(self, node: Node, link: Link, site: int, *, alone: bool) -> models.Q:
        if link.target is Site:
            return models.Q(**{link.field: site})
        rows = self.rows(self.nodes[link.target], site, alone=alone)
        if link.generic is None:
            item: Any = node.model._meta.get_field(link.field)
            return models.Q(Exists(rows.filter(**{key_of(item): OuterRef(item.attname)})))
        key: Any = node.model._meta.get_field(link.generic.object_id_field_name)
        rows = rows.annotate(transferred=Cast("pk", key)).filter(transferred=OuterRef(key.name))
        kind = kind_of(link.target, self.using)
        return models.Q(Exists(rows), **{link.generic.content_type_field_name: kind})


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


def between_column(node: Node) -> str:
    """Return the column that leads from the table between to a row with many sites."""
    return node.scope.parent_column if node.scope is not None else ""


def find_graph(exclude: Iterable[str] = ()) -> Graph:
    """Return the graph of this project, without the models ``exclude`` and what hangs on them.

    Raises TransferRefused for a model that is none, one that others need, one in another database
    and where rows refer to each other in a ring.
    """
    using = router.db_for_write(Site)
    excluded = frozenset(_model(label) for label in exclude)
    everything = _find(frozenset())
    nodes = _find(excluded) if excluded else everything
    graph = Graph(_ordered(nodes), using, frozenset(everything.keys() - nodes.keys()))
    for node in nodes.values():
        if router.db_for_write(node.model) != using:
            message = f"{node.label} is in another database than the sites: exclude it."
            raise TransferRefused(message)
        for item in node.foreign_keys:
            target = target_of(item)
            if target in graph.excluded and not item.null:
                message = f"{node.label}.{item.name} needs {target._meta.label}: exclude both."
                raise TransferRefused(message)
    return graph


def _model(label: str) -> Model:
    try:
        return apps.get_model(label)
    except (LookupError, ValueError):
        message = f"There is no model {label!r}; write it as app.Model."
        raise TransferRefused(message) from None


def _find(excluded: frozenset[Model]) -> dict[Model, Node]:
    candidates = [
        model
        for model in apps.get_models(include_auto_created=True)
        if model._meta.managed
        and not model._meta.proxy
        and not model._meta.swapped
        and model not in OF_THE_REGISTRY
        and model not in excluded
        and model._meta.db_table not in scopes.memberships
    ]
    found: dict[Model, Node] = {}
    for model in candidates:
        scope = scopes.of(model)
        if scope is not None and scope.kind is not Kind.PATH:
            links = () if scope.kind is Kind.MANY else (Link(scope.field, Site),)
            found[model] = Node(model, links, scope)
    shared = {*SHARED, settings.AUTH_USER_MODEL.lower()}
    while more := {
        model: Node(model, links, scopes.of(model))
        for model in candidates
        if model not in found and model._meta.label_lower not in shared
        for links in [_links(model, found)]
        if links
    }:
        found |= more
    return found


def _links(model: Model, found: dict[Model, Node]) -> tuple[Link, ...]:
    scope = scopes.of(model)
    links = []
    for item in model._meta.local_concrete_fields:
        remote = item.remote_field
        if remote is None or (scope is not None and item.name != scope.field):
            continue
        goes_along = not item.null or remote.on_delete is models.CASCADE
        target = target_of(item)
        if goes_along and (target is Site or target in found):
            links.append(Link(item.name, target))
    if not links:
        links = [
            Link(item.name, target, item)
            for target in found
            for item in target._meta.private_fields
            if isinstance(item, GENERIC_RELATIONS) and item.related_model is model
        ]
    return tuple(links)


def _ordered(nodes: dict[Model, Node]) -> dict[Model, Node]:
    """Return the nodes so that what is referred to comes first; rings open where NULL is allowed.

    What refers to rows of any model comes last.
    """
    needs, likes = {}, {}
    plain = {model for model, node in nodes.items() if not node.generics}
    for model, node in nodes.items():
        targets = [(item, target_of(item)) for item in node.foreign_keys]
        inner = [(item, to) for item, to in targets if to in nodes and to is not model]
        needs[model] = {to for item, to in inner if not item.null}
        likes[model] = {to for _, to in inner} | (plain if node.generics else set())
    waiting = sorted(nodes, key=lambda model: model._meta.label)
    ordered: dict[Model, Node] = {}
    while waiting:
        ready = [model for model in waiting if needs[model] <= ordered.keys()]
        if not ready:
            ring = ", ".join(model._meta.label for model in waiting)
            message = f"These refer to each other, and none of them may be without: {ring}."
            raise TransferRefused(message)
        free = [model for model in ready if likes[model] - {model} <= ordered.keys()]
        # `min` takes the first of equals, so the order is the same each time.
        chosen = free[0] if free else min(ready, key=lambda m: len(likes[m] - ordered.keys()))
        node = ordered[chosen] = nodes[chosen]
        waiting.remove(chosen)
        node.late = {
            item.name
            for item in node.foreign_keys
            if target_of(item) is chosen or target_of(item) in waiting
        }
    return ordered
