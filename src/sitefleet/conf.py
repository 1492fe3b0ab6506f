"""Settings: one dict, ``SITEFLEET = {...}``, read lazily and typed; all defaults in one place.

Some may also come from the environment, for operators: ``SITEFLEET_DOMAIN_FORMAT``,
``SITEFLEET_SCHEME`` and ``SITEFLEET_SITE``; there the environment wins.
"""

from __future__ import annotations

import os
import re
import textwrap
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, ClassVar

from django.conf import settings

from sitefleet import hosts
from sitefleet.exceptions import InvalidHost, InvalidSetting

ENVIRONMENT_VARIABLES = ("DOMAIN_FORMAT", "SCHEME", "SITE")
SLUG_FIELD = "{slug}"
HOUR = 3600
RAW_SQL = ("refuse", "warn", "allow")
RLS = ("", "transaction", "session")
#: What SCOPED_MODELS may say of a model.
SCOPED_OPTIONS = {"field": str, "shared": bool, "add": bool, "unique": str}
SENDFILES = ("", "x-accel-redirect", "x-sendfile")


@dataclass(frozen=True, slots=True)
class Conf:
    """The settings of this process."""

    DOMAIN_FORMAT: str = ""
    """How this environment names its hosts, as in ``{slug}.localhost:8000``. Empty: this is the
    live environment, and each site answers on its own domain."""

    SCHEME: str = ""
    """``http`` or ``https`` in addresses of sites. Empty: ``http`` with DEBUG, else ``https``."""

    SITE: str = ""
    """Only in the environment: the site (id, slug or domain) that this process is pinned to."""

    SITES: dict[str, Any] = field(default_factory=dict)
    """Sites that ``manage.py sites populate`` creates or updates, by slug."""

    FRESHNESS: float = 1.0
    """Seconds after which a change made by another process is seen. 0: look before each answer."""

    LISTEN: bool = False
    """Hold a PostgreSQL connection on which changes are announced, so as to see them at once."""

    CACHE_SIZE: int = 5000
    """Hosts that a process remembers, and as many again for unknown hosts and wildcard matches."""

    WWW: bool = True
    """Redirect ``www.`` + the name of a site, or the name without it, to that site's domain."""

    ARCHIVED_READ_ONLY: bool = False
    """Serve archived sites for GET and HEAD instead of answering 410."""

    RETRY_AFTER: int = 600
    """Seconds that a site in maintenance names in its Retry-After header."""

    PREVIEW_PATHS: tuple[str, ...] = ()
    """Path prefixes that stay open in maintenance, beside the login pages."""

    SYNC_AFTER_MIGRATE: bool = False
    """Run ``manage.py sites sync`` after each ``migrate``."""

    FOLLOW_SITE_ID: bool = True
    """Let ``settings.SITE_ID`` be the id of the current site, so that third-party code follows."""

    OWN_SUFFIXES: tuple[str, ...] = ()
    """Public suffixes that are yours (your entry in the Public Suffix List) and may name a site."""

    SITE_SETTINGS: dict[str, Any] = field(default_factory=dict)
    """Settings that each site may have a value of its own for, by name; how, says the value."""

    URLCONFS: tuple[str, ...] = ()
    """URLconf modules that a site may have instead of ROOT_URLCONF."""

    THEME_DIRS: tuple[str | Path, ...] = ()
    """Directories of themes; a theme is a folder with ``templates``, ``jinja2``, ``static``."""

    SENDFILE: str = ""
    """``x-accel-redirect`` (nginx) or ``x-sendfile`` (Apache): the server sends media files."""

    SENDFILE_ROOT: str = "/protected/"
    """The internal location of nginx that ``x-accel-redirect`` leads to."""

    HOST_COOKIES: bool = False
    """Under HTTPS give the cookies of Django the prefix ``__Host-``: no sibling can set them."""

    COOKIE_DOMAIN: str = ""
    """A parent domain that the cookies of the sites below it are for. Empty: host-only."""

    MAIL_BACKEND: str = "django.core.mail.backends.smtp.EmailBackend"
    """The backend by which `sitefleet.persite.mail.EmailBackend` sends."""

    SCOPED_MODELS: tuple[str, ...] | dict[str, dict[str, Any]] = ()
    """Models of other people that get a site: ``["talks.Talk"]``, or a dictionary of options."""

    SCOPED_APP: str = ""
    """The label of your app into which ``manage.py scopemodels`` writes the migrations."""

    GUARD: bool = True
    """Let no statement on rows of sites run that is for no site."""

    RAW_SQL: str = "refuse"
    """Raw SQL on guarded tables without a current site: ``refuse``, ``warn`` or ``allow``."""

    RLS: str = ""
    """PostgreSQL row-level security: ``transaction`` or ``session``, how a connection is told its
    site. Empty: not used."""

    RLS_ROLE: str = ""
    """The role of PostgreSQL that sees the rows of all sites, for `cross_site`."""

    METRICS_SITES: int = 200
    """Sites that metrics tell apart; those that come later are counted together."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with ``settings.SITEFLEET``."""

    key: str
    message: str
    hint: str


