"""Only URLconfs that the settings list are ever imported; and what the setting switches on."""

import logging

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings as django_settings
from django.urls import reverse

from sitefleet import override_site
from sitefleet.current import wiring
from sitefleet.exceptions import InvalidSetting
from sitefleet.following import configured
from sitefleet.models import SiteConfig
from sitefleet.persite import urls
from sitefleet.registry import add_site
from tests.asgi import ask
from tests.persite.urlconfs.sites import (
    BLOG,
    HOSTS,
    MODULES,
    PLAIN,
    SHOP,
    WARM,
    WHERE,
    get,
    three_sites,  # noqa: F401 - the fixture `sites`
)


def test_a_urlconf_that_is_not_listed_is_never_imported(sites, caplog):
    SiteConfig.objects.filter(site=sites["shop"]).update(urlconf=f"{MODULES}.broken")
    for response in (get("shop", WHERE["shop"]), get("shop", WHERE["plain"])):
        assert response.status_code == 503
        assert response["Retry-After"] == "600"
        assert "broken" not in response.content.decode()
    assert async_to_sync(ask)(HOSTS["shop"], "/").status == 503
    told = [record for record in caplog.records if record.name == "sitefleet"]
    assert [record.levelno for record in told] == [logging.ERROR] * 3
    assert told[0].getMessage() == (
        f"The site 'one' has the URLconf '{MODULES}.broken', which SITEFLEET['URLCONFS'] does not"
        " list: 503."
    )
    assert get("blog", WHERE["blog"]).status_code == 200


@WARM
def test_it_is_refused_from_memory_too(sites):
    SiteConfig.objects.filter(site=sites["shop"]).update(urlconf="evil.module")
    assert [get("shop", WHERE["plain"]).status_code for _ in range(3)] == [503] * 3


def test_in_debug_the_page_says_what_to_do(sites, settings):
    settings.DEBUG = True
    SiteConfig.objects.filter(site=sites["shop"]).update(urlconf="evil.module")
    page = get("shop", "/").content.decode()
    assert 'SITEFLEET = {"URLCONFS": ["evil.module"]}' in page


def test_a_site_keeps_no_other_pages_when_the_setting_is_taken_out(sites, settings):
    settings.SITEFLEET = {"FRESHNESS": 0.0}
    assert get("shop", WHERE["plain"]).status_code == 503
    assert get("plain", WHERE["plain"]).status_code == 200


def test_below_a_path_prefix_it_is_refused_too(sites):
    below = add_site("de", domain="one.example.org", path_prefix="/de")
    SiteConfig.objects.filter(site=below).update(urlconf="evil.module")
    assert get("shop", "/de/where/").status_code == 503
    assert get("shop", WHERE["shop"]).status_code == 200


def test_code_outside_of_requests_is_told(sites):
    SiteConfig.objects.filter(site=sites["shop"]).update(urlconf="evil.module")
    with override_site(sites["shop"].pk), pytest.raises(InvalidSetting, match=r"evil\.module"):
        reverse("where")


# --- the setting ------------------------------------------------------------------


def test_without_the_setting_django_is_left_alone(settings):
    for names, followed in ([], False), ([SHOP], True), (["not a module"], False), ([], False):
        settings.SITEFLEET = {"URLCONFS": names}
        assert ("ROOT_URLCONF" in vars(type(django_settings))) is followed
        assert (wiring.before_entering is urls.let_go) is followed


def test_what_the_settings_say_is_still_there_and_can_be_changed(sites, settings):
    with override_site(sites["shop"]):
        assert configured("ROOT_URLCONF") == PLAIN
        settings.ROOT_URLCONF = BLOG
        assert django_settings.ROOT_URLCONF == SHOP
    assert django_settings.ROOT_URLCONF == BLOG
