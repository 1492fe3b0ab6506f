"""Values of any shape: JSON itself, and what a form field of the project makes."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.forms.fields import InvalidJSONInput
from django.utils.translation import gettext_lazy as _

from sitefleet.kinds.base import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: Levels of lists and dictionaries. Python's own limit depends on where it is read.
DEPTH = 32
#: The escape of a character that is zero, and not a backslash with some letters behind it.
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


class Json(Kind):
    """``json``: any value but null, of which JSON keeps all."""

    python = object
    noun = _("a value that JSON can keep")

    def check(self, value: Any) -> None:
        if value is None or not _is_json(value):
            raise self.wrong(value)
        _check_depth(value)

    def parse(self, text: str) -> Any:
        try:
            value = json.loads(text)
        except (RecursionError, ValueError):
            raise self.wrong(text) from None
        return self.load(value)

    def form_field(self, hint: str, **kwargs: Any) -> forms.Field:
        return self.input(JsonField, hint, **kwargs)


class JsonField(forms.JSONField):
    """Django's, which does not stumble over what is nested too deep to be read."""

    def to_python(self, value: Any) -> Any:
        try:
            found = super().to_python(value)
        except RecursionError:
            raise _too_deep() from None
        _check_depth(found)
        return found

    def bound_data(self, data: Any, initial: Any) -> Any:
        try:
            found = super().bound_data(data, initial)
            _check_depth(found)
        except (RecursionError, ValidationError):
            return InvalidJSONInput(data)
        return found


class Custom(Kind):
    """``field``: whatever a form field of the project makes of its input.

    JSON keeps what the field would show, and the field cleans that again when the value is read.
    """

    python = object
    noun = _("a value that comes back from the database as it was")

    def __init__(self, make: Callable[[], Any]) -> None:
        super().__init__()
        self.make = make
        self.field = self._optional()

    def check(self, value: Any) -> None:
        if self.load(self.dump(value)) != value:
            raise self.wrong(value)

    def load(self, stored: Any) -> Any:
        try:
            found = self.field.clean(stored)
            _check_depth(found)
        except ValidationError:
            raise
        except Exception:  # noqa: BLE001 - fields expect what forms give them, no more
            raise self.wrong(stored) from None
        return found

    def dump(self, value: Any) -> Any:
        try:
            shown = json.dumps(self.field.prepare_value(value), cls=DjangoJSONEncoder)
        except (RecursionError, TypeError, ValueError):
            raise self.wrong(value) from None
        kept = json.loads(shown)
        _check_depth(kept)
        return kept

    def clean(self, value: Any) -> Any:
        found = self.load(value)
        self.check(found)
        return found

    def form_field(self, hint: str, **kwargs: Any) -> forms.Field:
        field = self._optional()
        field.label = kwargs.get("label") or field.label
        field.help_text = kwargs.get("help_text") or field.help_text
        field.clean = self._checked(field.clean)  # type: ignore[method-assign]
        field.widget.attrs.setdefault("placeholder", hint)
        return field

    def _checked(self, clean: Callable[..., Any]) -> Callable[..., Any]:
        # Not a validator: some fields make their value after those have run.
        def checked(*args: Any) -> Any:
            try:
                value = clean(*args)
            except RecursionError:  # Django's JSONField
                raise _too_deep() from None
            if value not in self.field.empty_values:
                self.check(value)
            return value

        return checked

    def _optional(self) -> forms.Field:
        field = self.make()
        if not isinstance(field, forms.Field):
            message = f"it made {field!r}, which is no form field"
            raise TypeError(message)
        field.required = field.widget.is_required = False
        return field


def _check_depth(value: Any) -> None:
    level = [value]
    for _level in range(DEPTH):
        level = [inner for item in level for inner in _inside(item)]
    if any(isinstance(item, (dict, list)) for item in level):
        raise _too_deep()


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _too_deep() -> ValidationError:
    message = _("It is nested more than %(depth)s levels deep.")
    return ValidationError(message, code="too_deep", params={"depth": DEPTH})


def _is_json(value: Any) -> bool:
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        text.encode()
    except (RecursionError, TypeError, ValueError):
        return False
    # PostgreSQL keeps no such character; and a tuple, for one, would come back as a list.
    return not _NUL.search(text) and bool(json.loads(text) == value)
