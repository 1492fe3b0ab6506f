"""Values of fields as JSON and back, as Django's own serializers do it, but for microseconds."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import FileField, JSONField, Value

from sitefleet.exceptions import TransferRefused
from sitefleet.scoping.transfer.fileformat import is_text

#: What JSON has itself.
PLAIN = (bool, int, str)


def final(field: Any) -> Any:
    """Return the field that a foreign key, or a chain of them, holds the value of."""
    while field.remote_field is not None:
        field = field.target_field
    return field


def encode(field: Any, value: Any) -> Any:
    """Return a value of a field as JSON has it."""
    field = final(field)
    if value is None or type(value) in PLAIN or isinstance(field, JSONField):
        return value
    if type(value) is float and math.isfinite(value):
        return value
    return field.value_to_string(SimpleNamespace(**{field.attname: value}))


def decode(field: Any, value: Any) -> Any:
    """Return what `encode` was given. Raises TransferRefused for what the field cannot be."""
    field, given = final(field), field
    if isinstance(field, JSONField):
        return Value(None, field) if value is None and not given.null else value
    if value is None:
        if given.null or given.primary_key:
            return None
        raise _wrong(given, value)
    if isinstance(value, (dict, list)) or (isinstance(value, float) and not math.isfinite(value)):
        raise _wrong(given, value)
    try:
        result = field.to_python(value)
    except (ValidationError, ValueError, TypeError, ArithmeticError) as error:
        raise _wrong(given, value) from error
    longest = getattr(field, "max_length", None)
    if isinstance(result, str) and (
        not is_text(result) or (longest is not None and len(result) > longest)
    ):
        raise _wrong(given, value)
    if type(result) is int and not -(2**63) <= result < 2**63:
        raise _wrong(given, value)  # no database has longer ones
    if isinstance(field, FileField) and isinstance(result, str):
        _refuse_path(given, result)
    return result


def _refuse_path(field: Any, name: str) -> None:
    parts = name.replace("\\", "/").split("/")
    if ".." in parts or (name and not parts[0]):
        raise _wrong(field, name)


def _wrong(field: Any, value: Any) -> TransferRefused:
    shown = repr(value)
    shown = shown if len(shown) <= 60 else f"{shown[:60]} ..."  # noqa: PLR2004 - a line's worth
    return TransferRefused(f"{field.model._meta.label}.{field.name} cannot be {shown}.")
