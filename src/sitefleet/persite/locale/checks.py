"""Checks: whether language and time zone of a site can be put in force, and are."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.conf.urls.i18n import is_language_prefix_patterns_used
from django.core import checks
from django.core.exceptions import ImproperlyConfigured, ValidationError

from sitefleet.checking import LOOKED_AT, SITE_MIDDLEWARE, look_into
from sitefleet.declared import declarations
from sitefleet.following import configured
from sitefleet.models import SiteConfig
from sitefleet.persite.locale.in_force import LANGUAGE, ZONE, declared
from sitefleet.pipeline import is_listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MIDDLEWARE = "sitefleet.persite.locale.SiteLocaleMiddleware"
#: Middleware that needs to know the language, or the time zone.
LATER_MIDDLEWARE = (
    "django.middleware.cache.UpdateCacheMiddleware",
    "django.middleware.locale.LocaleMiddleware",
)


def register() -> None:
    """Register all of the below with Django."""
    checks.register(check_locale)
    checks.register(check_language_prefixes, checks.Tags.database)


def check_locale(**_: Any) -> list[checks.CheckMessage]:
    """Look at whether language and time zone of a site can be put in force, and are."""
    found: list[checks.CheckMessage] = []
    if ZONE in declared and not settings.USE_TZ:
        found.append(
            checks.Error(
                "SITE_SETTINGS declares TIME_ZONE, and USE_TZ is off: then the time zone is that of"
                " the process and of its database connections.",
                hint="USE_TZ = True",
                id="sitefleet.E344",
            )
        )
    order = list(settings.MIDDLEWARE)
    if declared and MIDDLEWARE not in order:
        found.append(
            checks.Warning(
                f"SITE_SETTINGS declares {' and '.join(sorted(declared))}, and nothing activates"
                " them for a request.",
                hint=f'Put "{MIDDLEWARE}" right behind "{SITE_MIDDLEWARE}" in MIDDLEWARE.',
                id="sitefleet.W345",
            )
        )
    if MIDDLEWARE in order:
        place = order.index(MIDDLEWARE)
        wrong = [path for path in order[:place] if path in LATER_MIDDLEWARE]
        if SITE_MIDDLEWARE in order[place:]:
            wrong.append(f"{SITE_MIDDLEWARE}, which must stand before it,")
        found += [
            checks.Error(
                f"SiteLocaleMiddleware stands at the wrong place: {path} is on the other side.",
                hint=f'Put "{MIDDLEWARE}" right behind "{SITE_MIDDLEWARE}" in MIDDLEWARE.',
                id="sitefleet.E346",
            )
            for path in wrong
        ]
    return found


def check_language_prefixes(
    databases: Sequence[str] | None = None, **_: Any
) -> list[checks.CheckMessage]:
    """Look for sites of several languages on a URLconf whose default language has no prefix."""
    return look_into(databases, _check_prefixes) if LANGUAGE in declared else []


def _check_prefixes(using: str) -> Iterator[checks.CheckMessage]:
    for urlconf, found in _languages_by_urlconf(using).items():
        if len(found) > 1 and _has_bare_default(urlconf):
            yield checks.Error(
                f"Sites with the languages {', '.join(sorted(found))} share the URLconf {urlconf},"
                " where the default language has no prefix: reverse() gives one the addresses of"
                " another.",
                hint="Take prefix_default_language=False out, or give the sites of each"
                " LANGUAGE_CODE a URLconf of their own, in URLCONFS.",
                id="sitefleet.E347",
            )


def _languages_by_urlconf(using: str) -> dict[str, set[str]]:
    kind, project = declarations()[LANGUAGE].kind, configured(LANGUAGE)
    found: dict[str, set[str]] = {}
    rows = SiteConfig.objects.using(using).values_list("urlconf", "settings")
    for urlconf, stored in rows[:LOOKED_AT]:
        if not is_listed(urlconf):
            continue  # Never imported, and such a site answers 503.
        language = project
        with suppress(AttributeError, ValidationError):  # rows come in past validation, too
            language = kind.load(stored.get(LANGUAGE, project))
        found.setdefault(urlconf or configured("ROOT_URLCONF"), set()).add(language)
    return found


def _has_bare_default(urlconf: str) -> bool:
    try:
        used, prefixed = is_language_prefix_patterns_used(urlconf)
    except (ImportError, ImproperlyConfigured):
        return False  # Django's checks say it.
    return used and not prefixed
