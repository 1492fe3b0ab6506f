"""Planting: rows, files, settings and cached values of each site get its mark."""

from __future__ import annotations

import datetime as dt
import uuid
from contextlib import suppress
from decimal import Decimal
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.contrib.sites.models import Site
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.db import DatabaseError, models, router, transaction

from sitefleet.models import Alias, SiteConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sitefleet.canary.marks import Marks

    Model = type[models.Model]
    Factory = Callable[[Site, str], models.Model | None]

#: How far a model may be from the site that its rows belong to: comment, article, site.
DEPTH = 4
#: Rows of a site that are marked; more would prove no more.
ROWS = 20
#: What these say has a meaning to programs, so it is left as it is.
MEANINGFUL = (models.SlugField, models.URLField, models.EmailField, models.FilePathField)
MEANINGFUL_NAMES = frozenset(
    {"url", "path", "domain", "code", "key", "slug", "template_name", "codename", "password"}
)
VALUES: tuple[tuple[type[models.Field[Any, Any]], Any], ...] = (
    (models.BooleanField, True),
    (models.DecimalField, Decimal(1)),
    (models.FloatField, 1.0),
    (models.IntegerField, 1),
    (models.DateTimeField, dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)),
    (models.DateField, dt.date(2026, 1, 1)),
    (models.TimeField, dt.time(12)),
    (models.DurationField, dt.timedelta(hours=1)),
    (models.UUIDField, lambda _: uuid.uuid4()),
    (models.GenericIPAddressField, "192.0.2.1"),
    (models.BinaryField, b"1"),
    (models.JSONField, lambda mark: {"text": mark}),
    (models.EmailField, "{}@example.org".format),
    (models.URLField, "https://example.org/{}".format),
    (models.FileField, ""),
)


class CannotPlant(Exception):
    """A row of a model could not be made by itself: give the canary a factory for it."""


def models_of_sites() -> dict[Model, str]:
    """Return the models whose rows belong to a site, and the look-up that leads there."""
    found: dict[Model, str] = {}
    for model in apps.get_models():
        if model._meta.managed and not model._meta.swapped and model not in (SiteConfig, Alias):
            path = _path_to_site(model, DEPTH, ())
            if path is not None:
                found[model] = path
    return found


def _path_to_site(model: Model, depth: int, seen: tuple[Model, ...]) -> str | None:
    """Return the shortest chain of relations from a model to Site, ``pk`` for Site itself."""
    if model is Site:
        return "pk"
    paths = []
    for field in (*model._meta.fields, *model._meta.many_to_many):
        target: Any = field.related_model
        if depth and field.is_relation and isinstance(target, type) and target not in seen:
            rest = _path_to_site(target, depth - 1, (*seen, model))
            if rest is not None:
                paths.append(field.name if rest == "pk" else f"{field.name}__{rest}")
    return min(paths, key=lambda path: path.count("__"), default=None)


