"""Language and time zone of a site: found, put in force, taken out again.

The trap: Django keeps, as long as the process lives, the time zone and the language that its
settings have when they are first asked for (``get_default_timezone()``; the catalogue that texts
fall back to which the active language lacks). Those are to be the project's, whichever site comes
first: see `keep_defaults`.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils import timezone
from django.utils.translation import trans_real

from sitefleet.conf import find_problems
from sitefleet.current import override_site
from sitefleet.declared import declarations
from sitefleet.following import configured

LANGUAGE, ZONE = "LANGUAGE_CODE", "TIME_ZONE"
#: These modules with what they keep to themselves.
_translation: Any = trans_real
_timezone: Any = timezone

#: Which of the two are declared: looked at in each request.
declared: set[str] = set()


def look() -> None:
    """Find out what is declared now."""
    declared.clear()
    # With settings that cannot be used the checks are to speak, and not this line.
    declared.update({LANGUAGE, ZONE} & (set() if find_problems() else declarations().keys()))
    with suppress(OSError):  # no such language: Django's check says it
        keep_defaults()


class Locale:
    """A language and a time zone, in force for a block; None leaves what is there alone."""

    __slots__ = ("language", "outside", "zone")

    def __init__(self, language: Any, zone: Any) -> None:
        self.language, self.zone = language, zone
        self.outside: tuple[Any, Any] = None, None

    def __enter__(self) -> None:
        # Not by Django's `override`: it takes the language of the settings for an active one.
        language = zone = None
        if self.language is not None:
            language = getattr(_translation._active, "value", None)
            _translation._active.value = self.language
        if self.zone is not None:
            zone = getattr(_timezone._active, "value", None)
            _timezone._active.value = self.zone
        self.outside = language, zone

    def __exit__(self, *exception: object) -> None:
        if self.language is not None:
            _set(_translation._active, self.outside[0])
        if self.zone is not None:
            _set(_timezone._active, self.outside[1])


class LocaleSteps:
    """What is in force now, for a body that is produced later: put in force for its steps."""

    __slots__ = ("inside", "outside")

    def __init__(self) -> None:
        self.inside = self.outside = _active()

    def __enter__(self) -> None:
        self.outside = _active()
        _set(_translation._active, self.inside[0])
        _set(_timezone._active, self.inside[1])

    def __exit__(self, *exception: object) -> None:
        self.inside = _active()  # the body may have changed it
        _set(_translation._active, self.outside[0])
        _set(_timezone._active, self.outside[1])


def _active() -> tuple[Any, Any]:
    return getattr(_translation._active, "value", None), getattr(_timezone._active, "value", None)


def _set(local: Any, value: Any) -> None:
    if value is not None:
        local.value = value
    else:
        with suppress(AttributeError):
            del local.value


def of_site() -> Locale:
    """Return the language and the time zone of the current site, as far as they are declared."""
    language = _catalogue(settings.LANGUAGE_CODE) if LANGUAGE in declared else None
    zone = ZoneInfo(settings.TIME_ZONE) if ZONE in declared else None
    keep_defaults()
    return Locale(language, zone)


def _catalogue(language: str) -> Any:
    known = _translation._translations.get(language)
    if known is None:
        with override_site(None):
            known = _translation.translation(language)
    return known


def keep_defaults() -> None:
    """Let the language and the time zone that Django keeps for good be the project's."""
    if LANGUAGE in declared:
        known = _translation._translations
        if _translation._default is None or _Kept.known is not known or _Kept.count != len(known):
            project = configured(LANGUAGE)
            default = _translation._default = _catalogue(project)
            for language, catalogue in list(known.items()):
                # As Django has it when the site is not known: see DjangoTranslation._add_fallback.
                has_none = language == project or language.startswith("en")
                catalogue._fallback = None if has_none else default
            _Kept.known, _Kept.count = known, len(known)
    if ZONE in declared and not _timezone.get_default_timezone.cache_info().currsize:
        with override_site(None):
            _timezone.get_default_timezone()


class _Kept:
    """The catalogues that were seen last, and how many there were."""

    known: ClassVar[dict[str, Any]] = {}
    count: ClassVar[int] = 0
