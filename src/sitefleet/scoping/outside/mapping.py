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
import json
from typing import TYPE_CHECKING, Any

from django.core.exceptions import FieldDoesNotExist, FieldError, ValidationError
from django.core.management.base import CommandError
from django.db.models import QuerySet

from sitefleet.lookup import get_site
from sitefleet.models import SiteConfig
from sitefleet.scoping.crossing import unguarded
from sitefleet.scoping.outside import local_field, scoped_models

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from django.db.models import Model

HEAD = ["model", "pk", "site"]
#: What a file may say of a model.
KEYS = {"rows", "field", "values", "follow", "default"}
CHUNK = 2000


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
        text = path.read_text(encoding="utf-8")
        raw = _from_csv(text) if path.suffix.lower() == ".csv" else json.loads(text)
    except (OSError, ValueError, csv.Error) as error:
        message = f"{path} cannot be read: {error}"
        raise _invalid(message) from error
    if not isinstance(raw, dict):
        message = f'{path} is no object such as {{"talks.Talk": {{"default": "berlin"}}}}.'
        raise _invalid(message)
    models = {model._meta.label_lower: model for model, _ in scoped_models()}
    default = raw.pop("default", "")
    named = {str(label).lower(): rule for label, rule in raw.items()}
    for label in named.keys() - models.keys():
        message = f'{path} names {label!r}, which SITEFLEET["SCOPED_MODELS"] does not.'
        raise _invalid(message)
    slugs = _Slugs()
    return {
        label: _rule(model, {"default": default, **_an_object(path, label, named)}, slugs)
        for label, model in models.items()
    }


def save(path: Path) -> int:
    """Write which rows belong to which site, as CSV; return how many. Shared rows are left out."""
    count = 0
    with path.open("x", encoding="utf-8", newline="") as file, unguarded():
        writer = csv.writer(file)
        writer.writerow(HEAD)
        slugs = dict(SiteConfig.objects.values_list("site_id", "slug"))
        for model, spec in scoped_models():
            if local_field(model, spec.field).many_to_many:
                continue
            rows: QuerySet[Any] = QuerySet(model)
            rows = rows.filter(**{f"{spec.field}__isnull": False}).order_by("pk")
            for pk, site in rows.values_list("pk", f"{spec.field}_id").iterator(CHUNK):
                writer.writerow([model._meta.label, pk, slugs[site]])
                count += 1
    return count


class _Slugs(dict[str, str]):
    """Slugs by what the file calls the site; each is looked up once."""

    def __missing__(self, key: str) -> str:
        self[key] = slug_of(key)
        return self[key]


def _from_csv(text: str) -> dict[str, Any]:
    lines = csv.reader(text.splitlines())
    if next(lines, None) != HEAD:
        message = f"its first line is not {','.join(HEAD)}"
        raise ValueError(message)
    found: dict[str, Any] = {}
    for line in lines:
        if len(line) != len(HEAD):
            message = f"line {lines.line_num} has not {len(HEAD)} columns"
            raise ValueError(message)
        model, pk, site = line
        found.setdefault(model, {"rows": {}})["rows"][pk] = site
    return found


def _an_object(path: Path, label: str, named: dict[str, Any]) -> dict[str, Any]:
    rule = named.get(label, {})
    if not isinstance(rule, dict) or not rule.keys() <= KEYS:
        message = f"{path}: {label} takes an object with some of {', '.join(sorted(KEYS))}."
        raise _invalid(message)
    return rule


def _rule(model: type[Model], rule: dict[str, Any], slugs: _Slugs) -> dict[str, Any]:
    made: dict[str, Any] = {}
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
        for chunk in found.values():
            QuerySet(model).filter(**{f"{path}__in": chunk})
    except (FieldError, ValueError, TypeError, ValidationError) as error:
        message = f"{model._meta.label} cannot be asked for {path!r}: {error}"
        raise _invalid(message) from error
    return found


def _site_behind(model: type[Model], name: str) -> str:
    """Return the field that holds the site in the model that a foreign key refers to."""
    fields = {other: spec.field for other, spec in scoped_models()}
    try:
        link: Any = model._meta.get_field(name)
        return fields[link.related_model._meta.concrete_model]
    except (FieldDoesNotExist, AttributeError, KeyError):
        message = f"{model._meta.label}.{name} is no foreign key to a model of SCOPED_MODELS."
        raise _invalid(message) from None


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
