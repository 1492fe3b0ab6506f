"""Rows are written in batches, with new keys; what they refer to is made to be of the site."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from django.contrib.sites.models import Site
from django.core.exceptions import ValidationError
from django.db import connections
from django.db.models import CharField, TextField
from django.db.models.base import ModelState

from sitefleet.exceptions import TransferRefused
from sitefleet.scoping.transfer.columns import OWN_SITE, home_of
from sitefleet.scoping.transfer.generic import model_of
from sitefleet.scoping.transfer.graph import space_of
from sitefleet.scoping.transfer.keys import simple
from sitefleet.scoping.transfer.references import create_user
from sitefleet.scoping.transfer.rights import gives_rights, take_away
from sitefleet.scoping.transfer.values import decode, encode, final
from sitefleet.scoping.transfer.writing import note_keys, write_rows

if TYPE_CHECKING:
    from sitefleet.scoping.transfer.columns import Column, Plan
    from sitefleet.scoping.transfer.graph import Graph
    from sitefleet.scoping.transfer.keys import Keys
    from sitefleet.scoping.transfer.options import ImportOptions

    News = dict[str, dict[Any, Any]]

#: Rows that are written at once, at most.
BATCH = 1000
#: Bytes of rows that are written at once, about.
WEIGHT = 4 * 2**20


def _weight(value: Any) -> int:
    """Return about how many bytes a value takes."""
    if isinstance(value, (dict, list)):
        return len(repr(value))
    return len(value) if isinstance(value, str) else 8


class LeftOut(Exception):
    """A row needs what is not here."""


class Inserter:
    """Writes rows of one model after the other."""

    def __init__(self, graph: Graph, keys: Keys, site: int, wishes: ImportOptions) -> None:
        self.graph, self.keys, self.site, self.wishes = graph, keys, site, wishes
        self.connection = connections[graph.using]
        self.no_media = False
        self.written: Counter[str] = Counter()
        self.left_out: Counter[str] = Counter()
        self.finished: set[str] = set()
        self.plan: Plan | None = None
        self._rows: list[list[Any]] = []
        self._size, self._weight = BATCH, 0
        self._gives_rights = False
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
            self._gives_rights = not self.wishes.same_fleet and gives_rights(plan.node.model)
        if self._gives_rights:
            self.left_out[plan.node.label] += 1
            return
        self._rows.append(values)
        self._weight += sum(map(_weight, values))
        if len(self._rows) >= self._size or self._weight >= WEIGHT:
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
        self._rows, self._weight = [], 0
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
        write_rows(self.graph, plan, instances, self.site)
        note_keys(self.keys, plan, instances, olds, late)
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
                    for space in {column.space, column.home} - {""}:
                        wanted.setdefault(space, set()).add(value)
        return {space: self._known(space, olds) for space, olds in wanted.items()}

    def _known(self, space: str, olds: set[Any]) -> dict[Any, Any]:
        """Return new keys by old ones; accounts that are to be made are made when first needed."""
        known = self.keys.get(space, olds)
        if self.wishes.create_users and len(known) < len(olds):
            for old, record in self.keys.take_waiting(space, olds - known.keys()):
                to = str(record["to"])
                user = create_user(record, self.graph.using)
                new = encode(user._meta.get_field(to), getattr(user, to))
                self.keys.put(space, [(old, new)])
                known[old] = new
        return known

    def _belongs(self, plan: Plan, values: list[Any], news: News) -> bool:
        """Tell whether a foreign key leads to a row that came in, or to the site itself."""
        return any(
            value is not None and simple(value) in news[column.home]
            for column, value in zip(plan.columns, values, strict=True)
            if column is not None and column.is_link and not column.kind
        )

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
        own = not any(column and column.is_link for column in plan.columns)
        for column, value in generics:
            made[column.field.attname], belongs = self._generic(column, value, made, late)
            own = own or belongs
        if not (own or self._belongs(plan, values, news)):
            message = f"A row of {plan.node.label} belongs to nothing of the site."
            raise TransferRefused(message)
        return self._complete(plan, made), old, late

    def _complete(self, plan: Plan, made: dict[str, Any]) -> Any:
        node = plan.node
        made |= {item.attname: item.get_default() for item in plan.defaults}
        if plan.has_auto_key:
            made[node.model._meta.pk.attname] = None
        if not self.wishes.same_fleet:
            take_away(node.model, made)
        if node.scope is not None and node.scope.parent is None:
            made[node.scope.attname] = self.site
        instance: Any = node.model.__new__(node.model)  # without signals, which may open files
        instance._state = ModelState()  # noqa: SLF001 - what `__init__` does
        instance.__dict__.update(made)
        return instance

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
        if new is None and column.space == OWN_SITE and self.wishes.same_fleet:
            # What leads to several sites keeps the others, in the fleet where they are.
            new = self.keys.get(space_of(Site), [value]).get(simple(value))
        if new is not None:
            return decode(item, new)
        if column.is_late and item.null:
            late.append((item.name, column.space, value))
            return None
        if column.is_late and not self.wishes.drop_unknown:
            message = (
                f"{column.label} refers to {value!r}, which is the row itself or comes later, and"
                " it may not be NULL: such rows cannot be copied. --exclude the model."
            )
            raise TransferRefused(message)
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
    ) -> tuple[Any, bool]:
        """Return the new key of a row of any model, and whether the row belongs to the site by it.

        Nothing refers to what is not here.
        """
        item, kind = column.field, made.get(column.kind)
        if kind is None and not column.is_link:
            return decode(item, value), False  # it refers to nothing, whatever the key is
        model = self._model(kind)
        if value is None or model is None:
            self._do_without(column)
            return None, False
        try:
            pk = final(model._meta.pk)
            old = encode(pk, pk.to_python(value))
        except (TypeError, ValueError, ArithmeticError, ValidationError):
            old = None
        space = space_of(model)
        new = self._known(space, {old}).get(simple(old)) if old is not None else None
        if new is not None:
            home = home_of(space, shared=self.graph.may_be_shared(model))
            own = model in column.targets and bool(self.keys.get(home, [old]))
            text = isinstance(item, (CharField, TextField))
            return decode(item, str(new) if text else new), own
        waits = model in self.graph.nodes and model._meta.label not in self.finished
        if waits and old is not None and item.null and not column.is_link:
            late.append((item.name, space, old))
            return None, False
        if waits and old is not None:
            message = f"{column.label} refers to {model._meta.label} {old}, which is yet to come."
            raise TransferRefused(message)
        self._do_without(column)
        return None, False

    def _do_without(self, column: Column) -> None:
        if column.is_link or not column.field.null:
            raise LeftOut

    def _model(self, kind: Any) -> Any:
        if kind not in self._models:
            model = model_of(kind, self.graph.using) if kind is not None else None
            self._models[kind] = model and model._meta.concrete_model
        return self._models[kind]
