"""Rows go into the database, past `save()` and its signals, under the guard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import DataError

from sitefleet.exceptions import TransferRefused
from sitefleet.scoping import guard
from sitefleet.scoping.crossing import unguarded
from sitefleet.scoping.transfer.columns import home_of
from sitefleet.scoping.transfer.values import encode

if TYPE_CHECKING:
    from sitefleet.scoping.transfer.columns import Plan
    from sitefleet.scoping.transfer.graph import Graph
    from sitefleet.scoping.transfer.keys import Keys


def write_rows(graph: Graph, plan: Plan, instances: list[Any], site: int) -> None:
    """Insert rows, which get their keys. Raises TransferRefused for what the database refuses."""
    try:
        _free_values(graph, plan, instances)
        _insert(graph, plan, instances, site)
    except (DataError, OverflowError) as error:
        line = (str(error).splitlines() or [""])[0]
        message = f"A row of {plan.node.label} has a value that the database does not take: {line}."
        raise TransferRefused(message) from error


def note_keys(
    keys: Keys,
    plan: Plan,
    instances: list[Any],
    olds: list[dict[str, Any]],
    late: list[list[tuple[str, str, Any]]],
) -> None:
    """Note the new keys of rows by their old ones, and what they refer to that is yet to come."""
    fields = {item.attname: item for item in plan.node.model._meta.concrete_fields}
    for name, space in plan.spaces.items():
        pairs = [
            (old[name], encode(fields[name], getattr(instance, name)))
            for instance, old in zip(instances, olds, strict=True)
            if old.get(name) is not None
        ]
        for each in {space, home_of(space, shared=plan.node.may_be_shared)}:
            keys.put(each, pairs)
    for instance, waiting in zip(instances, late, strict=True):
        for name, space, old in waiting:
            keys.put_late(plan.node.label, instance.pk, name, space, old)


def _free_values(graph: Graph, plan: Plan, instances: list[Any]) -> None:
    """Give another value to rows whose own one is taken, where such values can be made.

    These are keys, and what else is unique in all the fleet and has a default that is called.
    """
    for item in plan.node.fields:
        made = item.has_default() and callable(item.default)
        own_key = item.primary_key and not plan.has_auto_key
        if item.remote_field is not None or not (own_key or (item.unique and made)):
            continue
        values = {getattr(instance, item.attname) for instance in instances} - {None}
        with unguarded():  # taken by whichever site
            rows = plan.node.model._base_manager.using(graph.using)
            rows = rows.filter(**{f"{item.attname}__in": values})
            taken = set(rows.values_list(item.attname, flat=True))
        for instance in instances:
            value = getattr(instance, item.attname)
            if value not in taken:
                continue
            if not made:
                message = (
                    f"{plan.node.label} {value} is there already, and its keys mean"
                    " something: --exclude it."
                )
                raise TransferRefused(message)
            setattr(instance, item.attname, item.get_default())


def _insert(graph: Graph, plan: Plan, instances: list[Any], site: int) -> None:
    model = plan.node.model
    pk = model._meta.pk
    returning = [pk] if plan.has_auto_key else None
    rows: Any = model._base_manager.using(graph.using)
    returned = rows._insert(  # noqa: SLF001 - as `bulk_create`, but children of models too
        instances,
        fields=plan.inserted,
        returning_fields=returning,
        raw=True,
        using=graph.using,
    )
    for instance, values in zip(instances, returned or (), strict=False):
        if returning:
            setattr(instance, pk.attname, values[0])
    if plan.node.is_many and not guard.is_installed():
        members, own, of = graph.members(plan.node)
        pairs = [{own: instance.pk, of: site} for instance in instances]
        members.bulk_create([members.model(**pair) for pair in pairs])
