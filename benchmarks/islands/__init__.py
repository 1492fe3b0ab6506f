"""A page as many have it, and all that can follow the site there, to be switched on one by one.

One query, one cached fragment, one template with two links, an image and a style sheet; a visitor
with a session and a form with a CSRF token; a line in the log.
"""

from __future__ import annotations

import json
import os
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

HERE = Path(__file__).parent
PATH = "/"
URLCONF = "benchmarks.islands.urls"
APPS = ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.staticfiles"]
STACK = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
SETTINGS: dict[str, Any] = {
    "ROOT_URLCONF": URLCONF,
    "CACHES": {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
    "SESSION_ENGINE": "django.contrib.sessions.backends.cache",
    "SESSION_COOKIE_SECURE": True,
    "CSRF_COOKIE_SECURE": True,
    "STATIC_URL": "static/",
    "MEDIA_URL": "media/",
    "MEDIA_ROOT": str(HERE / "media"),
    "DEFAULT_FROM_EMAIL": "office@example.org",
    "STORAGES": {
        "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    },
    "TEMPLATES": [
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "DIRS": [str(HERE / "templates")],
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                ]
            },
        }
    ],
    "LOGGING_CONFIG": "logging.config.dictConfig",
    "LOGGING": {
        "version": 1,
        "formatters": {"line": {"format": "%(levelname)s %(message)s"}},
        "handlers": {
            "file": {
                "class": "logging.FileHandler",
                "filename": os.devnull,
                "formatter": "line",
                "filters": [],
            }
        },
        "filters": {},
        "loggers": {"benchmarks": {"handlers": ["file"], "level": "INFO"}},
    },
}


def switch_on(settings: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return the settings of a project in which these islands are on."""
    changed = deepcopy(settings)
    for name in names:
        ISLANDS[name](changed)
    return changed


def row(names: Iterable[str]) -> dict[str, Any]:
    """Return what such a site has in its SiteConfig."""
    return {column: value for name in names for column, value in ROWS.get(name, {}).items()}


def _cache(settings: dict[str, Any]) -> None:
    settings["CACHES"]["default"]["BACKEND"] = "sitefleet.persite.cache.LocMemCache"


def _templates(settings: dict[str, Any]) -> None:
    settings["SITEFLEET"]["THEME_DIRS"] = [str(HERE / "themes")]
    settings["TEMPLATES"][0]["BACKEND"] = "sitefleet.persite.templates.django.DjangoTemplates"


def _static(settings: dict[str, Any]) -> None:
    settings["SITEFLEET"]["THEME_DIRS"] = [str(HERE / "themes")]
    settings["STORAGES"]["staticfiles"] = {
        "BACKEND": "sitefleet.persite.static.ThemedStaticFilesStorage"
    }


def _urls(settings: dict[str, Any]) -> None:
    settings["SITEFLEET"]["URLCONFS"] = [URLCONF]


def _storage(settings: dict[str, Any]) -> None:
    settings["STORAGES"]["default"] = {"BACKEND": "sitefleet.persite.storage.SiteStorage"}


def _settings(settings: dict[str, Any]) -> None:
    declared = settings["SITEFLEET"].setdefault("SITE_SETTINGS", {})
    declared |= {"DEFAULT_FROM_EMAIL": {}, "HASHTAG": {"type": "str", "default": ""}}


def _language(settings: dict[str, Any]) -> None:
    declared = settings["SITEFLEET"].setdefault("SITE_SETTINGS", {})
    declared |= {"LANGUAGE_CODE": {}, "TIME_ZONE": {}}
    _behind_site(settings, "sitefleet.persite.locale.SiteLocaleMiddleware")


def _sessions(settings: dict[str, Any]) -> None:
    settings["SESSION_ENGINE"] = "sitefleet.persite.sessions.cache"


def _csrf(settings: dict[str, Any]) -> None:
    ours = "sitefleet.persite.csrf.CsrfViewMiddleware"
    settings["MIDDLEWARE"] = [
        ours if name.endswith("CsrfViewMiddleware") else name for name in settings["MIDDLEWARE"]
    ]


def _cookies(settings: dict[str, Any]) -> None:
    settings["SITEFLEET"]["HOST_COOKIES"] = True
    _behind_site(settings, "sitefleet.persite.cookies.CookieMiddleware")


def _signing(settings: dict[str, Any]) -> None:
    settings["SIGNING_BACKEND"] = "sitefleet.persite.signing.SiteSigner"


def _logging(settings: dict[str, Any]) -> None:
    logging = settings["LOGGING"]
    logging["filters"]["site"] = {"()": "sitefleet.persite.logging.SiteFilter"}
    logging["handlers"]["file"]["filters"] = ["site"]
    logging["formatters"]["line"]["format"] = "%(levelname)s %(site_slug)s %(message)s"


def _metrics(settings: dict[str, Any]) -> None:
    settings["MIDDLEWARE"].insert(0, "sitefleet.persite.metrics.MetricsMiddleware")


def _behind_site(settings: dict[str, Any], name: str) -> None:
    order = settings["MIDDLEWARE"]
    order.insert(order.index("sitefleet.middleware.SiteMiddleware") + 1, name)


ISLANDS: dict[str, Callable[[dict[str, Any]], None]] = {
    "cache": _cache,
    "templates": _templates,
    "static files": _static,
    "URLs": _urls,
    "storage": _storage,
    "settings": _settings,
    "language and time zone": _language,
    "sessions": _sessions,
    "CSRF": _csrf,
    "cookies": _cookies,
    "signing": _signing,
    "logs": _logging,
    "metrics": _metrics,
}
ROWS: dict[str, dict[str, Any]] = {
    "templates": {"theme": "winter"},
    "static files": {"theme": "winter"},
    "URLs": {"urlconf": URLCONF},
    "settings": {"settings": json.dumps({"DEFAULT_FROM_EMAIL": "gh@example.org"})},
    "language and time zone": {
        "settings": json.dumps(
            {
                "DEFAULT_FROM_EMAIL": "gh@example.org",
                "LANGUAGE_CODE": "de",
                "TIME_ZONE": "Africa/Accra",
            }
        )
    },
}
