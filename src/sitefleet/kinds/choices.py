"""One of several values."""

from __future__ import annotations

import zoneinfo
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from sitefleet.kinds.base import Kind, shorten

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

YES, NO = frozenset({"1", "on", "true", "yes"}), frozenset({"0", "false", "no", "off"})


class Select(Kind):
    """A value out of a list."""

    noun = _("of the type of the choices")

    def choices(self) -> Sequence[tuple[Any, Any]]:
        """Return the values, each with its label."""
        raise NotImplementedError

    def check(self, value: Any) -> None:
        self.load(value)

    def load(self, stored: Any) -> Any:
        for value, _label in self.choices():
            # Not only equal: 1 is True, and 1.0.
            same_type = isinstance(stored, type(value)) and _is_bool(stored) is _is_bool(value)
            if value == stored and same_type:
                return value
        message = _("%(value)s is not one of the choices.")
        raise ValidationError(message, code="invalid", params={"value": shorten(stored)})

    def clean(self, value: Any) -> Any:
        return self.load(value)

    def check_of_project(self, value: Any) -> None:
        # It need not be one that sites can choose: "en-us" is fine where there is "en".
        if type(value) not in {type(choice) for choice, _label in self.choices()}:
            raise self.wrong(value)

    def parse(self, text: str) -> Any:
        for value, _label in self.choices():
            if str(value) == text:
                return value
        return self.load(text)

    def form_field(self, hint: str, **kwargs: Any) -> forms.Field:
        return forms.TypedChoiceField(
            required=False,
            choices=lambda: [("", hint), *self.choices()],
            coerce=lambda value: self.parse(str(value)),
            empty_value=None,
            **kwargs,
        )


class Boolean(Select):
    """``bool``."""

    python = bool
    noun = _("True or False")

    def choices(self) -> Sequence[tuple[Any, Any]]:
        return [
            (True, pgettext_lazy("sitefleet", "Yes")),
            (False, pgettext_lazy("sitefleet", "No")),
        ]

    def parse(self, text: str) -> Any:
        word = text.strip().lower()
        if word in YES or word in NO:
            return word in YES
        return super().parse(text)


class Choice(Select):
    """``choice``: one of ``choices``: texts or whole numbers, or pairs of one and its label."""

    options = {"choices": (list, tuple)}

    def problems(self) -> Iterator[str]:
        wrong = list(super().problems())
        yield from wrong
        items = [] if wrong else self.given.get("choices", ())
        if not items and not wrong:
            yield "it needs 'choices', such as ['red', 'blue']"
        values = [item[0] if _is_pair(item) else item for item in items]
        for value in values:
            if not isinstance(value, (str, int)) or isinstance(value, bool):
                yield f"the choice {shorten(value)} is neither a text nor a whole number"
            elif value == "":
                yield "no choice can be empty: that is the value of the project"
        if len({str(value) for value in values}) < len(values):
            yield "a choice is there twice"

    def choices(self) -> Sequence[tuple[Any, Any]]:
        items = self.given["choices"]
        return [(item[0], item[1]) if _is_pair(item) else (item, item) for item in items]


class Language(Select):
    """``language``: one of LANGUAGES."""

    def choices(self) -> Sequence[tuple[Any, Any]]:
        return settings.LANGUAGES


class TimeZone(Select):
    """``timezone``: the name of a time zone."""

    noun = _("a time zone such as Africa/Accra")

    def choices(self) -> Sequence[tuple[Any, Any]]:
        return _time_zones()

    def load(self, stored: Any) -> Any:
        if not isinstance(stored, str) or (stored, stored) not in _time_zones():
            raise self.wrong(stored)
        return stored


@lru_cache(maxsize=1)
def _time_zones() -> Sequence[tuple[str, str]]:
    return [(name, name) for name in sorted(zoneinfo.available_timezones())]


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _is_pair(item: Any) -> bool:
    return isinstance(item, (list, tuple)) and len(item) == 2  # noqa: PLR2004 - value and label
