"""The middleware, and its two settings."""

import pytest

from tests.persite.cookies.work import MIDDLEWARE, Urls


@pytest.fixture(autouse=True)
def with_middleware(settings):
    settings.MIDDLEWARE, settings.ROOT_URLCONF = MIDDLEWARE, Urls
    settings.MESSAGE_STORAGE = "django.contrib.messages.storage.cookie.CookieStorage"


@pytest.fixture
def host_cookies(settings):
    settings.SITEFLEET = {"FRESHNESS": 0.0, "HOST_COOKIES": True}


@pytest.fixture
def cookie_domain(settings):
    """Choose the domain of cookies."""

    def choose(domain, **more):
        settings.SITEFLEET = {"FRESHNESS": 0.0, "COOKIE_DOMAIN": domain, **more}

    return choose
