"""What is done with each value of a row that comes in: the columns of a file, matched to fields."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.contrib.sites.models import Site
from django.db.models import NOT_PROVIDED, AutoField, FileField

from sitefleet.exceptions import TransferRefused
from sitefleet.scoping.transfer import media
from sitefleet.scoping.transfer.graph import Graph, Node, key_of, space_of, target_of

#: Keys of the site that comes in, for what says to which site a row belongs.
OWN_SITE = "own site"
#: Of a generic reference: it depends on the model.
HOME_OF_ANY = "any"


@dataclass(slots=True)
class Column:
    """A column of the file, and the field that takes it; None where it is left out."""

    field: Any
    space: str = ""
    """Where its new values are found; empty: it is taken as it is."""
    target: Any = None
    home: str = ""
    """Where the new values are found by which a row belongs to the site; empty: by none."""
    is_late: bool = False
    is_key: bool = False
    """Whether it is a key that the database gives."""
    kind: str = ""
    """The attribute that says of which model a generic reference is."""
    targets: set[Any] = field(default_factory=set)
    """Of a generic reference: the models by whose rows a row belongs to the site."""

    @property
    def is_link(self) -> bool:
        """Tell whether a row may belong to the site by it."""
        return bool(self.home)

    @property
    def label(self) -> str:
        """The field as ``app.Model.field``."""
        return f"{self.field.model._meta.label}.{self.field.name}"


@dataclass(slots=True)
class Plan:
    """How rows of one model come in."""

    node: Node
    rows: int
    """How many have been announced."""
    columns: list[Column | None]
    defaults: list[Any] = field(default_factory=list)
    """Fields that the file does not have."""
    spaces: dict[str, str] = field(default_factory=dict)
    """Attributes that others refer to, and where they are kept."""
    seen: int = 0

    @property
    def has_auto_key(self) -> bool:
        """Tell whether the database gives the keys."""
        return isinstance(self.node.model._meta.pk, AutoField)

    @property
    def inserted(self) -> list[Any]:
        """The fields that are written."""
        fields = [item for item in self.node.fields if not isinstance(item, AutoField)]
        scope = self.node.scope
        if scope is not None and scope.parent is None:
            fields.append(self.node.model._meta.get_field(scope.field))
        return fields


def plans_for(
    header: dict[str, Any], graph: Graph, storages: dict[str, Any], *, skip_unknown: bool
) -> dict[str, Plan | None]:
    """Return a plan for each model of a file; None for those that are left out.

    Raises TransferRefused, with a list, for models and fields that are not here, and for fields
    that are not there and have no default.
    """
    announced = header.get("models")
    if not isinstance(announced, dict):
        message = "The file does not say which models it has."
        raise TransferRefused(message)
    nodes = {node.label: node for node in graph.nodes.values()}
    excluded = {model._meta.label for model in graph.excluded}
    plans: dict[str, Plan | None] = {}
    unknown: list[str] = []
    for label, facts in announced.items():
        node = nodes.get(label)
        names, rows = _facts(label, facts)
        if node is None:
            plans[label] = None
            unknown += [label] if rows and label not in excluded else []
            continue
        known = {item.name: item for item in node.fields if not graph.cuts(item)}
        there = {item.name for item in node.fields}
        unknown += [f"{label}.{name}" for name in names if name not in there and rows]
        columns = [
            _column(known[name], node, graph, storages) if name in known else None for name in names
        ]
        defaults = [item for item in node.fields if item.name not in {*names} & known.keys()]
        plans[label] = Plan(node, rows, columns, defaults, _spaces(node, graph))
        if rows:
            _refuse_without_default(defaults)
    if unknown and not skip_unknown:
        message = f"Not here are {', '.join(unknown)}: --skip-unknown leaves them out."
        raise TransferRefused(message)
    return plans


def _facts(label: str, facts: Any) -> tuple[list[str], int]:
    names = facts.get("fields") if isinstance(facts, dict) else None
    rows = facts.get("rows") if isinstance(facts, dict) else None
    good = isinstance(names, list) and len(set(map(str, names))) == len(names)
    if not good or type(rows) is not int or rows < 0:
        message = f"The file does not say which fields and rows of {label!r} it has."
        raise TransferRefused(message)
    return [str(name) for name in names or ()], rows


def _refuse_without_default(fields: list[Any]) -> None:
    for item in fields:
        given = item.has_default() or getattr(item, "db_default", NOT_PROVIDED) is not NOT_PROVIDED
        if not (given or item.null or item.blank or isinstance(item, AutoField)):
            message = f"The file has no {item.model._meta.label}.{item.name}, which needs a value."
            raise TransferRefused(message)


def _column(item: Any, node: Node, graph: Graph, storages: dict[str, Any]) -> Column:
    if item.name in node.generics:
        kind = node.model._meta.get_field(node.generics[item.name])
        links = {entry.target for entry in node.links if entry.generic is not None}
        home = HOME_OF_ANY if links else ""
        return Column(item, kind=kind.attname, home=home, targets=links)  # type: ignore[union-attr]
    if item.remote_field is not None:
        target = target_of(item)
        link = any(entry.field == item.name for entry in node.links)
        space = OWN_SITE if link and target is Site else space_of(target, key_of(item))
        home = home_of(space, shared=graph.may_be_shared(target)) if link else ""
        return Column(item, space, target, home=home, is_late=item.name in node.late)
    if isinstance(item, FileField) and not media.has_folders(item.storage):
        return Column(item, f"file:{media.name_of(item, storages)}")
    return Column(item, is_key=item.primary_key and isinstance(item, AutoField))


def home_of(space: str, *, shared: bool) -> str:
    """Return where the keys of rows that came in are, without those of ``shared`` ones."""
    return f"own:{space}" if shared else space


def _spaces(node: Node, graph: Graph) -> dict[str, str]:
    """Return the attributes of a model that are referred to, and the spaces of their values."""
    keys = {
        key_of(item)
        for other in graph.nodes.values()
        for item in other.foreign_keys
        if target_of(item) is node.model
    }
    pk = getattr(node.model._meta.pk, "attname", None)
    keys |= {pk} if pk and pk != "pk" else set()
    return {key: space_of(node.model, key) for key in keys}
