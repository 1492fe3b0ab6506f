"""Texts: a line, several lines, addresses, a list of lines."""

from __future__ import annotations

import json
import re
from email.errors import HeaderParseError, ObsoleteHeaderDefect
from email.policy import default as mail_policy
from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import URLValidator, validate_email
from django.utils.translation import gettext_lazy as _

from sitefleet.kinds.base import Kind

#: What would begin another line: in a header of a mail or a response, or in a log. And halves of
#: characters, which cannot be encoded.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_CONTROL_BUT_LINES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


class Line(Kind):
    """``str``: one line, with its spaces at either end."""

    noun = _("a line of text")
    options = {"max_length": int}
    control = _CONTROL

    def check(self, value: Any) -> None:
        super().check(value)
        if self.control.search(value):
            raise ValidationError(_("It has control characters."), code="control")
        longest = self.given.get("max_length")
        if longest is not None and len(value) > longest:
            message = _("It has more than %(longest)s characters.")
            raise ValidationError(message, code="too_long", params={"longest": longest})

    def form_field(self, hint: str, **kwargs: Any) -> forms.Field:
        return self.input(forms.CharField, hint, strip=False, **kwargs)


class Text(Line):
    """``text``: several lines."""

    noun = _("a text")
    control = _CONTROL_BUT_LINES

    def form_field(self, hint: str, **kwargs: Any) -> forms.Field:
        return self.input(TextField, hint, strip=False, **kwargs)


class TextField(forms.CharField):
    """Several lines, whatever a browser puts between them."""

    widget = forms.Textarea

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        return text.replace("\r\n", "\n") if text else text


class Email(Line):
    """``email``: an address, with or without a name before it, as in ``Ghana <info@example.gh>``.

    That is what RFC 5322 (section 3.4) calls a mailbox.
    """

    noun = _("a mail address such as info@example.org, or Name <info@example.org>")

    def check(self, value: Any) -> None:
        super().check(value)
        try:
            header: Any = mail_policy.header_factory("from", value)
        except (HeaderParseError, IndexError):  # Python's parser stumbles over some texts
            raise self.wrong(value) from None
        defects = [item for item in header.defects if not isinstance(item, ObsoleteHeaderDefect)]
        if defects or len(header.addresses) != 1 or header.groups[0].display_name is not None:
            raise self.wrong(value)
        try:
            validate_email(header.addresses[0].addr_spec)
        except ValidationError:
            raise self.wrong(value) from None

    def form_field(self, hint: str, **kwargs: Any) -> forms.Field:
        return self.input(forms.CharField, hint, **kwargs)


class Url(Line):
    """``url``: an absolute address of the web, without a user or a password in it."""

    noun = _("an address such as https://example.org/, without a user or password")

    def check(self, value: Any) -> None:
        super().check(value)
        try:
            URLValidator(schemes=["http", "https"])(value)
        except ValidationError:
            raise self.wrong(value) from None
        if "@" in urlsplit(value).netloc:
            # Not shown: it may be a password.
            raise ValidationError(_("It has a user or a password in it."), code="credentials")

    def form_field(self, hint: str, **kwargs: Any) -> forms.Field:
        return self.input(UrlField, hint, assume_scheme="https", **kwargs)


class UrlField(forms.URLField):
    """Django's, which helps people who leave the scheme out; what is wrong the type says."""

    default_validators = []


class Lines(Kind):
    """``list``: of lines that are not empty."""

    python = list
    noun = _("a list of lines")
    line = Line()

    def check(self, value: Any) -> None:
        super().check(value)
        for item in value:
            self.line.check(item)
            if item != item.strip() or not item:
                raise ValidationError(_("It has an entry that is empty or has spaces around it."))

    def load(self, stored: Any) -> list[str]:
        self.check(stored)
        return list(stored)

    def clean(self, value: Any) -> Any:
        return self.load(list(value) if isinstance(value, tuple) else value)

    def parse(self, text: str) -> list[str]:
        """Return the entries of a text: between commas, or written as JSON."""
        try:
            value = json.loads(text) if text.lstrip().startswith("[") else _entries(text, ",")
        except ValueError:
            raise self.wrong(text) from None
        return self.load(value)

    def form_field(self, hint: str, **kwargs: Any) -> forms.Field:
        return self.input(LinesField, hint, **kwargs)


class LinesField(forms.CharField):
    """A list, one entry on each line."""

    widget = forms.Textarea

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        return _entries(super().to_python(value) or "", "\n") or None

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(initial or None, data)


def _entries(text: str, separator: str) -> list[str]:
    return [entry.strip() for entry in text.split(separator) if entry.strip()]
