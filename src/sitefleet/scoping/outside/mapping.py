"""Which site the rows belong to that are there already, as an operator says it in a file.

JSON, by model::

    {
        "default": "berlin",
        "talks.Talk": {
            "rows": {"17": "paris"},
            "field": "year",
            "values": {"2024": "berlin", "2025": "paris"},
            "default": "rome",
        },
        "talks.Link": {"follow": "talk"},
    }

CSV with the head ``model,pk,site``: one row each. Sites are named by slug, domain or id.
"""

from __future__ import annotations

import csv
import io
import json
import os
from typing import TYPE_CHECKING, Any

from django.core.exceptions import FieldDoesNotExist, FieldError, ValidationError
from django.core.management.base import CommandError
from django.db import DatabaseError
from django.db.models import QuerySet

from sitefleet.lookup import get_site
from sitefleet.models import SiteConfig
from sitefleet.scoping.batches import batches
from sitefleet.scoping.crossing import unguarded
from sitefleet.scoping.outside import local_field, scoped_models
from sitefleet.terminal import few

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from django.db.models import Model

HEAD = ["model", "pk", "site"]
#: What a file may say of a model.
KEYS = {"rows", "field", "values", "follow", "default"}
CHUNK = 2000
#: Keys that one message names.
NAMED = 5


def _invalid(message: str) -> CommandError:
    return CommandError(message, returncode=2)  # wrong usage


def slug_of(key: str) -> str:
    """Return the slug of a site. Raises UnknownSite."""
    slug: str = SiteConfig.objects.values_list("slug", flat=True).get(site=get_site(key).pk)
    return slug


def all_to(key: str) -> dict[str, dict[str, Any]]:
    """Return what `GiveSite` is told for rows that are all of one site. Raises UnknownSite."""
    slug = slug_of(key)
    return {model._meta.label_lower: {"default": slug} for model, _ in scoped_models()}


