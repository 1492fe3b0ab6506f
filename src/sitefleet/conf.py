"""Settings: one dict, ``SITEFLEET = {...}``, read lazily and typed; all defaults in one place.

Some may also come from the environment, for operators: ``SITEFLEET_DOMAIN_FORMAT``,
``SITEFLEET_SCHEME`` and ``SITEFLEET_SITE``; there the environment wins.
"""

from __future__ import annotations

import os
import textwrap
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings

from sitefleet.conf_rules import EXAMPLES, REASONS
from sitefleet.exceptions import InvalidSetting

if TYPE_CHECKING:
    from pathlib import Path

ENVIRONMENT_VARIABLES = ("DOMAIN_FORMAT", "SCHEME", "SITE")
#: In the environment of a process that is for one site alone: the id of that site.
PROCESS_SITE = "SITE_ID"


#: Longer numbers are no ids, and some databases refuse them as parameters.
ID_LENGTH = 18


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

    SERVING: dict[str, Any] = field(default_factory=dict)
    """How ``sitefleet up`` serves the fleet: ``driver``, ``router``, ``mode`` and so on."""


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


def process_site_id() -> int | None:
    """Return the site that this process is for, by ``SITE_ID`` in its environment; None: for all.

    Raises InvalidSetting for what is no id.
    """
    text = os.environ.get(PROCESS_SITE, "").strip()
    if not text:
        return None
    if text.isascii() and text.isdigit() and len(text) <= ID_LENGTH:
        return int(text)
    message = f"SITE_ID in the environment is {text[:40]!r}, not the id of a site, a whole number."
    raise InvalidSetting(message)


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
        hint = f"Expected a value such as {EXAMPLES.get(key, default)!r}."
        return Problem(key, f"SITEFLEET[{key!r}] is {value!r}, not a {expected}.", hint)
    reason = REASONS.get(key, lambda _: "")(value)
    shown = textwrap.shorten(repr(value), 100, placeholder=" ...")
    return Problem(key, f"SITEFLEET[{key!r}] cannot be {shown}.", reason) if reason else None
