"""Records become a site: a new one, with new keys, all of it or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.sites.models import Site
from django.db import IntegrityError, transaction

from sitefleet.current import override_site
from sitefleet.exceptions import TransferRefused
from sitefleet.models import registry_lock
from sitefleet.resolver import resolver
from sitefleet.scoping.transfer import media
from sitefleet.scoping.transfer.columns import OWN_SITE, plans_for
from sitefleet.scoping.transfer.finding import find_graph
from sitefleet.scoping.transfer.founding import found_site
from sitefleet.scoping.transfer.graph import space_of
from sitefleet.scoping.transfer.inserting import Inserter
from sitefleet.scoping.transfer.keys import Keys
from sitefleet.scoping.transfer.mapping import Mapping
from sitefleet.scoping.transfer.options import ImportOptions, ImportReport, quiet
from sitefleet.scoping.transfer.receiving import Receiver
from sitefleet.scoping.transfer.references import find
from sitefleet.scoping.transfer.rights import may_be_unknown
from sitefleet.scoping.transfer.values import decode, encode
from sitefleet.terminal import few

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sitefleet.scoping.transfer.columns import Plan
    from sitefleet.scoping.transfer.options import Progress

    Record = dict[str, Any]

#: What is shared and unknown here, of which a message tells.
TOLD = 20


def import_site(
    records: Iterable[Record], wishes: ImportOptions | None = None, progress: Progress | None = None
) -> ImportReport:
    """Make a new site of the records of one; nothing is left of it where anything goes wrong.

    Must not be called within a transaction: files are removed when it fails here, not later.
    Raises TransferRefused, ValidationError for an address that cannot be.
    """
    wishes = wishes or ImportOptions()
    keys = Keys()
    try:
        importer = Importer(wishes, keys, progress)
    except BaseException:
        keys.close()
        raise
    try:
        with registry_lock(importer.graph.using):
            # The first of the hooks: when one of others raises, all has been committed.
            transaction.on_commit(importer.keep, using=importer.graph.using)
            try:
                importer.run(iter(records))
            except BaseException:
                importer.undo()  # while the id of the site is nobody else's
                raise
            if wishes.dry_run:
                transaction.set_rollback(True, using=importer.graph.using)
    except IntegrityError as error:
        importer.undo()
        raise TransferRefused(_why(importer.current, error)) from error
    except BaseException:
        importer.undo()
        raise
    finally:
        resolver.reset()
        keys.close()
    return importer.report


def _why(label: str, error: IntegrityError) -> str:
    line = (str(error).splitlines() or [""])[0]
    message = f"A row of {label} was refused by the database: {line}."
    if "unique" not in line.lower() and "duplicate" not in line.lower():
        return message
    return (
        f"{message} What is unique in all the fleet cannot be there twice: let the constraint"
        " include the site, or --exclude the model."
    )


class Importer:
    """Takes records in the order in which `Exporter` makes them."""

    def __init__(self, wishes: ImportOptions, keys: Keys, progress: Progress | None) -> None:
        self.wishes, self.keys = wishes, keys
        self.graph = find_graph(wishes.exclude)
        self.storages = media.find_storages(self.graph.nodes.values())
        self.progress = progress or quiet
        self.report = ImportReport()
        self.plans: dict[str, Plan | None] = {}
        self.mapping = Mapping(wishes.map, self.graph.using)
        self.unknown: list[str] = []
        self.done = self.total = 0
        self.source = 0
        self.receiver: Receiver | None = None
        self.inserter: Inserter | None = None

    @property
    def current(self) -> str:
        """The model whose rows come in now."""
        return self.inserter.label if self.inserter is not None else "the site"

    def run(self, records: Iterator[Record]) -> None:
        """Take all records."""
        header = next(records, {})
        self.plans = plans_for(
            header, self.graph, self.storages, skip_unknown=self.wishes.skip_unknown
        )
        self.total = sum(plan.rows for plan in self.plans.values() if plan is not None)
        self.source, site = found_site(header.get("site"), self.wishes)
        self.keys.put(OWN_SITE, [(self.source, site.pk)])
        self.keys.put(space_of(Site), [(self.source, site.pk)])
        self.report.site = site
        with override_site(site):
            lengths = media.find_lengths(self.graph.nodes.values(), self.storages)
            self.receiver = Receiver(
                site.pk, self.keys, self.storages, lengths, save=not self.wishes.dry_run
            )
            self.receiver.refuse_leftovers()
            self.inserter = Inserter(self.graph, self.keys, site.pk, self.wishes)
            # To rows of these nothing has to wait.
            self.inserter.finished |= {
                label for label, plan in self.plans.items() if plan is None or not plan.rows
            }
            if not header.get("media"):
                self.inserter.no_media = True
            end = self._take(records, self.inserter, self.receiver)
            self._refuse_unknown()
            self.mapping.refuse_unused()
            self.inserter.flush()
            self._refuse_less_than(end)
            self._fill_late()
        self.report.rows = dict(self.inserter.written)
        self.report.left_out = dict(self.inserter.left_out)
        self.report.files = self.receiver.count

    def keep(self) -> None:
        """Let the files stay, whatever comes."""
        self.receiver = None

    def undo(self) -> None:
        """Remove the files that have been saved; once, as the id may be another site's by then."""
        receiver, self.receiver = self.receiver, None
        if receiver is not None:
            receiver.undo()

    # --- Its records ---------------------------------------------------------

    def _take(self, records: Iterator[Record], inserter: Inserter, receiver: Receiver) -> Record:
        end: Record | None = None
        for record in records:
            if end is not None:
                message = "The file goes on behind its end."
                raise TransferRefused(message)
            if receiver.is_receiving:
                receiver.add(record)
            elif "row" in record:
                self._take_row(record, inserter)
            elif "ref" in record:
                self._take_reference(record)
            elif "file" in record:
                receiver.begin(record)
            elif isinstance(record.get("end"), dict):
                end = record["end"]
            else:
                message = f"The file has a line of an unknown kind: {sorted(record)[:5]}."
                raise TransferRefused(message)
        if end is None:
            message = "The file is not whole: its end is missing."
            raise TransferRefused(message)
        return end

    def _take_row(self, record: Record, inserter: Inserter) -> None:
        label, values = record["row"], record.get("values")
        if not isinstance(label, str) or label not in self.plans:
            message = f"The file has a row of {label!r}, which it has not announced."
            raise TransferRefused(message)
        plan = self.plans[label]
        if plan is None:
            return
        plan.seen += 1
        if (
            not isinstance(values, list)
            or len(values) != len(plan.columns)
            or plan.seen > plan.rows
        ):
            message = f"The file has a row of {label} that is not as announced."
            raise TransferRefused(message)
        self.done += 1
        if not self.unknown:  # else it is only to be told what else is unknown
            inserter.take(plan, values)
        if self.done % 1000 == 0 or self.done == self.total:
            self.progress(self.done, self.total, label)

    def _take_reference(self, record: Record) -> None:
        """Find what is shared; raises TransferRefused for a row that cannot be shared."""
        label, key = record["ref"], record.get("pk")
        try:
            model: Any = apps.get_model(label)
        except (LookupError, ValueError, AttributeError, TypeError):
            self._note_unknown(record)
            return
        to, concrete = str(record.get("to")), model._meta.concrete_model
        attributes = {item.attname: item for item in concrete._meta.concrete_fields}
        if to not in attributes or isinstance(key, (dict, list)) or key is None:
            message = f"The file refers to {label} by {to!r}, which is no key."
            raise TransferRefused(message)
        if concrete is Site and key == self.source:
            return
        found = self._find(concrete, record, to)
        if found is None and self.wishes.create_users and concrete is get_user_model():
            self.keys.put_waiting(space_of(concrete, to), key, record)
        elif found is None and may_be_unknown(concrete, self.graph.nodes):
            pass
        elif found is None:
            self._note_unknown(record)
        else:
            self.keys.put(space_of(concrete, to), [(key, encode(attributes[to], found))])

    def _find(self, model: Any, record: Record, to: str) -> Any:
        if model in self.graph.nodes and not self.graph.may_be_shared(model):
            message = f"The file refers to a row of {record['ref']} that is not in it."
            raise TransferRefused(message)
        if self.wishes.same_fleet:
            return record["pk"]
        using = self.graph.using
        mapped = self.mapping.find(model, record["pk"], to)
        return find(model, record, using, to_field=to) if mapped is None else mapped

    def _note_unknown(self, record: Record) -> None:
        if not self.wishes.drop_unknown:
            name = " ".join(map(str, record.get("key") or ()))
            self.unknown.append(f"{record['ref']} {record.get('pk')} {name}".strip())

    # --- The end -------------------------------------------------------------

    def _refuse_unknown(self) -> None:
        if not self.unknown:
            return
        told = few(self.unknown, TOLD)
        message = (
            f"Rows of the site refer to what is not here, or is not surely the same: {told}. Ways"
            " out: --map FILE says which rows here are meant; --create-users makes accounts;"
            " --drop-unknown leaves out what refers to them."
        )
        raise TransferRefused(message)

    def _refuse_less_than(self, end: Record) -> None:
        short = [
            label
            for label, plan in self.plans.items()
            if plan is not None and plan.seen != plan.rows
        ]
        if short or (self.receiver is not None and end.get("files") != self.receiver.count):
            message = f"The file is not whole: {', '.join(short) or 'files'} are missing."
            raise TransferRefused(message)

    def _fill_late(self) -> None:
        for label, pk, name, old, new in self.keys.late():
            model: Any = apps.get_model(label)
            if new is None:
                is_generic = model._meta.get_field(name).remote_field is None
                if self.wishes.drop_unknown or is_generic:  # which may be stale in any database
                    continue
                message = f"{label}.{name} refers to {old}, which is not in the file."
                raise TransferRefused(message)
            key = tuple(pk) if isinstance(pk, list) else pk
            rows = model._base_manager.using(self.graph.using).filter(pk=key)
            rows.update(**{name: decode(model._meta.get_field(name), new)})
