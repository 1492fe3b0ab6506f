"""A site as a stream of records: what it is, its rows, what they refer to, and its files."""

from __future__ import annotations

from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import django
from django.core.exceptions import ValidationError
from django.db import OperationalError, connections, transaction
from django.db.models import Exists, FileField, OuterRef, Q
from django.utils import timezone

from sitefleet.current import override_site
from sitefleet.exceptions import TransferRefused
from sitefleet.registry import get_config
from sitefleet.scoping.scopes import Kind, scopes
from sitefleet.scoping.transfer import media
from sitefleet.scoping.transfer.fileformat import FORMAT, VERSION
from sitefleet.scoping.transfer.finding import find_graph
from sitefleet.scoping.transfer.generic import model_of
from sitefleet.scoping.transfer.graph import Graph, Node, key_of, space_of, target_of
from sitefleet.scoping.transfer.keys import Keys, simple
from sitefleet.scoping.transfer.options import quiet
from sitefleet.scoping.transfer.references import describe
from sitefleet.scoping.transfer.values import encode, final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from django.contrib.sites.models import Site

    from sitefleet.scoping.transfer.options import Progress

    Record = dict[str, Any]

#: Rows that are read at once.
PAGE = 2000


@contextmanager
def snapshot(using: str) -> Iterator[None]:
    """Open a transaction that sees the database as it is at its first query, whoever writes.

    Inside of another transaction it sees what that one sees.
    """
    with repeatable(using), transaction.atomic(using):
        yield


@contextmanager
def repeatable(using: str) -> Iterator[None]:
    """Let the next transaction see one moment, all along; within a transaction do nothing.

    On PostgreSQL one that writes what others have written meanwhile fails, see `is_overtaken`.
    """
    connection = connections[using]
    before: Any = None
    raw: Any = None
    if connection.in_atomic_block:
        pass
    elif connection.vendor == "postgresql":
        connection.ensure_connection()
        raw = connection.connection
        before = raw.isolation_level
        # The driver says it in its BEGIN, so it holds whatever is the first statement.
        levels: Any = type(connection.isolation_level)  # type: ignore[attr-defined]
        raw.isolation_level = levels.REPEATABLE_READ
    elif connection.vendor == "mysql":
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    try:
        yield
    finally:
        if raw is not None and connection.connection is raw and not raw.closed:
            raw.isolation_level = before


def is_overtaken(error: OperationalError) -> bool:
    """Tell whether a transaction failed as others were faster: it may be tried again.

    SQLSTATE 40001, serialization_failure, of the SQL standard.
    """
    cause = error.__cause__
    return "40001" in (getattr(cause, "sqlstate", None), getattr(cause, "pgcode", None))


def count(graph: Graph, site: int, *, alone: bool = False) -> dict[str, int]:
    """Return how many rows a site has, by model; those without any are left out."""
    with override_site(site):
        counts = {
            node.label: graph.rows(node, site, alone=alone).count() for node in graph.nodes.values()
        }
    return {label: number for label, number in counts.items() if number}


def refuse_strays(graph: Graph, site: int) -> None:
    """Raise TransferRefused where rows of the site refer to those of another one."""
    found = []
    with override_site(site):
        for node in graph.nodes.values():
            for field in node.foreign_keys:
                target = graph.nodes.get(target_of(field))
                if target is None:
                    continue
                own = graph.rows(target, site).filter(**{key_of(field): OuterRef(field.attname)})
                condition: Any = ~Exists(own)
                if target.may_be_shared and target.scope is not None:
                    shared = target.model._base_manager.using(graph.using).filter(
                        **{key_of(field): OuterRef(field.attname), target.scope.field: None}
                    )
                    condition &= ~Exists(shared)
                set_ones = graph.rows(node, site).filter(**{f"{field.attname}__isnull": False})
                if set_ones.filter(condition).exists():
                    found.append(f"{node.label}.{field.name}")
    if found:
        message = f"Rows refer to rows that are not of this site, by {', '.join(found)}: mend them,"
        raise TransferRefused(f"{message} or --exclude these models.")


