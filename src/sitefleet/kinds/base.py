"""What all types have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.core.exceptions import ValidationError
from django.forms import MultiWidget
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from django import forms

#: Characters of a value that a message shows.
SHOWN = 60


class Kind:
    """One type, with the options of one declaration."""

    #: The type of a value when it is read.
    python: ClassVar[type] = str
    #: What a value is called in a message.
    noun: ClassVar[Any] = _("a text")
    #: Keys of a declaration that only this type has, and what they hold.
    options: ClassVar[Mapping[str, type | tuple[type, ...]]] = {}

    def __init__(self, **given: Any) -> None:
        self.given = given

    def problems(self) -> Iterator[str]:
        """Yield what is wrong with the options."""
        for key, value in self.given.items():
            if not isinstance(value, self.options[key]) or isinstance(value, bool):
                yield f"{key!r} cannot be {shorten(value)}"

    def check(self, value: Any) -> None:
        """Raise ValidationError for what is no value of this type, or not within its options."""
        if not isinstance(value, self.python) or isinstance(value, bool):
            raise self.wrong(value)

    def load(self, stored: Any) -> Any:
        """Return the value of what JSON has kept. Raises ValidationError."""
        self.check(stored)
        return stored

    def dump(self, value: Any) -> Any:
        """Return what JSON is to keep of a value."""
        return value

    def clean(self, value: Any) -> Any:
        """Return a value that is given as itself or as JSON keeps it. Raises ValidationError."""
        if isinstance(value, self.python):
            self.check(value)
            return value
        return self.load(value)

    def check_of_project(self, value: Any) -> None:
        """Raise ValidationError where code would find another type in the project than on sites."""
        self.clean(value)

    def parse(self, text: str) -> Any:
        """Return the value of a text, as on a command line. Raises ValidationError."""
        return self.load(text)

    def form_field(self, hint: str, **kwargs: Any) -> forms.Field:
        """Return a field that may stay empty; ``hint`` tells what holds then."""
        raise NotImplementedError

    def wrong(self, value: Any) -> ValidationError:
        """Return the error for what is no value of this type."""
        params = {"value": shorten(value), "noun": self.noun}
        return ValidationError(_("%(value)s is not %(noun)s."), code="no_value", params=params)

    def input(self, field: Any, hint: str, **kwargs: Any) -> forms.Field:
        """Return a field of a form into which a value is typed."""
        made: forms.Field = field(required=False, validators=[self.check], **kwargs)
        if not isinstance(made.widget, MultiWidget):
            made.widget.attrs.setdefault("placeholder", hint)
        return made


def shorten(value: Any) -> str:
    """Return a value as a message shows it: in one line, and not too long."""
    try:
        text = repr(value)
    except RecursionError:
        text = f"{type(value).__name__} of many levels"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
