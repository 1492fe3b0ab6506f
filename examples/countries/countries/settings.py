"""Django's usual settings for development; all that makes a fleet of it is in the first part."""

import os
from pathlib import Path

from sitefleet import ACCEPTED_HOST

BASE_DIR = Path(__file__).resolve().parent.parent

# --- the fleet ---------------------------------------------------------------

ALLOWED_HOSTS = [ACCEPTED_HOST]  # the host that leads to a site, and no other
MIDDLEWARE = [
    "sitefleet.middleware.SiteMiddleware",  # first: all that follows runs under a site
    "sitefleet.persite.locale.SiteLocaleMiddleware",  # the language of the site
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "sitefleet.persite.csrf.CsrfViewMiddleware",  # trusts the site's own hosts alone
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
SITEFLEET = {
    # Where each site is on this machine. The live server has no format: there it is the domains.
    "DOMAIN_FORMAT": "{slug}.localhost:8000",
    # A theme is a folder with templates and static files, in front of those that all share.
    "THEME_DIRS": [BASE_DIR / "themes"],
    # Read by `settings.LANGUAGE_CODE`, as ever; the value of each site is edited in the admin.
    "SITE_SETTINGS": {"LANGUAGE_CODE": {"type": "language", "label": "Language"}},
    # Optional: `manage.py sites populate` brings these into the database.
    "SITES": {
        "portal": {
            "name": "Countries",
            "domain": "countries.example",
            "aliases": [{"name": "localhost", "redirect": False}],  # served here, too
            "theme": "portal",
        },
        "de": {
            "name": "Deutschland",
            "domain": "example.de",
            "theme": "de",
            "settings": {"LANGUAGE_CODE": "de"},
        },
        "gh": {
            "name": "Ghana",
            "domain": "example.gh",
            "theme": "gh",
            "settings": {"LANGUAGE_CODE": "en-gh"},
        },
        "us": {
            "name": "USA",
            "domain": "example.us",
            "aliases": ["america.localhost"],
            "theme": "us",
            "settings": {"LANGUAGE_CODE": "en-us"},
        },
        "br": {
            "name": "Brasil",
            "domain": "brasil.example",
            "theme": "br",
            "settings": {"LANGUAGE_CODE": "pt-br"},
        },
    },
}

# --- what follows the site: Django's own settings switch it on ----------------

CACHES = {"default": {"BACKEND": "sitefleet.persite.cache.LocMemCache"}}
SESSION_ENGINE = "sitefleet.persite.sessions.db"
SIGNING_BACKEND = "sitefleet.persite.signing.SiteSigner"
STORAGES = {
    "default": {
        "BACKEND": "sitefleet.persite.storage.SiteStorage",
        "OPTIONS": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    },
    "staticfiles": {"BACKEND": "sitefleet.persite.static.ThemedStaticFilesStorage"},
}
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "sitefleet.persite.static.ThemeFinder",
]

# --- this project ------------------------------------------------------------

FORMAT_MODULE_PATH = "countries.formats"

# --- as in any Django project ------------------------------------------------

DEBUG = True
SECRET_KEY = "public, since this is an example"
INSTALLED_APPS = [
    "pages",
    "sitefleet",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.sites",
    "django.contrib.staticfiles",
]
ROOT_URLCONF = "countries.urls"
TEMPLATES = [
    {
        "BACKEND": "sitefleet.persite.templates.django.DjangoTemplates",
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
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("COUNTRIES_DB", BASE_DIR / "db.sqlite3"),
        # Writers queue up from their first statement on, and readers need not wait for them.
        "OPTIONS": {"transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode=WAL"},
    }
}
LANGUAGE_CODE = "en"
LANGUAGES = [
    ("de", "Deutsch"),
    ("en", "English"),
    ("en-gh", "English (Ghana)"),
    ("en-us", "English (USA)"),
    ("pt-br", "Português (Brasil)"),
]
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "static/"
MEDIA_URL = "media/"
MEDIA_ROOT = BASE_DIR / "media"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
