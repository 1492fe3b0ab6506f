"""Django's usual settings for development; all that makes a fleet of it is in the first part."""

import os
from pathlib import Path

from sitefleet import ACCEPTED_HOST

BASE_DIR = Path(__file__).resolve().parent.parent

# --- the fleet ---------------------------------------------------------------

ALLOWED_HOSTS = [ACCEPTED_HOST]  # the host that leads to a site, and no other
MIDDLEWARE = [
    "sitefleet.middleware.SiteMiddleware",  # first: all that follows runs under a site
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "pages.middleware.SiteLanguageMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
SITEFLEET = {
    # Where each site is on this machine. The live server has no format: there it is the domains.
    "DOMAIN_FORMAT": "{slug}.localhost:8000",
    # Optional: `manage.py sites populate` brings these into the database.
    "SITES": {
        "portal": {
            "name": "Countries",
            "domain": "countries.example",
            "aliases": [{"name": "localhost", "redirect": False}],  # served here, too
        },
        "de": {"name": "Deutschland", "domain": "example.de"},
        "gh": {"name": "Ghana", "domain": "example.gh"},
        "us": {"name": "USA", "domain": "example.us", "aliases": ["america.localhost"]},
        "br": {"name": "Brasil", "domain": "brasil.example"},
    },
}

# --- this project ------------------------------------------------------------

#: The language of each site; read by pages.middleware.
SITE_LANGUAGES = {"portal": "en", "de": "de", "gh": "en-gh", "us": "en-us", "br": "pt-br"}
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
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("COUNTRIES_DB", BASE_DIR / "db.sqlite3"),
        # Writers queue up from their first statement on, and readers need not wait for them.
        "OPTIONS": {"transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode=WAL"},
    }
}
LANGUAGE_CODE = "en"
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "static/"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
