"""Rows are written in batches, past `save()` and its signals, under the guard, with new keys."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db import connections
from django.db.models import CharField, TextField
from django.db.models.base import ModelState

from sitefleet.exceptions import TransferRefused
from sitefleet.scoping import guard
from sitefleet.scoping.crossing import unguarded
from sitefleet.scoping.transfer.generic import model_of
from sitefleet.scoping.transfer.graph import space_of
from sitefleet.scoping.transfer.keys import simple
from sitefleet.scoping.transfer.references import is_user
from sitefleet.scoping.transfer.values import decode, encode, final

if TYPE_CHECKING:
    from sitefleet.scoping.transfer.columns import Column, Plan
    from sitefleet.scoping.transfer.graph import Graph
    from sitefleet.scoping.transfer.keys import Keys

    News = dict[str, dict[Any, Any]]

#: Rows that are written at once, at most.
BATCH = 1000


class LeftOut(Exception):
    """A row needs what is not here."""


class Inserter:
    """Writes rows of one model after the other."""

    def __init__(self, graph: Graph, keys: Keys, site: int, wishes: Any) -> None:
        self.graph, self.keys, self.site, self.wishes = graph, keys, site, wishes
        self.connection = connections[graph.using]
        self.no_media = False
        self.written: Counter[str] = Counter()
        self.left_out: Counter[str] = Counter()
        self.finished: set[str] = set()
        self.plan: Plan | None = None
        self._rows: list[list[Any]] = []
        self._size = BATCH
        self._models: dict[Any, Any] = {}

    @property
    def label(self) -> str:
        """The model whose rows are being written."""
        return self.plan.node.label if self.plan is not None else "the site"

    def take(self, plan: Plan, values: list[Any]) -> None:
        """Take a row; it is written with others."""
        if plan is not self.plan:
            self.flush()
            self.finished.add(self.label)
            self.plan, self._size = plan, self._batch_size(plan)
        self._rows.append(values)
        if len(self._rows) >= self._size:
            self.flush()

    def _batch_size(self, plan: Plan) -> int:
        fields = plan.inserted
        own = {column.field for column in plan.columns if column and column.is_late}
        if any(not item.null for item in own):
            return 1  # each may need the one before
        can = self.connection.features.can_return_rows_from_bulk_insert
        if plan.has_auto_key and not can:
            return 1
        rows: Any = range(BATCH)
        return max(1, min(BATCH, self.connection.ops.bulk_batch_size(fields, rows) or BATCH))

    def flush(self) -> None:
        """Write what has been taken. Raises TransferRefused."""
        plan, rows = self.plan, self._rows
        self._rows = []
        if plan is None or not rows:
            return
        news = self._new_values(plan, rows)
        instances, olds, late = [], [], []
        for values in rows:
            try:
                instance, old, waiting = self._instance(plan, values, news)
            except LeftOut:
                self.left_out[plan.node.label] += 1
                continue
            instances.append(instance)
            olds.append(old)
            late.append(waiting)
        if not instances:
            return
        self._free_keys(plan, instances)
        self._insert(plan, instances)
        self._note(plan, instances, olds, late)
        self.written[plan.node.label] += len(instances)

    # --- Values --------------------------------------------------------------

    def _new_values(self, plan: Plan, rows: list[list[Any]]) -> News:
        wanted: dict[str, set[Any]] = {}
        for position, column in enumerate(plan.columns):
            if column is None or not column.space:
                continue
            for values in rows:
                value = values[position]
                if isinstance(value, (dict, list)):
                    decode(column.field, value)  # which refuses it
                if value is not None:
                    wanted.setdefault(column.space, set()).add(value)
        return {space: self.keys.get(space, olds) for space, olds in wanted.items()}

    def _instance(
        self, plan: Plan, values: list[Any], news: News
    ) -> tuple[Any, dict[str, Any], list[tuple[str, str, Any]]]:
        """Return an unsaved row, its old keys, and its references to rows that are yet to come."""
        made: dict[str, Any] = {}
        old: dict[str, Any] = {}
        late: list[tuple[str, str, Any]] = []
        generics = []
        for column, value in zip(plan.columns, values, strict=True):
            if column is None:
                continue
            name = column.field.attname
            if name in plan.spaces:
                old[name] = value
            if column.kind:
                generics.append((column, value))
            elif column.is_key:
                decode(column.field, value)
            elif column.space.startswith("file:"):
                made[name] = self._file(column, value, news)
            elif column.space:
                made[name] = self._reference(column, value, news, late)
            else:
                made[name] = decode(column.field, value)
        for column, value in generics:
            made[column.field.attname] = self._generic(column, value, made, late)
        return self._complete(plan, made), old, late

    def _complete(self, plan: Plan, made: dict[str, Any]) -> Any:
        node = plan.node
        made |= {item.attname: item.get_default() for item in plan.defaults}
        if plan.has_auto_key:
            made[node.model._meta.pk.attname] = None
        self._look_at(plan, made)
        if node.scope is not None and node.scope.parent is None:
            made[node.scope.attname] = self.site
        instance: Any = node.model.__new__(node.model)  # without signals, which may open files
        instance._state = ModelState()  # noqa: SLF001 - what `__init__` does
        instance.__dict__.update(made)
        return instance

    def _look_at(self, plan: Plan, made: dict[str, Any]) -> None:
        links = [column for column in plan.columns if column and column.is_link]
        if links and all(made.get(column.field.attname) is None for column in links):
            message = f"A row of {plan.node.label} belongs to nothing of the site."
            raise TransferRefused(message)
        user = is_user(plan.node.model) and not self.wishes.same_fleet
        if user and made.get("is_superuser"):
            message = "The file has a superuser, who would own all the fleet."
            raise TransferRefused(message)

    def _file(self, column: Column, value: Any, news: News) -> Any:
        """Return the name of a file that came along; of another one a row must not speak."""
        if value in (None, ""):
            return decode(column.field, value)
        new = news[column.space].get(simple(value))
        if new is None and not self.no_media:
            message = f"{column.label} names the file {value!r}, which is not in the export."
            raise TransferRefused(message)
        return decode(column.field, new or "")

    def _reference(
        self, column: Column, value: Any, news: News, late: list[tuple[str, str, Any]]
    ) -> Any:
        item = column.field
        if value is None:
            return decode(item, value)
        new = news[column.space].get(simple(value))
        if new is not None:
            return decode(item, new)
        if column.is_late and item.null:
            late.append((item.name, column.space, value))
            return None
        if not self.wishes.drop_unknown:
            message = f"{column.label} refers to {value!r}, which is not in the file."
            raise TransferRefused(message)
        if item.null:
            return None
        raise LeftOut

    def _generic(
        self,
        column: Column,
        value: Any,
        made: dict[str, Any],
        late: list[tuple[str, str, Any]],
    ) -> Any:
        """Return the new key of a row of any model; to what is not here nothing refers."""
        item, kind = column.field, made.get(column.kind)
        model = self._model(kind)
        if value is None or model is None:
            return self._without(column)
        try:
            pk = final(model._meta.pk)
            old = encode(pk, pk.to_python(value))
        except (TypeError, ValueError, ArithmeticError, ValidationError):
            old = None
        space = space_of(model)
        new = self.keys.get(space, [old]).get(simple(old)) if old is not None else None
        if new is not None:
            return decode(item, new if not isinstance(item, (CharField, TextField)) else str(new))
        waits = model in self.graph.nodes and model._meta.label not in self.finished
        if waits and old is not None and item.null and not column.is_link:
            late.append((item.name, space, old))
            return None
        if waits and old is not None:
            message = f"{column.label} refers to {model._meta.label} {old}, which is yet to come."
            raise TransferRefused(message)
        return self._without(column)

    def _without(self, column: Column) -> None:
        if column.is_link or not column.field.null:
            raise LeftOut

    def _model(self, kind: Any) -> Any:
        if kind not in self._models:
            model = model_of(kind, self.graph.using) if kind is not None else None
            self._models[kind] = model and model._meta.concrete_model
        return self._models[kind]

    # --- Keys ----------------------------------------------------------------

    def _free_keys(self, plan: Plan, instances: list[Any]) -> None:
        """Give another key to rows whose own one is taken, where keys can be made."""
        pk = plan.node.model._meta.pk
        if plan.has_auto_key or pk.remote_field is not None or not pk.concrete:
            return
        wanted = [instance.pk for instance in instances]
        with unguarded():  # taken by whichever site
            rows = plan.node.model._base_manager.using(self.graph.using).filter(pk__in=wanted)
            taken = set(rows.values_list("pk", flat=True))
        for instance in instances:
            if instance.pk not in taken:
                continue
            if not (pk.has_default() and callable(pk.default)):
                message = (
                    f"{plan.node.label} {instance.pk} is there already, and its keys mean"
                    " something: --exclude it."
                )
                raise TransferRefused(message)
            setattr(instance, pk.attname, pk.get_default())

    def _insert(self, plan: Plan, instances: list[Any]) -> None:
        model = plan.node.model
        pk = model._meta.pk
        returning = [pk] if plan.has_auto_key else None
        rows: Any = model._base_manager.using(self.graph.using)
        returned = rows._insert(  # noqa: SLF001 - as `bulk_create`, but children of models too
            instances,
            fields=plan.inserted,
            returning_fields=returning,
            raw=True,
            using=self.graph.using,
        )
        for instance, values in zip(instances, returned or (), strict=False):
            if returning:
                setattr(instance, pk.attname, values[0])
        if plan.node.is_many and not guard.is_installed():
            members, own, of = self.graph.members(plan.node)
            pairs = [{own: instance.pk, of: self.site} for instance in instances]
            members.bulk_create([members.model(**pair) for pair in pairs])

    def _note(
        self,
        plan: Plan,
        instances: list[Any],
        olds: list[dict[str, Any]],
        late: list[list[tuple[str, str, Any]]],
    ) -> None:
        model = plan.node.model
        fields = {item.attname: item for item in model._meta.concrete_fields}
        for name, space in plan.spaces.items():
            pairs = [
                (old[name], encode(fields[name], getattr(instance, name)))
                for instance, old in zip(instances, olds, strict=True)
                if old.get(name) is not None
            ]
            self.keys.put(space, pairs)
        for instance, waiting in zip(instances, late, strict=True):
            for name, space, old in waiting:
                self.keys.put_late(plan.node.label, instance.pk, name, space, old)
