"""Numbers, with limits."""

from __future__ import annotations

import math
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import DecimalValidator
from django.utils.translation import gettext_lazy as _

from sitefleet.kinds.base import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Up to here whole numbers are kept exactly by all that read JSON, databases among them
#: (RFC 8259, section 6).
SAFE_INTEGER = 2**53 - 1


class Number(Kind):
    """A number from ``min`` to ``max``."""

    form_class: type[forms.Field] = forms.IntegerField

    def problems(self) -> Iterator[str]:
        wrong = list(super().problems())
        yield from wrong
        least, most = self._limits()
        if not wrong and least is not None and most is not None and least > most:
            yield f"'min' is {least} and 'max' is {most}"

    def check(self, value: Any) -> None:
        super().check(value)
        if not math.isfinite(value):
            raise self.wrong(value)
        least, most = self._limits()
        if least is not None and value < least:
            raise ValidationError(_("It is less than %(limit)s."), params={"limit": least})
        if most is not None and value > most:
            raise ValidationError(_("It is more than %(limit)s."), params={"limit": most})

    def form_field(self, hint: str, **kwargs: Any) -> forms.Field:
        field = self.input(self.form_class, hint, **kwargs)
        for key in ("min", "max"):
            if key in self.given:
                field.widget.attrs[key] = self.given[key]
        return field

    def _limits(self) -> tuple[Any, Any]:
        return self.given.get("min"), self.given.get("max")


class Integer(Number):
    """``int``."""

    python = int
    noun = _("a whole number")
    options = {"min": int, "max": int}

    def check(self, value: Any) -> None:
        super().check(value)
        if abs(value) > SAFE_INTEGER:
            raise self.wrong(value)

    def parse(self, text: str) -> Any:
        try:
            number = int(text)
        except ValueError:
            raise self.wrong(text) from None
        return self.load(number)


class Float(Number):
    """``float``."""

    python = float
    noun = _("a number")
    options = {"min": (int, float), "max": (int, float)}
    form_class = forms.FloatField

    def load(self, stored: Any) -> Any:
        # Databases may write 1.0 as 1.
        is_whole = isinstance(stored, int) and not isinstance(stored, bool)
        try:
            value = float(stored) if is_whole else stored
        except OverflowError:
            raise self.wrong(stored) from None
        self.check(value)
        return value

    def parse(self, text: str) -> Any:
        try:
            number = float(text)
        except ValueError:
            raise self.wrong(text) from None
        return self.load(number)


class DecimalKind(Number):
    """``decimal``: kept as text, with all of its digits."""

    python = Decimal
    noun = _("a decimal number")
    options = {
        "min": (int, Decimal),
        "max": (int, Decimal),
        "max_digits": int,
        "decimal_places": int,
    }
    form_class = forms.DecimalField

    def check(self, value: Any) -> None:
        super().check(value)
        DecimalValidator(self.given.get("max_digits"), self.given.get("decimal_places"))(value)

    def load(self, stored: Any) -> Any:
        is_whole = isinstance(stored, int) and not isinstance(stored, bool)
        try:
            value = Decimal(stored) if isinstance(stored, str) or is_whole else stored
        except InvalidOperation:
            raise self.wrong(stored) from None
        self.check(value)
        return value

    def dump(self, value: Any) -> str:
        return str(value)