def read(path: Path) -> dict[str, dict[str, Any]]:
    """Return what `GiveSite` is told, by model. Raises CommandError, UnknownSite."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() == ".csv":
            raw = _from_csv(text)
        else:
            raw = json.loads(text, object_pairs_hook=_once)
    except (OSError, ValueError, RecursionError, csv.Error) as error:
        message = f"{path} cannot be read: {error}"
        raise _invalid(message) from error
    if not isinstance(raw, dict):
        message = f'{path} is no object such as {{"talks.Talk": {{"default": "berlin"}}}}.'
        raise _invalid(message)
    models = {model._meta.label_lower: model for model, _ in scoped_models()}
    default = raw.pop("default", "")
    named = {label.lower(): rule for label, rule in raw.items()}
    if len(named) != len(raw):
        message = f"{path} names a model twice: small and capital letters are the same."
        raise _invalid(message)
    for label in named.keys() - models.keys():
        message = f'{path} names {label!r}, which SITEFLEET["SCOPED_MODELS"] does not.'
        raise _invalid(message)
    slugs = _Slugs()
    return {
        label: _rule(model, {"default": default, **_an_object(path, label, named)}, slugs)
        for label, model in models.items()
    }


def save(path: Path) -> int:
    """Write which rows belong to which site, as CSV; return how many. Shared rows are left out.

    The file is there when it is whole. Raises OSError, as where there is one already.
    """
    path.open("x").close()
    part = path.with_name(f"{path.name}.part")
    try:
        count = _save(part)
        part.replace(path)
    except BaseException:
        path.unlink()
        part.unlink(missing_ok=True)
        raise
    return count


def _save(path: Path) -> int:
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file, unguarded():
        writer = csv.writer(file)
        writer.writerow(HEAD)
        slugs = dict(SiteConfig.objects.values_list("site_id", "slug"))
        for model, spec in scoped_models():
            if local_field(model, spec.field).many_to_many:
                continue
            rows: QuerySet[Any] = QuerySet(model)
            rows = rows.filter(**{f"{spec.field}__isnull": False}).order_by("pk")
            for pk, site in rows.values_list("pk", f"{spec.field}_id").iterator(CHUNK):
                writer.writerow([model._meta.label, pk, slugs.get(site, site)])
                count += 1
        file.flush()
        os.fsync(file.fileno())
    return count


class _Slugs(dict[str, str]):
    """Slugs by what the file calls the site; each is looked up once."""

    def __missing__(self, key: str) -> str:
        self[key] = slug_of(key)
        return self[key]


def _from_csv(text: str) -> dict[str, Any]:
    lines = csv.reader(io.StringIO(text, newline=""))
    if next(lines, None) != HEAD:
        message = f"its first line is not {','.join(HEAD)}"
        raise ValueError(message)
    found: dict[str, Any] = {}
    for line in lines:
        if len(line) != len(HEAD):
            message = f"line {lines.line_num} has not {len(HEAD)} columns"
            raise ValueError(message)
        model, pk, site = line
        rows = found.setdefault(model.lower(), {"rows": {}})["rows"]
        if rows.setdefault(pk, site) != site:
            message = f"line {lines.line_num} gives row {pk} of {model} another site than before"
            raise ValueError(message)
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON; of a name that stands there twice, Python would forget one."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        message = f"{next(name for name in names if names.count(name) > 1)!r} stands there twice"
        raise ValueError(message)
    return found


def _an_object(path: Path, label: str, named: dict[str, Any]) -> dict[str, Any]:
    rule = named.get(label, {})
    if not isinstance(rule, dict) or not rule.keys() <= KEYS:
        message = f"{path}: {label} takes an object with some of {', '.join(sorted(KEYS))}."
        raise _invalid(message)
    return rule


def _rule(model: type[Model], rule: dict[str, Any], slugs: _Slugs) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if ("field" in rule) != ("values" in rule):
        message = f'{model._meta.label}: "field" and "values" go together.'
        raise _invalid(message)
    if rule.get("rows"):
        made["rows"] = _by_site(model, "pk", rule["rows"], slugs)
    if rule.get("values"):
        made["by"] = str(rule.get("field", ""))
        made["values"] = _by_site(model, made["by"], rule["values"], slugs)
    if rule.get("follow"):
        made["follow"] = (rule["follow"], _site_behind(model, rule["follow"]))
    if rule.get("default"):
        made["default"] = slugs[str(rule["default"])]
    return made


def _by_site(model: type[Model], path: str, values: Any, slugs: _Slugs) -> dict[str, list[Any]]:
    """Return values by site, proven to be such that the field can be asked for them."""
    if not isinstance(values, dict):
        message = f"{model._meta.label}: expected an object of values and sites, not {values!r}."
        raise _invalid(message)
    found: dict[str, list[Any]] = {}
    for value, site in values.items():
        found.setdefault(slugs[str(site)], []).append(value)
    try:
        if path == "pk":
            _keys(model, values)
        for chunk in found.values():
            QuerySet(model).filter(**{f"{path}__in": chunk})
    except (FieldError, ValueError, TypeError, ValidationError) as error:
        message = f"{model._meta.label} cannot be asked for {path!r}: {error}"
        raise _invalid(message) from error
    return found


def _site_behind(model: type[Model], name: str) -> str:
    """Return the field that holds the site in the model that a foreign key refers to."""
    fields: dict[Any, str] = {other: spec.field for other, spec in scoped_models()}
    try:
        link: Any = model._meta.get_field(name)
        single = link.concrete and not link.many_to_many
        return fields[link.related_model._meta.concrete_model if single else None]
    except (FieldDoesNotExist, AttributeError, KeyError, TypeError):
        message = f"{model._meta.label}.{name} is no foreign key to a model of SCOPED_MODELS."
        raise _invalid(message) from None


def _keys(model: type[Model], named: Iterable[Any]) -> dict[Any, Any]:
    """Return keys as the model has them, with how they were named. Raises CommandError."""
    pk: Any = model._meta.pk
    found: dict[Any, Any] = {}
    for key in named:
        known = found.setdefault(pk.to_python(key), key)
        if known != key:
            message = f"{model._meta.label}: {known!r} and {key!r} are the same row."
            raise _invalid(message)
    return found


def refuse_unknown(giving: dict[str, dict[str, Any]]) -> None:
    """Refuse keys that no row has, where there are rows. Raises CommandError."""
    for model, _ in scoped_models():
        rule = giving.get(model._meta.label_lower, {})
        keys = _keys(model, [key for named in rule.get("rows", {}).values() for key in named])
        rows: QuerySet[Any] = QuerySet(model)
        known: set[Any] = set()
        try:
            with unguarded():
                if not keys or not rows.exists():
                    continue
                for some in batches(keys):
                    known.update(rows.filter(pk__in=some).values_list("pk", flat=True))
        except DatabaseError:
            continue  # there is no table yet
        missing = [str(named) for key, named in keys.items() if key not in known]
        if missing:
            shown = few(missing, NAMED)
            message = f"{model._meta.label} has no rows of these keys: {shown}."
            message += " Take them out of the file, or run this where they are."
            raise CommandError(message, returncode=1)


def in_order(giving: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Yield the models, those that others follow ahead of these. Raises CommandError."""
    models = {model._meta.label_lower: model for model, _ in scoped_models()}
    left = dict.fromkeys(giving)
    while left:
        ready = [label for label in left if _followed(models[label], giving[label]) not in left]
        if not ready:
            message = f"These follow each other in a ring: {', '.join(left)}."
            raise _invalid(message)
        for label in ready:
            del left[label]
        yield from ready


def _followed(model: type[Model], rule: dict[str, Any]) -> str:
    if "follow" not in rule:
        return ""
    link: Any = model._meta.get_field(rule["follow"][0])
    target = link.related_model._meta.concrete_model
    return "" if target is model else str(target._meta.label_lower)
