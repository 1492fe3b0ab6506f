"""Dates, times and durations, kept as ISO 8601 writes them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.forms.utils import from_current_timezone
from django.utils import timezone
from django.utils.dateparse import parse_duration
from django.utils.duration import duration_iso_string
from django.utils.translation import gettext_lazy as _

from sitefleet.kinds.base import Kind


class Moment(Kind):
    """What Python itself writes and reads."""

    form_class: type[forms.Field] = forms.DateField

    def load(self, stored: Any) -> Any:
        python: Any = self.python
        try:
            value = python.fromisoformat(stored)
        except (TypeError, ValueError):
            raise self.wrong(stored) from None
        self.check(value)
        return value

    def dump(self, value: Any) -> str:
        return str(value.isoformat())

    def form_field(self, hint: str, **kwargs: Any) -> forms.Field:
        return self.input(kwargs.pop("form_class", self.form_class), hint, **kwargs)


class DateKind(Moment):
    """``date``."""

    python = date
    noun = _("a date such as 2026-05-17")

    def check(self, value: Any) -> None:
        super().check(value)
        if isinstance(value, datetime):
            raise self.wrong(value)


class DatetimeKind(Moment):
    """``datetime``: with USE_TZ aware and in UTC, as from Django's databases; else naive."""

    python = datetime
    noun = _("a date and time such as 2026-05-17T18:00")
    form_class = forms.DateTimeField

    def check(self, value: Any) -> None:
        super().check(value)
        if timezone.is_aware(value) is not settings.USE_TZ:
            message = _("It has no time zone.") if settings.USE_TZ else _("It has a time zone.")
            raise ValidationError(message, code="time_zone")
        self._in_utc(value)

    def load(self, stored: Any) -> Any:
        return self._in_utc(super().load(stored))

    def clean(self, value: Any) -> Any:
        return self._in_utc(super().clean(value))

    def parse(self, text: str) -> Any:
        """Return the moment; without a time zone it is one of the current time zone."""
        try:
            value = datetime.fromisoformat(text)
        except ValueError:
            raise self.wrong(text) from None
        return self.clean(value if timezone.is_aware(value) else from_current_timezone(value))

    def _in_utc(self, value: datetime) -> datetime:
        try:
            return value.astimezone(UTC) if timezone.is_aware(value) else value
        except OverflowError:
            raise self.wrong(value) from None


class TimeKind(Moment):
    """``time``: of a day, in no time zone."""

    python = time
    noun = _("a time such as 18:00")
    form_class = forms.TimeField

    def check(self, value: Any) -> None:
        super().check(value)
        if value.tzinfo is not None:
            raise self.wrong(value)


class Duration(Kind):
    """``duration``."""

    python = timedelta
    noun = _("a duration such as 3 04:05:06, three days and some hours")

    def load(self, stored: Any) -> Any:
        try:
            value = parse_duration(stored)
        except (OverflowError, TypeError, ValueError):
            value = None
        if value is None:
            raise self.wrong(stored)
        return value

    def dump(self, value: Any) -> str:
        return duration_iso_string(value)

    def form_field(self, hint: str, **kwargs: Any) -> forms.Field:
        return self.input(forms.DurationField, hint, **kwargs)
