"""A project in which all that follows the site is switched on, together, and three sites of it.

The settings are as hostile as settings may be: wildcards are trusted for CSRF, the site that is the
default is the one that attackers would like to have, and all sites share one cache and one disk.
"""

from typing import NamedTuple

import django
from django.contrib.sites.models import Site
from django.core.signing import Signer
from prometheus_client import CollectorRegistry

import tests.settings
from sitefleet import override_site
from sitefleet.models import SiteConfig
from sitefleet.persite.metrics import MetricsMiddleware, SiteMetrics
from tests.persite import django_work

HERE = "tests.attacks"
ONE, TWO = "one.example.org", "two.example.org"
registry = CollectorRegistry()


class Metrics(MetricsMiddleware):
    """Metrics of these tests alone."""

    metrics = SiteMetrics(registry)


MIDDLEWARE = [
    f"{HERE}.project.Metrics",
    "sitefleet.middleware.SiteMiddleware",
    "sitefleet.persite.cookies.CookieMiddleware",
    "sitefleet.persite.locale.SiteLocaleMiddleware",
    "django.middleware.cache.UpdateCacheMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "sitefleet.persite.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.cache.FetchFromCacheMiddleware",
]
SITEFLEET = {
    "FRESHNESS": 0.0,
    "URLCONFS": [f"{HERE}.urls_red", f"{HERE}.urls_blue"],
    "SITE_SETTINGS": {
        "LANGUAGE_CODE": {},
        "TIME_ZONE": {},
        "DEFAULT_FROM_EMAIL": {},
        "LOGIN_URL": {},
        "TICKETS": {"type": "int", "default": 0},
        "MOTTO": {"type": "text", "default": ""},
    },
    "HOST_COOKIES": True,
    "MAIL_BACKEND": "django.core.mail.backends.locmem.EmailBackend",
    "METRICS_SITES": 50,
}
MAIL = "sitefleet.persite.mail.EmailBackend"


def settings_of(folder):
    """Return the settings, with themes, media and session files in a folder."""
    return {
        "SITEFLEET": {**SITEFLEET, "THEME_DIRS": [folder / "themes"]},
        "MIDDLEWARE": MIDDLEWARE,
        "ROOT_URLCONF": f"{HERE}.urls",
        "SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https"),
        "CSRF_TRUSTED_ORIGINS": ["https://*.example.org"],
        "CACHES": {"default": {"BACKEND": "sitefleet.persite.cache.LocMemCache", "LOCATION": HERE}},
        "CACHE_MIDDLEWARE_SECONDS": 0,  # Pages say themselves that they may be kept.
        "SESSION_ENGINE": "sitefleet.persite.sessions.cached_db",
        "MESSAGE_STORAGE": "django.contrib.messages.storage.cookie.CookieStorage",
        "SIGNING_BACKEND": "sitefleet.persite.signing.SiteSigner",
        "TEMPLATES": [
            {
                **tests.settings.TEMPLATES[0],
                "BACKEND": "sitefleet.persite.templates.django.DjangoTemplates",
                "DIRS": [folder / "templates"],
            }
        ],
        "STORAGES": {
            "default": {"BACKEND": "sitefleet.persite.storage.SiteStorage"},
            "staticfiles": {"BACKEND": "sitefleet.persite.static.ThemedStaticFilesStorage"},
        },
        "STATICFILES_FINDERS": ["sitefleet.persite.static.ThemeFinder"],
        "STATIC_URL": "/static/",
        "LOGIN_URL": "login",
        "MEDIA_ROOT": str(folder / "media"),
        "MEDIA_URL": "/media/",
        "TASKS": django_work.TASKS,
        **(
            {"MAILERS": {"default": {"BACKEND": MAIL}}}
            if django.VERSION >= (6, 1)
            else {"EMAIL_BACKEND": MAIL}
        ),
    }


