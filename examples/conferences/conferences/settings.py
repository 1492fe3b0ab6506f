"""Wafer's own settings; all that makes three conferences of one is below."""

import os
from pathlib import Path

from wafer.settings import *  # noqa: F403 - as Wafer's documentation has it
from wafer.settings import INSTALLED_APPS, TEMPLATES, WAFER_CACHE

from sitefleet import ACCEPTED_HOST

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(os.environ.get("CONFERENCES_DATA", BASE_DIR / "data"))

# --- the fleet ---------------------------------------------------------------

ALLOWED_HOSTS = [ACCEPTED_HOST]  # the host that leads to a conference, and no other
INSTALLED_APPS = ["conferences", "sitefleet", *INSTALLED_APPS]
MIDDLEWARE = [
    "sitefleet.middleware.SiteMiddleware",  # first: all that follows runs under a conference
    "sitefleet.persite.locale.SiteLocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "sitefleet.persite.csrf.CsrfViewMiddleware",  # in place of Django's
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.contrib.redirects.middleware.RedirectFallbackMiddleware",
]
SITE_ID = None  # Wafer says 1: a command that forgets --site is to be told so
SITEFLEET = {
    # Where each conference is on this machine. The live server has no format: there it is domains.
    "DOMAIN_FORMAT": "{slug}.localhost:8000",
    "THEME_DIRS": [BASE_DIR / "themes"],
    # What belongs to one conference. Not here, as accounts are those of all conferences: users and
    # groups, their profiles, what is known of them by key and value (social login is), and the
    # activation of a new account.
    "SCOPED_APP": "conferences",
    "SCOPED_MODELS": {
        "pages.File": {},
        "pages.Page": {},
        "schedule.ScheduleBlock": {},
        "schedule.ScheduleItem": {},
        "schedule.Slot": {},
        "schedule.Venue": {},
        "sponsors.File": {},
        "sponsors.Sponsor": {},
        "sponsors.SponsorshipPackage": {},
        "sponsors.TaggedFile": {},
        "talks.Review": {},
        "talks.ReviewAspect": {},
        "talks.Score": {},
        "talks.Talk": {},
        "talks.TalkType": {},
        "talks.TalkUrl": {},
        "talks.Track": {},
        "tickets.Ticket": {},
        "tickets.TicketType": {},
        "tickets.TicketTypeTag": {},
        "admin.LogEntry": {},  # "recent actions"
        "reversion.Revision": {},  # "recover deleted"
        "reversion.Version": {},
        "redirects.Redirect": {"add": False},  # has a site since ever
    },
    # Read by `settings.WAFER_TALKS_OPEN` and so on, as ever; edited in the admin.
    "SITE_SETTINGS": {
        "WAFER_CONFERENCE_ACRONYM": {"type": "str", "label": "Acronym"},
        "WAFER_TALKS_OPEN": {"type": "bool", "label": "Talks can be submitted"},
        "WAFER_REGISTRATION_OPEN": {"type": "bool", "label": "Tickets can be claimed"},
        "WAFER_HIDE_SCHEDULE": {"type": "bool", "label": "Hide the schedule"},
        "WAFER_PUBLIC_ATTENDEE_LIST": {"type": "bool", "label": "Show who takes part"},
        "DEFAULT_FROM_EMAIL": {},
        "TIME_ZONE": {},
        "BUILD_DIR": {"type": "str", "label": "Folder of the static copy"},
    },
    "SITES": {
        f"conf{year}": {
            "name": f"FleetConf {year}",
            "domain": f"{year}.fleetconf.example",
            "theme": f"conf{year}",
            "settings": {
                "WAFER_CONFERENCE_ACRONYM": f"fc{year}",
                "WAFER_TALKS_OPEN": year == "2026",
                "WAFER_REGISTRATION_OPEN": year == "2026",
                "DEFAULT_FROM_EMAIL": f"FleetConf {year} <team@{year}.fleetconf.example>",
                "TIME_ZONE": zone,
                "BUILD_DIR": str(DATA_DIR / "build" / year),
            },
        }
        for year, zone in (
            ("2024", "Africa/Johannesburg"),
            ("2025", "Europe/Berlin"),
            ("2026", "America/New_York"),
        )
    },
    "MAIL_BACKEND": "django.core.mail.backends.console.EmailBackend",
}
del BUILD_DIR  # noqa: F821 - Wafer has one for all; a conference without one is to be told so

# --- what follows the site: Django's own settings switch it on ----------------

CACHES = {
    "default": {"BACKEND": "sitefleet.persite.cache.LocMemCache"},
    WAFER_CACHE: {
        "BACKEND": "sitefleet.persite.cache.DatabaseCache",
        "LOCATION": "wafer_cache_table",
    },
}
SESSION_ENGINE = "sitefleet.persite.sessions.db"
SIGNING_BACKEND = "sitefleet.persite.signing.SiteSigner"
EMAIL_BACKEND = "sitefleet.persite.mail.EmailBackend"
STORAGES = {
    "default": {"BACKEND": "sitefleet.persite.storage.SiteStorage"},
    "staticfiles": {"BACKEND": "sitefleet.persite.static.ThemedStaticFilesStorage"},
}
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "sitefleet.persite.static.ThemeFinder",
]
TEMPLATES = [{**TEMPLATES[0], "BACKEND": "sitefleet.persite.templates.django.DjangoTemplates"}]

# --- who takes part in a conference: accounts are shared, lists of them are not ----------------

ROOT_URLCONF = "conferences.urls"
WAFER_TALK_FORM = "conferences.forms.TalkForm"
BAKERY_VIEWS = [
    "wafer.pages.views.ShowPage",
    "wafer.schedule.views.VenueView",
    "wafer.schedule.views.ScheduleView",
    "wafer.schedule.views.ScheduleXmlView",
    "wafer.schedule.views.ICalView",
    "wafer.sponsors.views.ShowSponsors",
    "wafer.sponsors.views.ShowPackages",
    "wafer.sponsors.views.SponsorView",
    "wafer.talks.views.TalkView",
    "wafer.talks.views.Speakers",
    "wafer.talks.views.TracksView",
    "wafer.talks.views.TalkTypesView",
    "wafer.talks.views.UsersTalks",
    "conferences.views.PeopleView",
    "conferences.views.PersonView",
]

# --- as in any Django project ------------------------------------------------

DEBUG = True
SILENCED_SYSTEM_CHECKS = [
    "sitefleet.W333",  # Wafer's own URL of media stands behind serve_media
    "sitefleet.W424",  # barcodes come from one ticket office, which gives none twice
]
SECRET_KEY = "public, since this is an example"
WSGI_APPLICATION = None
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": DATA_DIR / "db.sqlite3",
        # Writers queue up from their first statement on, and readers need not wait for them.
        "OPTIONS": {"transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode=WAL"},
    }
}
STATIC_ROOT = DATA_DIR / "static"
MEDIA_ROOT = DATA_DIR / "media"
MEDIA_URL = "/media/"
