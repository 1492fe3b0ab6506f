"""A site goes, with all that belongs to it and with nothing else: in bulk, without signals."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.contrib.sites.models import Site
from django.db import models, transaction
from django.db.models import Exists, OuterRef, ProtectedError, RestrictedError

from sitefleet.current import override_site
from sitefleet.exceptions import TransferRefused
from sitefleet.models import registry_lock
from sitefleet.registry import get_config
from sitefleet.resolver import resolver
from sitefleet.scoping.crossing import unguarded
from sitefleet.scoping.scopes import scopes
from sitefleet.scoping.transfer import media
from sitefleet.scoping.transfer.export import count
from sitefleet.scoping.transfer.finding import find_graph
from sitefleet.scoping.transfer.graph import Graph, Node, key_of, target_of
from sitefleet.scoping.transfer.options import quiet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.models import QuerySet

    from sitefleet.scoping.transfer.options import Progress

#: Rows that go with one statement.
BATCH = 500


def delete_site(
    site: Site, *, dry_run: bool = False, with_media: bool = True, progress: Progress | None = None
) -> dict[str, int]:
    """Delete a site, its rows, and after the commit its files; return the rows by model.

    Rows that are of other sites too stay with those. No signals are sent, but for the site itself.
    With ``dry_run`` all is looked at and nothing is changed. Raises TransferRefused where rows that
    are not of the site, and cannot be without it, refer to its rows.
    """
    graph = find_graph()
    try:
        with registry_lock(graph.using):
            if with_media and not dry_run:  # before the hooks of others, which may raise
                transaction.on_commit(partial(media.purge, int(site.pk)), using=graph.using)
            counts = _delete(graph, site, progress or quiet, dry_run=dry_run)
    finally:
        resolver.reset()
    return counts


def _delete(graph: Graph, site: Site, progress: Progress, *, dry_run: bool) -> dict[str, int]:
    pk = int(site.pk)
    loose = list(_loose_ends(graph, pk))
    counts = count(graph, pk, alone=True)
    total, done = sum(counts.values()), 0
    with override_site(pk):
        members = {node: _members(graph, node, pk) for node in graph.nodes.values() if node.is_many}
        for node, rows in members.items():
            counts[f"{node.label}: membership"] = rows.count()
        if not dry_run:
            _let_go(graph, pk, loose)
            for node in reversed(graph.nodes.values()):
                for number in _delete_rows(graph, node, pk):
                    done += number
                    progress(done, total, node.label)
            for rows in members.values():
                rows._raw_delete(graph.using)  # noqa: SLF001 - in bulk, as Django's collector
        row = get_config(site).site
        counts |= {"sitefleet.Alias": row.fleet_aliases.count(), "sitefleet.SiteConfig": 1}
        counts["sites.Site"] = 1
        if not dry_run:
            _delete_last(row)
    return {label: number for label, number in sorted(counts.items()) if number}


def _delete_last(row: Site) -> None:
    try:
        row.delete()
    except (ProtectedError, RestrictedError) as error:
        message = f"Rows have come in while {row.name} was being deleted: try again."
        raise TransferRefused(message) from error


def _members(graph: Graph, node: Node, site: int) -> QuerySet[Any]:
    rows, _, of = graph.members(node)
    return rows.filter(**{of: site})


def _delete_rows(graph: Graph, node: Node, site: int) -> Iterator[int]:
    """Delete the rows of a model that are of this site alone; yield how many, batch by batch."""
    rows = graph.rows(node, site, alone=True).order_by("pk")
    table = node.model._base_manager.using(graph.using)
    while keys := list(rows.values_list("pk", flat=True)[:BATCH]):
        going = table.filter(pk__in=keys)
        if not node.is_many:
            # With the condition of the site once more, by the guard.
            yield going._raw_delete(graph.using)  # noqa: SLF001 - in bulk, as Django's collector
        else:
            # Without its memberships no row is seen any more.
            members, own, _ = graph.members(node)
            members.filter(**{f"{own}__in": keys})._raw_delete(graph.using)  # noqa: SLF001
            with unguarded():
                yield going._raw_delete(graph.using)  # noqa: SLF001


def _let_go(graph: Graph, site: int, loose: list[tuple[Any, QuerySet[Any]]]) -> None:
    """Let rows that stay, and rings of rows, refer to nothing."""
    with unguarded():  # rows that belong to no site, or to others too
        for field, rows in loose:
            if field.model._meta.auto_created:
                rows._raw_delete(graph.using)  # noqa: SLF001
            else:
                rows.update(**{field.name: None})
    for node in graph.nodes.values():
        for name in sorted(node.late):
            if node.model._meta.get_field(name).null:  # else it is a row of its own table
                graph.rows(node, site, alone=True).update(**{name: None})


def _loose_ends(graph: Graph, site: int) -> Iterator[tuple[Any, QuerySet[Any]]]:
    """Yield foreign keys, with the rows that stay and refer by them to rows that go.

    Raises TransferRefused for those that cannot let go, or belong to other sites.
    """
    refused = []
    with unguarded():  # whoever it is that refers to them
        for field, target in _foreign_keys(graph):
            node = graph.nodes.get(field.model)
            going = graph.rows(target, site, alone=True)
            rows: Any = field.model._base_manager.using(graph.using)
            rows = rows.filter(Exists(going.filter(**{key_of(field): OuterRef(field.attname)})))
            if node is not None:
                rows = rows.exclude(graph.condition(node, site, alone=True))
            number = rows.count()
            if not number:
                continue
            if _lets_go(field, node):
                yield field, rows
            else:
                refused.append(f"{number} by {field.model._meta.label}.{field.name}")
    if refused:
        message = (
            f"Rows that are not of this site refer to its rows: {', '.join(refused)}. Delete them,"
            " or let them refer to something else."
        )
        raise TransferRefused(message)


def _foreign_keys(graph: Graph) -> Iterator[tuple[Any, Node]]:
    for model in apps.get_models(include_auto_created=True):
        if not model._meta.managed or model._meta.proxy or model is Site:
            continue
        for field in model._meta.local_concrete_fields:
            target = graph.nodes.get(target_of(field)) if field.remote_field is not None else None
            if target is not None and model._meta.db_table not in scopes.memberships:
                yield field, target


def _lets_go(field: Any, node: Node | None) -> bool:
    if field.model._meta.auto_created and (node is None or node.scope is not None):
        return True
    may = node is None or node.is_many
    return may and field.null and field.remote_field.on_delete is models.SET_NULL
