"""The test project; SQLite in memory unless TEST_DATABASE_* say otherwise."""

import os

from sitefleet import ACCEPTED_HOST

SECRET_KEY = "not a secret"
DEBUG = False
ALLOWED_HOSTS = [ACCEPTED_HOST]
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.flatpages",
    "django.contrib.messages",
    "django.contrib.redirects",
    "django.contrib.sessions",
    "django.contrib.sitemaps",
    "django.contrib.sites",
    "django.contrib.staticfiles",
    "sitefleet",
    "tests.news",
    "tests.rooms",
]
MIDDLEWARE = [
    "sitefleet.middleware.SiteMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.contrib.flatpages.middleware.FlatpageFallbackMiddleware",
    "django.contrib.redirects.middleware.RedirectFallbackMiddleware",
]
ROOT_URLCONF = "tests.urls"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
DATABASES = {
    "default": {
        "ENGINE": os.environ.get("TEST_DATABASE_ENGINE", "django.db.backends.sqlite3"),
        "NAME": os.environ.get("TEST_DATABASE_NAME", ":memory:"),
        "HOST": os.environ.get("TEST_DATABASE_HOST", ""),
        "USER": os.environ.get("TEST_DATABASE_USER", ""),
    }
}
# Shared, so that the canary has something to see; tests of the cache have caches of their own.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "KEY_FUNCTION": "sitefleet.persite.cache.shared_by_all",
    }
}
SESSION_ENGINE = "sitefleet.persite.sessions.db"
STORAGES = {
    "default": {
        "BACKEND": "sitefleet.persite.storage.SiteStorage",
        "OPTIONS": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    },
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
SIGNING_BACKEND = "sitefleet.persite.signing.SiteSigner"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "static/"
MEDIA_URL = "media/"
USE_TZ = True
# Django 6.1 warns where mail is sent without it; older ones do not know it.
MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}
SILENCED_SYSTEM_CHECKS = ["sitefleet.W469"]  # tests.rooms.Key is of no site on purpose
SITEFLEET = {"FRESHNESS": 0.0}