TEMPLATES = {
    "templates/look.html": "{% block look %}shared{% endblock %}",
    "templates/mail.txt": "{% include 'look.html' %} {{ link }}",
    "templates/fragment.html": "{% load cache %}{% cache 60 menu %}{{ who }}{% endcache %}",
    "templates/names.html": "{{ site.name }}|{{ motto }}|{% include 'look.html' %}",
    "templates/registration/login.html": "{{ form }}",
    "templates/registration/password_reset_form.html": "{{ form }}",
    "templates/registration/password_reset_confirm.html": "{% if validlink %}{{ form }}{% endif %}",
    "templates/registration/logged_out.html": "{% include 'look.html' %}",
    "templates/flatpages/default.html": "{{ flatpage.content }}",
    "templates/404.html": "404 in {% include 'look.html' %}",
    "templates/500.html": "500 in {% include 'look.html' %}",
}
THEME = '{% extends "look.html" %}{% block look %}NAME over {{ block.super }}{% endblock %}'


def write_files(folder):
    """Write the shared templates, and the themes red and blue."""
    texts = dict(TEMPLATES)
    for theme in ("red", "blue"):
        texts[f"themes/{theme}/templates/look.html"] = THEME.replace("NAME", theme)
        texts[f"themes/{theme}/static/look.css"] = theme
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


class Sites(NamedTuple):
    """Two sites that have hosts of their own, and one below a path prefix of the first."""

    one: Site
    two: Site
    below: Site


LOOKS = {
    "one": ("red", "de", "Montag", "Africa/Accra"),
    "two": ("blue", "fr", "lundi", "America/Lima"),
    "below": ("", "en", "Monday", "America/Chicago"),
}


def make_sites():
    """Make the three sites, in a few queries."""
    rows = Sites(
        Site(domain=ONE, name="One"),
        Site(domain=TWO, name="Two"),
        Site(domain=f"{ONE}/below", name="Below"),
    )
    Site.objects.bulk_create(rows)
    SiteConfig.objects.bulk_create(
        SiteConfig(
            site=row,
            slug=name,
            domain=ONE if name == "below" else None,
            path_prefix="/below" if name == "below" else "",
            **options(name),
        )
        for name, row in rows._asdict().items()
    )
    return rows


def options(name):
    """Return the columns of what follows a site; the one below has nothing of its own."""
    theme = LOOKS[name][0]
    if not theme:
        return {}
    return {"theme": theme, "urlconf": f"{HERE}.urls_{theme}", "settings": stored(name)}


def stored(name):
    """Return the settings of a site."""
    language, zone = LOOKS[name][1], LOOKS[name][3]
    return {
        "LANGUAGE_CODE": language,
        "TIME_ZONE": zone,
        "DEFAULT_FROM_EMAIL": f"{name}@{name}.example",
        "TICKETS": len(name) * 1000,
        "MOTTO": f"motto of {name}",
    }


def expected(sites, name):
    """Return what `telling.told` is to tell on one of the sites, and nothing else."""
    return expected_of(getattr(sites, name), name, "/below" if name == "below" else "")


def expected_of(site, name, prefix=""):
    """Return what `telling.told` is to tell on a site that is made like the one of this name."""
    theme, language, text, zone = LOOKS[name]
    with override_site(site):
        signed = Signer().sign("a")
    return {
        "site": site.pk,
        "setting": site.pk,
        "tickets": stored(name)["TICKETS"] if theme else 0,
        "from": f"{name}@{name}.example" if theme else "webmaster@localhost",
        "language": language,
        "text": text,
        "zone": zone,
        "theme": f"{theme} over shared" if theme else "shared",
        "static": f"/static/themes/{theme}/look.css" if theme else "/static/look.css",
        "urlconf": f"{HERE}.urls_{theme}" if theme else f"{HERE}.urls",
        "where": f"/{theme}/where/" if theme else f"{prefix}/where/",
        "media": f"{prefix}/media/sites/{site.pk}/a.txt",
        "cached": site.pk,
        "key": f":{site.pk}",
        "signed": signed,
    }


def told(answer):
    """Return what a page has told, without what `expected` does not know."""
    return {name: value for name, value in answer.json().items() if name not in ("host", "domain")}
