"""Which values settings can have: for each the reason why one cannot be used, and an example."""

from __future__ import annotations

import re
from keyword import iskeyword
from pathlib import Path
from typing import Any

from sitefleet import hosts
from sitefleet.exceptions import InvalidHost
from sitefleet.hosting.planning.settings import why_not_serving

SLUG_FIELD = "{slug}"
HOUR = 3600
RAW_SQL = ("refuse", "warn", "allow")
RLS = ("", "transaction", "session")
#: On what its unique values are unique: on each site, or as upstream has it.
UNIQUE = ("site", "keep")
#: What SCOPED_MODELS may say of a model.
SCOPED_OPTIONS = {"field": str, "shared": bool, "add": bool, "unique": str}
SENDFILES = ("", "x-accel-redirect", "x-sendfile")


def _why_not_format(value: str) -> str:
    example = "A format looks like {slug}.localhost:8000 or {slug}.test.example.org."
    if not value:
        return ""
    if value.count(SLUG_FIELD) != 1:
        return f"It needs {SLUG_FIELD} just once. {example}"
    try:
        hosts.normalize_name(value.replace(SLUG_FIELD, "slug"))
        behind = hosts.normalize_name(f"x{value.partition(SLUG_FIELD)[2]}")
    except InvalidHost as error:
        return f"It gives no host: {error.reason}. {example}"
    return "" if "." in behind else f"It needs a domain behind {SLUG_FIELD}. {example}"


def _why_not_strings(value: list[Any] | tuple[Any, ...]) -> str:
    return (
        "" if all(isinstance(item, str) and item for item in value) else "Expected a list of text."
    )


def _why_not_paths(value: list[Any] | tuple[Any, ...]) -> str:
    good = all(item and isinstance(item, (str, Path)) for item in value)
    return "" if good else "Expected a list of directories."


def _why_not_modules(value: list[Any] | tuple[Any, ...]) -> str:
    good = all(isinstance(item, str) and _MODULE.fullmatch(item) for item in value)
    return "" if good else 'Expected a list of modules, such as "project.urls_shop".'


def _why_not_declarations(value: dict[Any, Any]) -> str:
    for name, spec in value.items():
        if not isinstance(name, str) or not _SETTING.fullmatch(name):
            return f"{name!r} is no name of a setting, such as OPENING_DATE."
        if not isinstance(spec, dict):
            return f'{name} needs a dictionary, such as {{"type": "str"}}.'
    return ""


def _why_not_scoped(value: Any) -> str:
    for label in value:
        if not isinstance(label, str) or not _MODEL.fullmatch(label):
            return f"{label!r} is no model, such as talks.Talk."
        options = value[label] if isinstance(value, dict) else {}
        if not isinstance(options, dict):
            return f'{label} needs a dictionary, such as {{"shared": True}}.'
        for name, option in options.items():
            if name not in SCOPED_OPTIONS:
                return f"{label} has no option {name!r}; known are {', '.join(SCOPED_OPTIONS)}."
            if not isinstance(option, SCOPED_OPTIONS[name]):
                return f"{label}: {name!r} is a {SCOPED_OPTIONS[name].__name__}."
        reason = _why_not_field(**options) if "field" in options else ""
        if options.get("unique", "site") not in UNIQUE:
            reason = f"'unique' is one of {UNIQUE}."
        if reason:
            return f"{label}: {reason}"
    return ""


def _why_not_field(*, field: str, add: bool = True, **_: Any) -> str:
    reserved = field == "pk" or "__" in field or field.endswith("_") or iskeyword(field)
    if reserved or not field.isidentifier():
        return f"{field!r} is no name of a field, such as of_site."
    if add and field.endswith("_id"):
        return f"a field is called {field[:-3]!r}, and its column {field!r}."
    return ""


_MODEL = re.compile(r"[^\W\d]\w*\.[^\W\d]\w*")
_SETTING = re.compile(r"[A-Z][A-Z0-9_]*")
_MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
#: For settings whose default, being empty, shows nothing.
EXAMPLES: dict[str, Any] = {
    "DOMAIN_FORMAT": "{slug}.localhost:8000",
    "SCHEME": "https",
    "SITES": {"gh": {"name": "Ghana", "domain": "example.gh"}},
    "PREVIEW_PATHS": ["/accounts/login/"],
    "OWN_SUFFIXES": ["sites.example.org"],
    "SITE_SETTINGS": {"DEFAULT_FROM_EMAIL": {"type": "email"}},
    "URLCONFS": ["project.urls_shop"],
    "THEME_DIRS": ["themes"],
    "SENDFILE": "x-accel-redirect",
    "COOKIE_DOMAIN": "example.org",
    "SCOPED_MODELS": ["talks.Talk"],
    "SCOPED_APP": "project",
    "RLS": "transaction",
    "RLS_ROLE": "platform",
    "SERVING": {"driver": "zygote", "router": "nginx"},
}
REASONS: dict[str, Any] = {
    "DOMAIN_FORMAT": _why_not_format,
    "SCHEME": lambda value: "" if value in {"", "http", "https"} else "It is http or https.",
    "FRESHNESS": lambda value: "" if 0 <= value <= HOUR else "It is seconds, from 0 to 3600.",
    "CACHE_SIZE": lambda value: "" if value >= 1 else "It is at least 1.",
    "RETRY_AFTER": lambda value: "" if value >= 0 else "It is seconds, at least 0.",
    "PREVIEW_PATHS": _why_not_strings,
    "OWN_SUFFIXES": _why_not_strings,
    "SITE_SETTINGS": _why_not_declarations,
    "URLCONFS": _why_not_modules,
    "THEME_DIRS": _why_not_paths,
    "SENDFILE": lambda value: "" if value in SENDFILES else f"It is one of {SENDFILES[1:]}.",
    "SENDFILE_ROOT": lambda value: (
        "" if value.startswith("/") and value.endswith("/") else "It begins and ends with a slash."
    ),
    "MAIL_BACKEND": lambda value: (
        "" if _MODULE.fullmatch(value) and "." in value else "It is the path of a class."
    ),
    "SCOPED_MODELS": _why_not_scoped,
    "SCOPED_APP": lambda value: "" if not value or value.isidentifier() else "It is an app label.",
    "RAW_SQL": lambda value: "" if value in RAW_SQL else f"It is one of {RAW_SQL}.",
    "RLS": lambda value: "" if value in RLS else f"It is one of {RLS[1:]}, or empty.",
    "METRICS_SITES": lambda value: "" if value >= 1 else "It is at least 1.",
    "SERVING": why_not_serving,
}
