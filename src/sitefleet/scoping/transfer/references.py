"""Shared rows that rows of a site refer to, people before all: told in the file, found elsewhere.

Never is anybody taken for somebody else. A row is the same when its natural key says so. An account
must have the same e-mail address too, or its key and the day it was made. Without a natural key it
is the same when its key and all its values are.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import (
    FieldError,
    MultipleObjectsReturned,
    ObjectDoesNotExist,
    ValidationError,
)

from sitefleet.exceptions import TransferRefused
from sitefleet.scoping.scopes import Kind, scopes
from sitefleet.scoping.transfer.values import encode

if TYPE_CHECKING:
    from django.db.models import Model

    Record = dict[str, Any]

#: Of an account: what does not change, and says who it is.
LASTING = ("date_joined",)


def describe(row: Model, key: Any) -> Record:
    """Return the record of a shared row; ``key`` is what refers to it."""
    record: Record = {"ref": row._meta.label, "pk": key, "same": _fingerprint(row)}
    if hasattr(row, "natural_key") and hasattr(type(row)._default_manager, "get_by_natural_key"):
        record["key"] = [str(part) for part in row.natural_key()]
    if is_user(type(row)):
        record["email"] = _email(row)
    return record


def find(model: type[Model], record: Record, using: str, *, to_field: str = "pk") -> Any:
    """Return the value by which the same row is referred to here; None where there is none."""
    row = _by_key(model, record, using) if record.get("key") else _by_pk(model, record, using)
    if row is None:
        return None
    scope = scopes.of(model)
    if scope is not None and (scope.kind is not Kind.SHARED or scope.owner(row) is not None):
        return None  # the row of a site, and of none that this file could speak for
    return getattr(row, to_field)


def create_user(record: Record, using: str) -> Any:
    """Make the account that a record tells of, without a password and not active; return it.

    Raises TransferRefused where somebody else has that name.
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
    user.save(using=using)
    return user


def is_user(model: type[Model]) -> bool:
    """Tell whether rows of a model are accounts."""
    concrete = model._meta.concrete_model or model
    return concrete._meta.label_lower == settings.AUTH_USER_MODEL.lower()


def _by_key(model: type[Model], record: Record, using: str) -> Model | None:
    manager: Any = model._default_manager.db_manager(using)
    if not hasattr(manager, "get_by_natural_key"):
        return None
    try:
        row: Model = manager.get_by_natural_key(*record["key"])
    except (ObjectDoesNotExist, MultipleObjectsReturned):
        return None
    except (TypeError, ValueError, ValidationError, FieldError):
        return None  # the key of another model of that name
    if is_user(model):
        email = str(record.get("email") or "").casefold()
        if (not email or email != _email(row).casefold()) and not _is_same(row, record):
            return None
    return row


def _by_pk(model: type[Model], record: Record, using: str) -> Model | None:
    try:
        row = model._base_manager.using(using).filter(pk=record["pk"]).first()
    except (TypeError, ValueError, ValidationError, OverflowError):
        return None
    return row if row is not None and _is_same(row, record) else None


def _is_same(row: Model, record: Record) -> bool:
    return record.get("same") == _fingerprint(row)


def _fingerprint(row: Model) -> str:
    lasting: tuple[str, ...] = ()
    if is_user(type(row)):
        lasting = (row._meta.pk.name, type(row).USERNAME_FIELD, *LASTING)  # type: ignore[attr-defined]
    values = [
        [field.attname, encode(field, getattr(row, field.attname))]
        for field in row._meta.concrete_fields
        if not lasting or field.name in lasting
    ]
    text = json.dumps(values, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _email(row: Any) -> str:
    name = getattr(row, "get_email_field_name", lambda: "email")()
    return str(getattr(row, name, None) or "")
