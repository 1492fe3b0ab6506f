"""Which engines are accepted, and which cookies."""

import pytest
from django.core import checks

from tests.persite.sessions.work import ENGINES, PLACE, THIRD_PARTY


def messages(**options):
    found = checks.run_checks(**options)
    return {
        each.id: each for each in found if each.id.startswith(("sitefleet.W35", "sitefleet.E35"))
    }


@pytest.mark.parametrize("name", ENGINES)
def test_bound_engines_are_accepted(db, settings, name):
    settings.SESSION_ENGINE = f"{PLACE}.{name}"
    assert messages() == {}


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_of_django_is_reported_with_the_line_to_write(db, settings, name):
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{name}"
    assert messages()["sitefleet.W350"].hint == f'SESSION_ENGINE = "{PLACE}.{name}"'


def test_an_engine_of_a_third_party_is_accepted_with_the_mixin_only(db, settings):
    settings.SESSION_ENGINE = THIRD_PARTY
    assert messages() == {}
    settings.SESSION_ENGINE = f"{__name__.rpartition('.')[0]}.unbound_engine"
    (message,) = messages().values()
    assert message.id == "sitefleet.E352"
    assert message.hint == f'Write SESSION_ENGINE = "{PLACE}.db"'


def test_without_sessions_there_is_nothing_to_bind(db, settings):
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    settings.INSTALLED_APPS = [
        app for app in settings.INSTALLED_APPS if app != "django.contrib.sessions"
    ]
    middleware = "django.contrib.sessions.middleware.SessionMiddleware"
    assert "sitefleet.W350" in messages()
    settings.MIDDLEWARE = [each for each in settings.MIDDLEWARE if each != middleware]
    assert messages() == {}


def test_sites_that_share_a_cookie_and_no_sessions_are_reported(site, other_site, settings):
    def reported(domain):
        settings.SITEFLEET = {"COOKIE_DOMAIN": domain}
        return set(messages(databases=["default"]))

    assert reported("example.org") == {"sitefleet.W351"}
    assert reported("one.example.org") == reported("le.org") == reported("") == set()
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    assert reported("example.org") == {"sitefleet.W350"}
