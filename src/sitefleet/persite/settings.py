"""Settings: what ``SITE_SETTINGS`` declares is read through ``django.conf.settings`` as ever.

``settings.NAME`` is the value of the site that was entered, else what stands in the settings, else
the default of the declaration, else there is no such setting. A request pays a few look-ups for
it, and for a setting that is not declared nothing.
"""

from __future__ import annotations

import logging
from copy import deepcopy
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.core import checks
from django.core.exceptions import ValidationError
from django.core.signals import setting_changed
from django.utils.functional import Promise

from sitefleet.checking import LOOKED_AT, look_into
from sitefleet.conf import find_problems as find_wrong_settings
from sitefleet.declared import MISSING, Declaration, declarations, find_problems
from sitefleet.following import configured, follow, stop_following
from sitefleet.kinds import shorten
from sitefleet.models import SiteConfig
from sitefleet.options import entered_site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from django.conf import LazySettings

    from sitefleet.presented import Shown

logger = logging.getLogger("sitefleet")


class _Reading:
    """Under which declarations values are read: another object when any of them may differ."""

    epoch: ClassVar[object] = object()


#: Values that cannot be used and were told, at most.
TOLD = 1000
#: Settings on which it depends what a stored value is.
WATCHED_SETTINGS = frozenset({"SITEFLEET", "LANGUAGES", "USE_TZ"})

#: What Django's settings object remembers, and forgets when a setting is changed. Behind our
#: properties it is free, and holds what counts where a site has no value of its own.
_of_project: dict[str, Any] = vars(settings)
_following: set[str] = set()
_told: set[tuple[int, str, str]] = set()


def connect() -> None:
    """Let the declared settings follow the site, also when a test declares others."""
    install()
    setting_changed.connect(_setting_changed, dispatch_uid="sitefleet.persite.settings")
    checks.register(check_declarations)
    checks.register(check_stored_values, checks.Tags.database)


def install() -> None:
    """Let just those settings follow the site that are declared now."""
    _Reading.epoch = object()
    # With settings that cannot be used the checks are to speak, and not this line.
    declared = {} if find_wrong_settings() else declarations()
    for name in _following - declared.keys():
        stop_following(name)
    for name, declaration in declared.items():
        _of_project.pop(name, None)
        follow(name, _reader(declaration))
    _following.clear()
    _following.update(declared)


def site_values(stored: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, ValidationError]]:
    """Return the values of a site by name, and of those that cannot be used what is wrong."""
    values, wrong = {}, {}
    declared = declarations()
    for name, kept in stored.items() if isinstance(stored, dict) else ():
        if name in declared and kept is not None:
            try:
                values[name] = declared[name].kind.load(kept)
            except ValidationError as error:
                wrong[name] = error
    return values, wrong


def _reader(declaration: Declaration) -> Callable[[LazySettings], Any]:
    name, default = declaration.name, declaration.default

    def read(_: LazySettings) -> Any:
        view = entered_site()
        if view is not None and view.options.stored:
            own = _own_values(view)
            if name in own:
                return own[name]
        try:
            return _of_project[name]
        except KeyError:
            value = configured(name, default)
            if value is MISSING:
                raise AttributeError(name) from None  # as for any setting that is not set
            if value is default and isinstance(value, (dict, list, set)):
                return deepcopy(value)  # one site must not change it for all others
            _of_project[name] = value
            return value

    return read


def _own_values(view: Shown) -> dict[str, Any]:
    stored = view.options.stored
    epoch, parsed = _Reading.epoch, stored.parsed
    if parsed is not None and parsed[0] is epoch:
        return parsed[1]
    values, wrong = site_values(stored)
    for name, error in wrong.items():
        _tell(view, name, stored[name], error)
    stored.parsed = epoch, values
    return values


def _tell(view: Shown, name: str, kept: Any, error: ValidationError) -> None:
    """Log that a value cannot be used: once in this process."""
    key = view.pk, name, shorten(kept)
    if key not in _told:
        if len(_told) >= TOLD:
            _told.clear()
        _told.add(key)
        logger.error(
            "The site %s (id %s) has a value for %s that cannot be used, so that of the project"
            " counts: %s",
            _in_one_line(view.slug),
            view.pk,
            name,
            _in_one_line(" ".join(error.messages)),
        )


def _in_one_line(text: str) -> str:
    """Return a text that forges no line: raw SQL, and fields of the project, let anything in."""
    return "".join(char if char.isprintable() else "?" for char in text)


def _setting_changed(setting: str, **_: Any) -> None:
    if setting in WATCHED_SETTINGS:
        install()


# --- checks ------------------------------------------------------------------


def check_declarations(**_: Any) -> list[checks.CheckMessage]:
    """Look at what is declared, and at what the project has for it."""
    if find_wrong_settings():
        return []  # check_settings says it.
    found: list[checks.CheckMessage] = [
        checks.Error(mistake.message, hint=mistake.hint, id=mistake.id)
        for mistake in find_problems()
    ]
    for declaration in declarations().values():
        value = configured(declaration.name, None)
        try:
            if value is not None and not isinstance(value, Promise):
                declaration.kind.check_of_project(value)
        except ValidationError as error:
            found.append(
                checks.Warning(
                    f"{declaration.name} of the project is not what SITE_SETTINGS declares:"
                    f" {' '.join(error.messages)}",
                    hint="Code would get one type on some sites and another on others.",
                    id="sitefleet.W349",
                )
            )
    return found


def check_stored_values(
    databases: Sequence[str] | None = None, **_: Any
) -> list[checks.CheckMessage]:
    """Look at values that came in past validation, or before their declaration was this one."""
    return look_into(databases, _check_rows)


def _check_rows(using: str) -> Iterator[checks.CheckMessage]:
    rows = SiteConfig.objects.using(using).exclude(settings={}).order_by("slug")
    for slug, stored in rows.values_list("slug", "settings")[:LOOKED_AT]:
        for name, error in site_values(stored)[1].items():
            yield checks.Warning(
                f"The site {slug} has a value for {name} that cannot be used, so that of the"
                f" project counts: {' '.join(error.messages)}",
                hint=f"`manage.py sites set {slug} {name}=` takes it away.",
                id="sitefleet.W348",
            )
