"""When the database does not answer."""

import logging

import pytest
from django.conf import settings
from django.contrib.sites import models as django_sites
from django.contrib.sites.models import Site
from django.db import DatabaseError, InterfaceError, transaction
from django.db.backends.utils import CursorWrapper
from django.test import override_settings

from sitefleet import override_site
from sitefleet.resolver import resolver
from tests.resolver.asking import domain_of, found


@pytest.fixture
def broken(monkeypatch):
    def break_database(kind=DatabaseError):
        def refuse(self, *args):
            message = "no connection"
            raise kind(message)

        monkeypatch.setattr(CursorWrapper, "execute", refuse)

    return break_database


def test_known_sites_are_served_from_memory_while_the_database_is_away(
    file_site, clock, broken, caplog, monkeypatch
):
    found("one.example.org")
    broken()
    clock.pass_(1.01)
    with caplog.at_level(logging.WARNING, "sitefleet"):
        assert found("one.example.org") == file_site.pk
        assert found("one.example.org") == file_site.pk
    assert len(caplog.records) == 1, "one warning in each interval"
    assert "served from memory" in caplog.text
    monkeypatch.undo()
    resolver.announced()
    assert found("one.example.org") == file_site.pk


def test_they_are_too_where_the_connection_has_broken(file_site, clock, broken):
    found("one.example.org")
    broken(InterfaceError)  # which is no DatabaseError
    clock.pass_(1.01)
    assert found("one.example.org") == file_site.pk


def test_without_anything_in_memory_the_error_is_the_answer(file_site, broken):
    resolver.reset()
    broken()
    with pytest.raises(DatabaseError):
        found("one.example.org")


def test_reading_the_setting_never_fails(file_site, clock, broken):
    with override_site(file_site):
        assert file_site.pk == settings.SITE_ID
        broken()
        clock.pass_(1.01)
        assert file_site.pk == settings.SITE_ID
        Site.objects.clear_cache()
        assert file_site.pk == settings.SITE_ID


def test_reading_the_setting_needs_no_database_at_all():
    # Here pytest-django refuses every query, as Django's SimpleTestCase does.
    django_sites.SITE_CACHE[8] = Site(pk=8)
    with override_site(7):
        assert settings.SITE_ID == 7
    with override_settings(SITE_ID=8, SITEFLEET={"DOMAIN_FORMAT": "{slug}.localhost"}):
        assert settings.SITE_ID == 8
        Site.objects.clear_cache()
        assert settings.SITE_ID == 8


def test_a_broken_transaction_is_left_alone(file_site, clock):
    domain_of(file_site.pk)
    with transaction.atomic():
        transaction.set_rollback(True)
        clock.pass_(1.01)
        with override_site(file_site):
            assert file_site.pk == settings.SITE_ID
            assert Site.objects.get_current().domain == "one.example.org"
