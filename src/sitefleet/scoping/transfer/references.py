"""Shared rows that rows of a site refer to, people before all: told in the file, found elsewhere.

Never is anybody taken for somebody else. A row is the same when its natural key says so, else when
its key and all its values are, and those of the rows that it refers to. An account must have the
same e-mail address too, or its key, its name and the moment it was made; and so must all accounts
that any other row leads to, as a profile does.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.core.exceptions import (
    FieldError,
    MultipleObjectsReturned,
    ObjectDoesNotExist,
    ValidationError,
)
from django.db import router
from django.db.models import OneToOneRel

from sitefleet.exceptions import TransferRefused
from sitefleet.scoping.crossing import unguarded
from sitefleet.scoping.scopes import Kind, scopes
from sitefleet.scoping.transfer.generic import GENERIC_KEYS
from sitefleet.scoping.transfer.values import encode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.models import Model

    Record = dict[str, Any]

#: Of an account: what does not change, and says who it is.
LASTING = "date_joined"
#: Rows that a row may lead to; of one that leads to more nobody says that it is the same.
LEADS = 50


def describe(row: Model, key: Any) -> Record:
    """Return the record of a shared row; ``key`` is what refers to it."""
    same, people = _look_at(row)
    record: Record = {"ref": row._meta.label, "pk": key, "same": same}
    if hasattr(row, "natural_key") and hasattr(type(row)._default_manager, "get_by_natural_key"):
        record["key"] = [str(part) for part in row.natural_key()]
    if is_user(type(row)):
        record["email"] = _email(row)
    if people:
        record["people"] = {path: describe(person, None) for path, person in people.items()}
    return record


def find(model: type[Model], record: Record, using: str, *, to_field: str = "pk") -> Any:
    """Return the value by which the same row is referred to here; None where there is none."""
    by_key = bool(record.get("key"))
    row = _by_key(model, record, using) if by_key else _by_field(model, record, using, to_field)
    if row is None or is_of_a_site(row) or not _is_meant(row, record, by_key=by_key):
        return None
    return getattr(row, to_field)


def create_user(record: Record, using: str) -> Any:
    """Make the account that a record tells of, without a password and not active; return it.

    Raises TransferRefused where somebody else has that name, and where it cannot be.
    """
    model: Any = get_user_model()
    name = record.get("key") or [""]
    values = {model.USERNAME_FIELD: name[0], model.get_email_field_name(): record.get("email")}
    if model._default_manager.using(using).filter(**{model.USERNAME_FIELD: name[0]}).exists():
        message = f"Somebody else is {name[0]!r} here: map the account by --map."
        raise TransferRefused(message)
    user = model(**{field: value for field, value in values.items() if value})
    if any(field.name == "is_active" for field in model._meta.fields):
        user.is_active = False
    user.set_unusable_password()
    try:
        user.full_clean()
    except ValidationError as error:
        told = " ".join(error.messages)
        message = f"An account {name[0][:60]!r} cannot be made: {told} Map it by --map."
        raise TransferRefused(message) from error
    user.save(using=using)
    return user


def is_user(model: type[Model]) -> bool:
    """Tell whether rows of a model are accounts, those of its multi-table children included."""
    return issubclass(model, get_user_model())


def is_of_a_site(row: Model) -> bool:
    """Tell whether a row is of some site, so that it is not shared."""
    scope = scopes.of(type(row))
    return scope is not None and (scope.kind is not Kind.SHARED or scope.owner(row) is not None)


def _by_key(model: type[Model], record: Record, using: str) -> Model | None:
    manager: Any = model._default_manager.db_manager(using)
    if not hasattr(manager, "get_by_natural_key"):
        return None
    try:
        row: Model = manager.get_by_natural_key(*record["key"])
    except (ObjectDoesNotExist, MultipleObjectsReturned):
        return None
    except (TypeError, ValueError, ArithmeticError, ValidationError, FieldError):
        return None  # the key of another model of that name
    return row


def _by_field(model: type[Model], record: Record, using: str, name: str) -> Model | None:
    try:
        return model._base_manager.using(using).filter(**{name: record["pk"]}).first()
    except (TypeError, ValueError, ValidationError, OverflowError):
        return None


def _is_meant(row: Model, record: Record, *, by_key: bool) -> bool:
    """Tell whether a row that has been found is the one, as are the people it leads to."""
    if is_user(type(row)):
        return _is_person(row, record, by_key=by_key)
    same, people = _look_at(row)
    told = record.get("people") or {}
    return (
        (by_key or bool(same and same == record.get("same")))
        and told.keys() == people.keys()
        and all(_is_person(people[path], told[path], by_key=False) for path in people)
    )


def _is_person(row: Any, record: Record, *, by_key: bool) -> bool:
    """Tell whether an account is the one: by address and name, or as it was made."""
    here, there = _email(row).lower(), str(record.get("email") or "").lower()
    if here and there and here != there:
        return False  # though all else may be the same, as where both come from one fixture
    same, _ = _look_at(row)
    if same and same == record.get("same"):
        return True
    name = row.natural_key() if hasattr(row, "natural_key") else ()
    named = by_key or [str(part) for part in name] == record.get("key")
    return named and bool(here and there)


# --- What a row is ---------------------------------------------------------------------------


def _look_at(row: Model) -> tuple[str, dict[str, Model]]:
    """Return the fingerprint of a row and all it leads to, and the accounts among these, by path.

    The fingerprint is empty where nobody can say that another row is the same.
    """
    if is_user(type(row)):
        return _made_at(row), {}
    rows, people, surely = [row], {}, True
    seen = {(type(row), row.pk)}
    for place, each in enumerate(rows):  # which grows
        surely = surely and not any(isinstance(f, GENERIC_KEYS) for f in each._meta.private_fields)
        for name, target in _targets(each):
            if target is None or is_of_a_site(target):
                surely = False
            elif is_user(type(target)):
                people[f"{place}.{name}"] = target
            elif (type(target), target.pk) not in seen:
                seen.add((type(target), target.pk))
                rows.append(target)
        if len(rows) > LEADS:
            surely = False
            break
    values = [[each._meta.label, _values(each)] for each in rows]
    return _digest(values) if surely else "", people


def _targets(row: Model) -> Iterator[tuple[str, Model | None]]:
    """Yield what a row refers to, and the account of which it is a part."""
    item: Any
    for item in row._meta.concrete_fields:
        value = getattr(row, item.attname)
        if item.remote_field is not None and value is not None:
            yield item.name, _one(item.remote_field.model, item.target_field.attname, value, row)
    for relation in row._meta.get_fields(include_hidden=True):
        if isinstance(relation, OneToOneRel) and is_user(relation.related_model):
            held = getattr(row, relation.field.target_field.attname)
            account = _one(relation.related_model, relation.field.attname, held, row)
            if account is not None:
                yield f"^{relation.field.name}", account


def _one(model: type[Model], name: str, value: Any, row: Model) -> Model | None:
    rows = model._base_manager.using(router.db_for_read(model, instance=row))
    with unguarded():  # that it is of a site is what is asked
        return rows.filter(**{name: value}).first()


def _made_at(row: Any) -> str:
    made = getattr(row, LASTING, None)
    if made is None:
        return ""
    names = (row._meta.pk.name, row.USERNAME_FIELD, LASTING)
    return _digest([value for value in _values(row) if value[0] in names])


def _values(row: Model) -> list[list[Any]]:
    return [
        [item.name, encode(item, getattr(row, item.attname))] for item in row._meta.concrete_fields
    ]


def _digest(values: Any) -> str:
    text = json.dumps(values, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _email(row: Any) -> str:
    name = getattr(row, "get_email_field_name", lambda: "email")()
    return str(getattr(row, name, None) or "")
