"""Mistakes in whom cookies are for."""

import pytest
from django.core import checks

from sitefleet.persite import cookies
from tests.persite.cookies.work import FIRST, MIDDLEWARE, OURS

HOST = {"SITEFLEET": {"HOST_COOKIES": True}}
SHARED = {"SITEFLEET": {"COOKIE_DOMAIN": "example.org"}}
SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, []),
        (HOST, []),
        (SHARED, []),
        ({"SITEFLEET": []}, []),  # other checks say that
        ({"SESSION_COOKIE_DOMAIN": "example.org"}, ["W361"]),
        ({"CSRF_COOKIE_DOMAIN": ".example.org"}, ["W361"]),
        ({"LANGUAGE_COOKIE_DOMAIN": "example.org"}, ["W361"]),
        ({"SESSION_COOKIE_DOMAIN": ".co.uk"}, ["E362"]),
        ({"CSRF_COOKIE_DOMAIN": "GitHub.io"}, ["E362"]),
        (
            {"LANGUAGE_COOKIE_DOMAIN": "ours.app", "SITEFLEET": {"OWN_SUFFIXES": ["ours.app"]}},
            ["E362"],
        ),
        ({"SITEFLEET": {"COOKIE_DOMAIN": "co.uk"}}, ["E363"]),
        ({"SITEFLEET": {"COOKIE_DOMAIN": ".example.org"}}, ["E363"]),
        ({"SITEFLEET": {"COOKIE_DOMAIN": "localhost"}}, ["E363"]),
        ({"SITEFLEET": {"COOKIE_DOMAIN": "192.0.2.7"}}, ["E363"]),
        ({"SITEFLEET": {"COOKIE_DOMAIN": "example.org:8000"}}, ["E363"]),
        (
            {"SITEFLEET": {"COOKIE_DOMAIN": "ours.app", "OWN_SUFFIXES": ["ours.app"]}},
            ["E363"],
        ),
        (HOST | {"MIDDLEWARE": [FIRST, *MIDDLEWARE[2:]]}, ["E364"]),
        (SHARED | {"MIDDLEWARE": [FIRST, *MIDDLEWARE[2:]]}, ["E364"]),
        (HOST | {"MIDDLEWARE": [OURS, FIRST, *MIDDLEWARE[2:]]}, ["E365"]),
        (HOST | {"MIDDLEWARE": [FIRST, SESSIONS, OURS]}, ["E365"]),
        (HOST | {"MIDDLEWARE": [FIRST, MIDDLEWARE[2], OURS, SESSIONS]}, []),
        ({"SITEFLEET": {"HOST_COOKIES": True, "COOKIE_DOMAIN": "example.org"}}, ["E366"]),
        (HOST | {"SESSION_COOKIE_PATH": "/a"}, ["E366"]),
        (HOST | {"CSRF_COOKIE_DOMAIN": "example.org"}, ["E366", "W361"]),
        (HOST | {"CSRF_COOKIE_PATH": "/a", "LANGUAGE_COOKIE_PATH": "/b"}, ["E366", "E366"]),
        ({"SESSION_COOKIE_PATH": "/a"}, []),
    ],
)
def test_mistakes_are_reported_with_a_hint(db, settings, values, expected):
    for name, value in values.items():
        setattr(settings, name, value)
    found = cookies.check_cookies()
    assert sorted(each.id.removeprefix("sitefleet.") for each in found) == expected
    assert all(each.hint for each in found)
    registered = {each.id for each in checks.run_checks()}
    assert {each.id for each in found} <= registered
