"""`settings.SITE_ID` follows the current site and is an int like any other."""

import copy
import json
import pickle

import pytest
from django.conf import LazySettings, settings
from django.contrib.sites import models as django_sites
from django.contrib.sites.checks import check_site_id
from django.contrib.sites.models import Site
from django.contrib.sites.shortcuts import get_current_site
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import connection
from django.test import override_settings

from sitefleet import lookup, override_site, site_id
from sitefleet.resolver import resolver
from tests.news.models import Article


@pytest.fixture
def site_ids(site, other_site):
    """The ids of two sites; the second one is current."""
    with override_site(other_site):
        yield site.pk, other_site.pk


def ask_database(value):
    with connection.cursor() as cursor:
        cursor.execute("SELECT domain FROM django_site WHERE id = %s", [value])
        return cursor.fetchone()[0]


WAYS_TO_READ = {
    "json": lambda value: json.loads(json.dumps({"id": value}))["id"],
    "json as a key": lambda value: int(next(iter(json.loads(json.dumps({value: 1}))))),
    "percent d": lambda value: int("%d" % value),  # noqa: UP031 - C code of its own
    "format": lambda value: int(f"{value:d}"),
    "str": lambda value: int(str(value)),
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),  # noqa: S301 - made here
    "deepcopy": copy.deepcopy,
    "dict key": lambda value: {value: value}[value + 0],
    "list index": lambda value: list(range(1000))[value],
    "range": lambda value: len(range(value)),
    "bool": lambda value: value if bool(value) else 0,
    "bytes": lambda value: int.from_bytes(value.to_bytes(4, "big"), "big"),
    "database": lambda value: Site.objects.get(domain=ask_database(value)).pk,
    "filter": lambda value: Site.objects.filter(pk=value).get().pk,
    "foreign key": lambda value: Article.objects.create(site_id=value, title="x").site_id,
}


@pytest.mark.parametrize("way", WAYS_TO_READ)
def test_it_is_the_current_id_in_whatever_way_it_is_read(way, site_ids):
    one, two = site_ids
    assert WAYS_TO_READ[way](settings.SITE_ID) == two
    with override_site(one):
        assert WAYS_TO_READ[way](settings.SITE_ID) == one


def test_it_is_a_true_int(site_ids):
    assert type(settings.SITE_ID) is int
    assert isinstance(settings.SITE_ID, int)


def test_djangos_check_is_content(site_ids):
    assert check_site_id(app_configs=None) == []
    call_command("check", verbosity=0)


def test_without_site_and_default_it_is_not_there():
    assert not hasattr(settings, "SITE_ID")
    assert getattr(settings, "SITE_ID", "nothing") == "nothing"
    with pytest.raises(AttributeError, match="SITE_ID"):
        _ = settings.SITE_ID
    with pytest.raises(ImproperlyConfigured):
        Site.objects.get_current()


def test_override_settings_changes_the_default():
    with override_settings(SITE_ID=5):
        assert settings.SITE_ID == 5
        with override_site(6), override_settings(SITE_ID=7):
            assert settings.SITE_ID == 6
        assert settings.SITE_ID == 5
    assert not hasattr(settings, "SITE_ID")


def test_assignment_changes_the_default(settings):
    settings.SITE_ID = 5
    assert settings.SITE_ID == 5
    with override_site(6):
        assert settings.SITE_ID == 6
    del settings.SITE_ID
    assert not hasattr(settings, "SITE_ID")


def test_a_wrong_value_is_left_to_djangos_check():
    with override_settings(SITE_ID="1"):
        assert [error.id for error in check_site_id(app_configs=None)] == ["sites.E101"]


def test_it_can_be_left_out():
    site_id.stop_following()
    try:
        with override_site(1), override_settings(SITE_ID=5):
            assert settings.SITE_ID == 5
    finally:
        site_id.follow_current_site(lookup.default_site_id, resolver.before_site_id)
    assert "SITE_ID" in vars(LazySettings)


def test_the_sites_framework_follows(site, other_site, rf):
    request = rf.get("/", HTTP_HOST="evil.example")
    for entered in (site, other_site, site):
        with override_site(entered):
            assert Site.objects.get_current() == entered
            assert get_current_site(request) == entered
            assert get_current_site(request).domain == entered.domain


def test_the_manager_for_the_current_site_follows(site, other_site):
    mine = Article.objects.create(site=site, title="mine")
    theirs = Article.objects.create(site=other_site, title="theirs")
    with override_site(site):
        assert list(Article.on_site.all()) == [mine]
    with override_site(other_site):
        assert list(Article.on_site.all()) == [theirs]


def test_djangos_cache_is_keyed_by_ints_and_right_after_a_save_of_another_site(site, other_site):
    for entered in (site, other_site):
        with override_site(entered):
            Site.objects.get_current()
    with override_site(site):
        row = Site.objects.get(pk=other_site.pk)
        row.name = "Renamed"
        row.save()
        assert Site.objects.get_current().name == "One"
    with override_site(other_site):
        assert Site.objects.get_current().name == "Renamed"
    assert {type(key) for key in django_sites.SITE_CACHE} == {int}


def test_a_deleted_site_is_gone_from_djangos_cache(site, other_site):
    with override_site(other_site):
        Site.objects.get_current()
        Site.objects.filter(pk=other_site.pk).delete()
        with pytest.raises(Site.DoesNotExist):
            Site.objects.get_current()
