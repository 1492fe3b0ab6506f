"""Which models have rows that belong to sites: found from the models, and brought in order.

To a site belong the rows of scoped models; and the rows of other models that cannot be without a
row of the site: they have a foreign key to one that is required, or that deletes them with it, or
are what a generic relation of it finds. All else that is referred to is shared, people before all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.apps import apps
from django.conf import settings
from django.contrib.sites.models import Site
from django.db import models, router

from sitefleet.exceptions import TransferRefused
from sitefleet.models import Alias, SiteConfig
from sitefleet.scoping.scopes import Kind, scopes
from sitefleet.scoping.transfer.generic import GENERIC_RELATIONS
from sitefleet.scoping.transfer.graph import Graph, Link, Node, target_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Model = type[models.Model]

#: Of the registry, which makes and removes them itself.
OF_THE_REGISTRY = (Site, SiteConfig, Alias)
#: Shared by their nature, whatever they refer to, unless they are scoped.
SHARED = ("contenttypes.contenttype", "auth.permission", "auth.group", "sessions.session")


def find_graph(exclude: Iterable[str] = ()) -> Graph:
    """Return the graph of this project, without the models ``exclude`` and what hangs on them.

    Raises TransferRefused for a model that is none, or has no rows of sites; for one that others
    need; for one in another database, or below a parent whose rows are of no site; and where rows
    refer to each other in a ring.
    """
    using = router.db_for_write(Site)
    excluded = frozenset(_model(label) for label in exclude)
    everything = _find(frozenset())
    for model in excluded - everything.keys():
        message = f"{model._meta.label} has no rows of a site: there is nothing to exclude."
        raise TransferRefused(message)
    nodes = _find(excluded) if excluded else everything
    graph = Graph(_ordered(nodes), using, frozenset(everything.keys() - nodes.keys()))
    for node in nodes.values():
        if router.db_for_write(node.model) != using:
            message = f"{node.label} is in another database than the sites: exclude it."
            raise TransferRefused(message)
        _refuse_needs(node, graph)
    return graph


def _refuse_needs(node: Node, graph: Graph) -> None:
    for item in node.foreign_keys:
        target = target_of(item)
        if target in graph.excluded and not item.null:
            message = f"{node.label}.{item.name} needs {target._meta.label}: exclude both."
            raise TransferRefused(message)
    for parent in node.model._meta.parents:
        if (parent._meta.concrete_model or parent) not in graph.nodes:
            message = (
                f"Rows of {node.label} are of a site, and those of its parent {parent._meta.label}"
                f" of none: declare {parent._meta.label} as scoped, or leave {node.label} out of"
                " exports and clones by --exclude."
            )
            raise TransferRefused(message)


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
    others = [m for m in candidates if m not in found and m._meta.label_lower not in shared]
    # Until there is nothing new: what has been found lets others go along, by further fields too.
    ways: dict[Model, list[Link]] = {}
    more = True
    while more:
        more = False
        for model in others:
            for link in _links(model, found):
                if link not in ways.get(model, ()) and not _leads(link.target, model, ways):
                    ways.setdefault(model, []).append(link)
                    more = True
        found |= {model: Node(model, tuple(way), scopes.of(model)) for model, way in ways.items()}
    return found


def _leads(start: Model, goal: Model, ways: dict[Model, list[Link]]) -> bool:
    """Tell whether one belongs to a site by way of the other: then not the other way round too."""
    return start is goal or any(_leads(link.target, goal, ways) for link in ways.get(start, ()))


def _links(model: Model, found: dict[Model, Node]) -> Iterator[Link]:
    scope = scopes.of(model)
    for item in model._meta.local_concrete_fields:
        remote = item.remote_field
        if remote is None or (scope is not None and item.name != scope.field):
            continue
        goes_along = not item.null or remote.on_delete is models.CASCADE
        target = target_of(item)
        if goes_along and (target is Site or target in found):
            yield Link(item.name, target)
    if scope is None:
        for target in found:
            for item in target._meta.private_fields:
                if isinstance(item, GENERIC_RELATIONS) and item.related_model is model:
                    yield Link(item.name, target, item)


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