class Exporter:
    """Makes the records of a site; `records` yields them within a transaction of the caller."""

    def __init__(
        self,
        site: Site,
        *,
        exclude: Iterable[str] = (),
        with_media: bool = True,
        progress: Progress | None = None,
    ) -> None:
        self.site, self.pk = site, int(site.pk)
        self.graph = find_graph(exclude)
        self.with_media = with_media
        self.progress = progress or quiet
        self.storages = media.find_storages(self.graph.nodes.values())
        self.rows = self.files = 0
        self.missing: list[str] = []
        self.counts: dict[str, int] = {}

    def count(self) -> dict[str, int]:
        """Return the rows by model. Raises TransferRefused where some cannot be exported."""
        refuse_strays(self.graph, self.pk)
        self.counts = count(self.graph, self.pk)
        return self.counts

    def records(self) -> Iterator[Record]:
        """Yield all records. Raises TransferRefused where rows refer to those of another site."""
        counts = self.count()
        total = sum(counts.values())
        yield self._header(counts)
        keys = Keys()  # what has been told already
        try:
            for node in self.graph.nodes.values():
                for page in self._pages(node):
                    yield from self._references(node, page, keys)
                    yield from self._named_files(node, page, keys)
                    for values in page:
                        yield {"row": node.label, "values": self._encoded(node, values)}
                    self.rows += len(page)
                    self.progress(self.rows, total, node.label)
            yield from self._folders()
        finally:
            keys.close()
        yield {"end": {"rows": self.rows, "files": self.files}}

    def _header(self, counts: dict[str, int]) -> Record:
        config = get_config(self.site)
        aliases = config.site.fleet_aliases.order_by("name").values("name", "redirect")
        site = {name: getattr(config, name) for name in ("slug", "path_prefix", "state")}
        site |= {name: getattr(config, name) for name in ("theme", "urlconf", "settings")}
        site |= {"id": self.pk, "name": config.site.name, "domain": config.production_domain}
        models = {
            node.label: {
                "fields": [field.name for field in node.fields],
                "rows": counts.get(node.label, 0),
            }
            for node in self.graph.nodes.values()
        }
        return {
            "format": FORMAT,
            "version": VERSION,
            "made": timezone.now().isoformat(),
            "sitefleet": version("django-sitefleet"),
            "django": django.get_version(),
            "site": site | {"aliases": list(aliases)},
            "models": models,
            "media": self.with_media,
        }

    def _pages(self, node: Node) -> Iterator[list[tuple[Any, ...]]]:
        """Yield the rows of a model in the order of their keys, some at a time.

        By key and not by a cursor: those of some databases, and of poolers, fetch all rows first.
        """
        names = [field.attname for field in node.fields]
        rows = self.graph.rows(node, self.pk).order_by("pk").values_list("pk", *names)
        last: Any = None
        while True:
            with override_site(self.pk):
                more = rows if last is None else rows.filter(pk__gt=last)
                page = list(more[:PAGE])
            if page:
                last = page[-1][0]
                yield [row[1:] for row in page]
            if len(page) < PAGE:
                return

    def _encoded(self, node: Node, values: tuple[Any, ...]) -> list[Any]:
        return [
            None if self.graph.cuts(field) else encode(field, value)
            for field, value in zip(node.fields, values, strict=True)
        ]

    def _references(self, node: Node, page: list[tuple[Any, ...]], keys: Keys) -> Iterator[Record]:
        """Yield what is shared, and referred to here for the first time."""
        for position, field in enumerate(node.fields):
            if field.remote_field is not None and not self.graph.cuts(field):
                model = target_of(field)
                shared = model not in self.graph.nodes or self.graph.may_be_shared(model)
                wanted = {row[position] for row in page} if shared else set()
                yield from self._describe(model, key_of(field), wanted, keys)
        names = [field.name for field in node.fields]
        for name, kind in node.generics.items():
            of, at = names.index(kind), names.index(name)
            for pk in {row[of] for row in page} - {None}:
                found: Any = model_of(pk, self.graph.using)
                other = found._meta.concrete_model if found is not None else None
                if other is not None and other not in self.graph.nodes:
                    wanted = {_as_key(other, row[at]) for row in page if row[of] == pk}
                    yield from self._describe(other, other._meta.pk.attname, wanted, keys)

    def _describe(self, model: Any, to: str, wanted: set[Any], keys: Keys) -> Iterator[Record]:
        scope, space = scopes.of(model), space_of(model, to)
        wanted -= {None}
        told = keys.get(space, wanted)
        wanted = {key for key in wanted if simple(key) not in told}
        if not wanted:
            return
        rows = model._base_manager.using(self.graph.using)
        condition = Q(**{f"{to}__in": wanted})
        if scope is not None and scope.kind is Kind.SHARED:
            condition &= Q(**{scope.field: None})
        with override_site(self.pk):
            found = list(rows.filter(condition))
        pairs = []
        for row in found:
            key = getattr(row, to)
            pairs.append((key, 1))
            field = next(item for item in model._meta.concrete_fields if item.attname == to)
            yield describe(row, encode(field, key)) | {"to": to}
        keys.put(space, pairs)

    def _named_files(self, node: Node, page: list[tuple[Any, ...]], keys: Keys) -> Iterator[Record]:
        """Yield the files that rows name in storages without a folder for each site."""
        for position, field in enumerate(node.fields):
            if not isinstance(field, FileField) or not self.with_media:
                continue
            if media.has_folders(field.storage):
                continue
            storage = media.name_of(field, self.storages) or ""
            names = {row[position] for row in page} - {None, ""}
            known = keys.get(f"file:{storage}", names)
            for name in sorted(names - known.keys()):
                yield from self._file(field.storage, storage, name)
            keys.put(f"file:{storage}", [(name, 1) for name in names - known.keys()])

    def _folders(self) -> Iterator[Record]:
        for name, storage in self.storages.items():
            if self.with_media and media.has_folders(storage):
                own = storage.for_site(self.pk)
                for file in media.walk(own):
                    yield from self._file(own, name, file)

    def _file(self, storage: Any, storage_name: str, name: str) -> Iterator[Record]:
        for record in media.records_of(storage, storage_name, name):
            yield record
            if "file" in record:
                self.files += record["size"] is not None
                if record["size"] is None:
                    self.missing.append(name)
                self.progress(self.files, 0, name)


def _as_key(model: Any, value: Any) -> Any:
    """Return the key of a row of any model, which may be kept as text; None where it is no key."""
    try:
        return final(model._meta.pk).to_python(value)
    except (ValidationError, ValueError, TypeError):
        return None
