"""The types that a declared setting may have: what a value is, how JSON keeps it, who may enter it.

Each `Kind` takes a value in four shapes: the Python value that code reads, what JSON keeps of it
(the same value comes back), the text on a command line, and the field of a form. What is wrong is
told by a ValidationError in each of them.
"""

from __future__ import annotations

from sitefleet.kinds.base import Kind, shorten
from sitefleet.kinds.choices import Boolean, Choice, Language, TimeZone
from sitefleet.kinds.moments import DateKind, DatetimeKind, Duration, TimeKind
from sitefleet.kinds.numbers import DecimalKind, Float, Integer
from sitefleet.kinds.others import Custom, Json
from sitefleet.kinds.texts import Email, Line, Lines, Text, Url

#: The types by the name that a declaration has for them.
KINDS: dict[str, type[Kind]] = {
    "str": Line,
    "text": Text,
    "int": Integer,
    "float": Float,
    "decimal": DecimalKind,
    "bool": Boolean,
    "date": DateKind,
    "datetime": DatetimeKind,
    "time": TimeKind,
    "duration": Duration,
    "email": Email,
    "url": Url,
    "choice": Choice,
    "list": Lines,
    "language": Language,
    "timezone": TimeZone,
    "json": Json,
}

__all__ = ["KINDS", "Custom", "Kind", "shorten"]
