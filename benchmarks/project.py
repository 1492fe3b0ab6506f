"""The project that is measured, in each of the configurations that are compared."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from benchmarks import islands, languages, rows, tenants

PAGES = {
    "domain": {"ROOT_URLCONF": "benchmarks.urls"},
    "islands": islands.SETTINGS,
    "languages": languages.SETTINGS,
    "rows": rows.SETTINGS,
    "tenants": tenants.SETTINGS,
}
PATHS = {"islands": islands.PATH, "languages": languages.PATH}
APPS = {"islands": islands.APPS, "rows": rows.APPS, "tenants": tenants.APPS}
STACKS = {
    "bare": [],
    "islands": islands.STACK,
    "languages": languages.STACK,
    "reloading": ["benchmarks.languages.reloading.reloading", *languages.STACK],
    "usual": [
        "django.middleware.security.SecurityMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
    ],
}
#: Entries enough for every site that is visited: with Django's default of 300 it is far slower.
BIG_CACHE = {"MAX_ENTRIES": 1_000_000}


def settings_for(spec: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a configuration: ``plain``, ``sitefleet`` or ``multisite``."""
    settings = {
        "SECRET_KEY": "a throw-away project",
        "DATABASES": {"default": spec["database"]},
        "DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField",
        "LOGGING_CONFIG": None,
        "USE_TZ": True,
        **PAGES[spec["page"]],
        **_CONFIGURATIONS[spec["configuration"]](STACKS[spec["stack"]], spec["sitefleet"]),
    }
    if settings.get("SCHEMAS"):
        settings["DATABASES"]["default"] |= {"ENGINE": settings["SCHEMAS"]}
    settings["INSTALLED_APPS"] += APPS.get(spec["page"], [])
    return islands.switch_on(settings, spec["islands"]) | spec["settings"]


def _plain(stack: list[str], _: dict[str, Any]) -> dict[str, Any]:
    return {
        "ALLOWED_HOSTS": ["*"],
        "INSTALLED_APPS": ["django.contrib.sites"],
        "MIDDLEWARE": stack,
        "SITE_ID": 1,
    }


def _sitefleet(stack: list[str], options: dict[str, Any]) -> dict[str, Any]:
    return {
        "ALLOWED_HOSTS": [import_module("sitefleet").ACCEPTED_HOST],
        "INSTALLED_APPS": ["django.contrib.sites", "sitefleet"],
        "MIDDLEWARE": ["sitefleet.middleware.SiteMiddleware", *stack],
        "SITEFLEET": options,
    }


def _multisite(stack: list[str], _: dict[str, Any]) -> dict[str, Any]:
    # Its own class for ALLOWED_HOSTS does not start on Django 4.0 and later, and costs a query
    # for each request where it does.
    backend = "django.core.cache.backends.locmem.LocMemCache"
    return {
        "ALLOWED_HOSTS": ["*"],
        "INSTALLED_APPS": ["django.contrib.sites", "multisite"],
        "MIDDLEWARE": ["multisite.middleware.DynamicSiteMiddleware", *stack],
        "SITE_ID": import_module("multisite").SiteID(default=1),
        "CACHES": {"default": {"BACKEND": backend, "OPTIONS": BIG_CACHE}},
        # A SiteID is no int, and 1.9.0 has a field that Django 4.0 has removed.
        "SILENCED_SYSTEM_CHECKS": ["sites.E101", "fields.E903"],
    }


_CONFIGURATIONS = {
    "plain": _plain,
    "sitefleet": _sitefleet,
    "multisite": _multisite,
    "django-tenants": tenants.django_tenants,
    "django-pgschemas": tenants.django_pgschemas,
}