class Planter:
    """Puts the marks of sites into rows."""

    def __init__(self, marks: Marks, factories: Mapping[Model, Factory]) -> None:
        self.marks = marks
        self.factories = factories
        self.paths = models_of_sites()
        self._files: list[tuple[int, Any, str]] = []

    def plant(self, model: Model, site: Site) -> list[models.Model]:
        """Mark rows of a site, one that is made where there are none; return them.

        To be called under the site. Raises CannotPlant.
        """
        mark = self.marks.of(site, model._meta.label)
        path = self.paths[model]
        rows = list(model._base_manager.filter(**{path: site.pk}).distinct()[:ROWS])
        if not rows:
            rows = [self.make(model, site, mark)]
        return [row for row in rows if self._mark(row, site)]

    def make(self, model: Model, site: Site, mark: str) -> models.Model:
        """Make a row of a site. Raises CannotPlant."""
        if model in self.factories:
            row = self.factories[model](site, mark)
            if row is None:
                message = f"the factory of {model._meta.label} made none"
                raise CannotPlant(message)
            return row
        try:
            with transaction.atomic(using=router.db_for_write(model)):
                row = model(**self._values(model, site, mark))
                row.save()
                for field in model._meta.many_to_many:
                    if field.name == self.paths[model].partition("__")[0]:
                        getattr(row, field.name).add(self._related(field, site))
        except (DatabaseError, ValidationError, ValueError, TypeError) as error:
            message = f"{model._meta.label}: {type(error).__name__}: {error}"
            raise CannotPlant(message) from error
        return row

    def _values(self, model: Model, site: Site, mark: str) -> dict[str, Any]:
        return {
            field.name: self._value(field, site, mark)
            for field in model._meta.concrete_fields
            if not (field.primary_key and not field.is_relation)
            and (not field.has_default() or field.is_relation)
            and not field.generated
            and (field.is_relation or not (field.null or field.blank) or _takes_text(field))
            and not (field.is_relation and field.null and not self._leads_to_site(model, field))
        }

    def _leads_to_site(self, model: Model, field: Any) -> bool:
        return bool(self.paths.get(model, "").partition("__")[0] == field.name)

    def _value(self, field: Any, site: Site, mark: str) -> Any:
        if field.is_relation:
            return self._related(field, site)
        if field.choices:
            return next(value for value, _ in field.flatchoices if value not in ("", None))
        if field.name in ("url", "path"):
            return f"/page-{token_hex(4)}/"
        for kind, value in VALUES:
            if isinstance(field, kind):
                return value(mark) if callable(value) else value
        return self.marks.of(site, field.model._meta.label, field.max_length) or "x"

    def _related(self, field: Any, site: Site) -> models.Model:
        target = field.related_model
        if target is Site:
            return site
        path = self.paths.get(target)
        rows = target._base_manager.filter(**({path: site.pk} if path else {}))
        found = rows.first()
        return found or self.make(target, site, self.marks.of(site, target._meta.label))

    def _mark(self, row: models.Model, site: Site) -> bool:
        """Add the mark to what a row says; tell whether it has it now."""
        changes: dict[str, Any] = {}
        for field in row._meta.concrete_fields:
            before = getattr(row, field.attname)
            mark = self.marks.of(site, row._meta.label, field.max_length)
            if _takes_text(field) and mark and mark not in str(before):
                room = None if field.max_length is None else field.max_length - len(mark) - 1
                kept = str(before or "")[:room] if room is None or room > 0 else ""
                changes[field.attname] = f"{kept} {mark}".strip()
        for name, text in changes.items():
            setattr(row, name, text)
        if changes:
            # Past `save()`: it may be somebody's, and do more.
            row.__class__._base_manager.filter(pk=row.pk).update(**changes)
        filed = [self._file(row, field, site) for field in _file_fields(row)]
        return bool(changes) or any(filed) or _has_mark(row)

    def _file(self, row: models.Model, field: models.FileField, site: Site) -> bool:
        mark = self.marks.of(site, row._meta.label)
        getattr(row, field.name).save("canary.txt", ContentFile(mark.encode()), save=False)
        name = getattr(row, field.name).name
        row.__class__._base_manager.filter(pk=row.pk).update(**{field.attname: name})
        self._files.append((site.pk, field.storage, name))
        return True

    def delete_files(self, site: Site) -> None:
        """Delete the files that were made for rows of a site; to be called under it."""
        for pk, storage, name in self._files:
            if pk == site.pk:
                storage.delete(name)


def _takes_text(field: Any) -> bool:
    return (
        isinstance(field, (models.CharField, models.TextField))
        and not isinstance(field, MEANINGFUL)
        and not (field.choices or field.primary_key or field.name in MEANINGFUL_NAMES)
        and not (field.unique and field.max_length is not None and field.name == "username")
    )


def _file_fields(row: models.Model) -> Iterator[models.FileField]:
    for field in row._meta.concrete_fields:
        if isinstance(field, models.FileField) and not isinstance(field, models.ImageField):
            yield field


def _has_mark(row: models.Model) -> bool:
    return any("canary" in str(value) for value in vars(row).values())


def absolute_urls(rows: list[models.Model]) -> Iterator[str]:
    """Yield the addresses that rows give themselves."""
    for row in rows:
        with suppress(Exception):  # whatever somebody's method needs, a page may lead there too
            yield str(row.get_absolute_url())  # type: ignore[attr-defined]


def by_label(names: Mapping[Any, Factory]) -> dict[Model, Factory]:
    """Return factories by model; keys may be labels. Raises LookupError."""
    return {
        apps.get_model(key) if isinstance(key, str) else key: value for key, value in names.items()
    }