def get_conf() -> Conf:
    """Return the settings of this process. Raises InvalidSetting when one cannot be used."""
    source = getattr(settings, "SITEFLEET", _Cache), _from_environment()  # None is a mistake
    if _Cache.conf is None or _Cache.source[0] is not source[0] or _Cache.source[1] != source[1]:
        values, problems = _read()
        if problems:
            details = " ".join(f"{problem.message} {problem.hint}" for problem in problems)
            raise InvalidSetting(details)
        _Cache.source, _Cache.conf = source, Conf(**values)
    return _Cache.conf


class _Cache:
    """What was read last, and from what; ``override_settings`` brings another dictionary."""

    source: ClassVar[tuple[object, dict[str, str]]] = (None, {})
    conf: ClassVar[Conf | None] = None


def find_problems() -> list[Problem]:
    """Return all that is wrong with the settings, for the system checks."""
    return _read()[1]


def _read() -> tuple[dict[str, Any], list[Problem]]:
    raw = getattr(settings, "SITEFLEET", {})
    if not isinstance(raw, dict):
        hint = 'Write SITEFLEET = {"DOMAIN_FORMAT": "{slug}.localhost:8000"}, for example.'
        return {}, [Problem("SITEFLEET", "The setting SITEFLEET is not a dictionary.", hint)]
    values: dict[str, Any] = {}
    problems = []
    for key, value in (raw | _from_environment()).items():
        problem = _unknown(key) or _problem_of(key, value)
        if problem is None and key == "SITE" and "SITE" in raw:
            hint = "Set SITEFLEET_SITE in the environment of the process instead."
            problem = Problem(key, "SITEFLEET['SITE'] belongs to one process.", hint)
        if problem is None:
            values[key] = tuple(value) if isinstance(value, (list, tuple)) else value
        else:
            problems.append(problem)
    return values, problems


def _from_environment() -> dict[str, str]:
    names = {key: f"SITEFLEET_{key}" for key in ENVIRONMENT_VARIABLES}
    return {key: os.environ[name] for key, name in names.items() if name in os.environ}


def _unknown(key: object) -> Problem | None:
    known = [item.name for item in fields(Conf) if item.name != "SITE"]
    if key in known or key == "SITE":
        return None
    near = get_close_matches(str(key).upper(), known, 1)
    hint = f"Did you mean {near[0]!r}?" if near else f"Known are: {', '.join(sorted(known))}."
    return Problem(str(key), f"SITEFLEET has no setting {key!r}.", hint)


def _problem_of(key: str, value: Any) -> Problem | None:
    default = getattr(Conf(), key)
    kind: Any = (int, float) if isinstance(default, float) else type(default)
    kind = (list, tuple) if kind is tuple else kind
    kind = (list, tuple, dict) if key == "SCOPED_MODELS" else kind
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        expected = "list" if isinstance(kind, tuple) and list in kind else type(default).__name__
        hint = f"Expected a value such as {_EXAMPLES.get(key, default)!r}."
        return Problem(key, f"SITEFLEET[{key!r}] is {value!r}, not a {expected}.", hint)
    reason = _REASONS.get(key, lambda _: "")(value)
    shown = textwrap.shorten(repr(value), 100, placeholder=" ...")
    return Problem(key, f"SITEFLEET[{key!r}] cannot be {shown}.", reason) if reason else None


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
    return ""


_MODEL = re.compile(r"[^\W\d]\w*\.[^\W\d]\w*")
_SETTING = re.compile(r"[A-Z][A-Z0-9_]*")
_MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
#: For settings whose default, being empty, shows nothing.
_EXAMPLES: dict[str, Any] = {
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
}
_REASONS: dict[str, Any] = {
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
}
