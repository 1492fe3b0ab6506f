"""How sitefleet lives with Django: start, migrate, flush, tests with and without migrations."""

import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.sites.models import Site
from django.core.management import call_command
from django.db import connection
from django.db.models.signals import post_migrate, pre_migrate
from django.test import override_settings

from sitefleet import override_site, triggers
from sitefleet.generation import Generation
from sitefleet.models import Alias, SiteConfig
from sitefleet.registry import add_alias, add_site
from sitefleet.resolver import resolver

ROOT = Path(__file__).parent.parent


def found(host):
    match = resolver.find(host).root
    return match and match.site.pk


def test_no_migration_is_missing(db):
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def test_back_to_zero_django_works_alone_and_forward_again_nothing_is_lost(file_database):
    site = add_site("one", domain="one.example.org")
    call_command("migrate", "sitefleet", "zero", verbosity=0)
    assert resolver.paused, "there is nothing to look at"
    with connection.cursor() as cursor:
        tables = connection.introspection.table_names(cursor)
    assert not [table for table in tables if table.startswith("sitefleet_")]
    # What is left must not get in the way of others.
    Site.objects.filter(pk=site.pk).update(name="Renamed")
    Site.objects.create(domain="two.example.org", name="Two")
    with override_site(site.pk):
        assert site.pk == settings.SITE_ID
        assert Site.objects.get_current().name == "Renamed"
    call_command("migrate", verbosity=0)
    assert triggers.missing(connection) == []
    assert SiteConfig.objects.count() == 2
    assert found("one.example.org") == site.pk


@pytest.mark.acceptance
def test_the_first_migrate_works_though_the_environment_names_a_site(tmp_path):
    code = """
from django.core.management import execute_from_command_line
execute_from_command_line(["manage.py", "check", "--database", "default"])
execute_from_command_line(["manage.py", "migrate", "--verbosity", "0"])
"""
    done = run(code, SITEFLEET_SITE="example-com", TEST_DATABASE_NAME=str(tmp_path / "new.sqlite3"))
    assert done.returncode == 0, done.stderr


def test_migrating_another_app_changes_nothing(site):
    token = Generation.objects.get(pk=1).token
    call_command("migrate", "flatpages", verbosity=0)
    assert not resolver.paused
    assert Generation.objects.get(pk=1).token == token
    assert found("one.example.org") == site.pk


def test_a_flushed_database_works_at_once(file_database):
    site = add_site("one", domain="one.example.org")
    add_alias(site, "b.example.org")
    assert found("b.example.org")
    call_command("flush", interactive=False, verbosity=0)
    assert found("b.example.org") is None
    assert not Alias.objects.exists()
    assert triggers.missing(connection) == []
    # Django puts its placeholder back, which gets a configuration as any site does.
    assert Site.objects.get().siteconfig.slug == "example-com"
    assert resolver.is_empty()
    add_site("one", domain="one.example.org")
    assert found("one.example.org")
    assert Site.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("turn", [1, 2])
def test_a_test_that_commits_leaves_no_sites_to_the_next(turn):
    assert found("committed.example.org") is None
    site = add_site("committed", domain="committed.example.org")
    assert found("committed.example.org") == site.pk


def test_around_migrate_the_resolver_pauses(site):
    app = pre_migrate  # what others may listen to, too
    states = []

    def note(**_):
        states.append(resolver.paused)

    app.connect(note)
    post_migrate.connect(note)
    try:
        call_command("migrate", verbosity=0)
    finally:
        app.disconnect(note)
        post_migrate.disconnect(note)
    assert True in states
    assert not resolver.paused


@pytest.mark.parametrize("name", ["SITEFLEET", "DEBUG"])
def test_a_setting_that_answers_depend_on_starts_the_memory_anew(site, name):
    found("one.example.org")
    before = resolver._memory
    with override_settings(**{name: getattr(settings, name)}):
        assert resolver._memory is not before


def test_other_settings_leave_the_memory_alone(site):
    found("one.example.org")
    before = resolver._memory
    with override_settings(LANGUAGE_CODE="de"):
        assert resolver._memory is before


def run(code, **environment):
    command = [sys.executable, "-W", "error", "-c", code]
    names = {"DJANGO_SETTINGS_MODULE": "tests.settings", "PATH": "", **environment}
    options = {"cwd": ROOT, "env": names, "capture_output": True, "text": True}
    return subprocess.run(command, check=False, timeout=60, **options)


@pytest.mark.acceptance
def test_starting_django_asks_the_database_nothing():
    code = """
import django, sqlite3
from django.db.backends.base.base import BaseDatabaseWrapper
def refuse(self): raise SystemExit("a query at start")
BaseDatabaseWrapper.ensure_connection = refuse
django.setup()
from django.core.checks.registry import registry
from django.core.management import call_command
# Fields of Django ask, since 6.1, whether the database knows JSON.
call_command("check", tags=sorted(registry.tags_available() - {"models"}))
"""
    done = run(code)
    assert done.returncode == 0, done.stderr + done.stdout


@pytest.mark.acceptance
def test_with_settings_that_cannot_be_used_the_checks_speak():
    code = """
from tests import settings
settings.SITEFLEET = {"FRESH": 1}
import django; django.setup()
from django.core.management import call_command
call_command("check")
"""
    done = run(code)
    assert "sitefleet.E001" in done.stderr
    assert "SystemCheckError" in done.stderr


@pytest.mark.acceptance
def test_the_bridge_can_be_left_out():
    code = """
from tests import settings
settings.SITEFLEET = {"FOLLOW_SITE_ID": False}
settings.SITE_ID = 3
import django; django.setup()
from django.conf import settings
from sitefleet import override_site
with override_site(4):
    assert settings.SITE_ID == 3
"""
    done = run(code)
    assert done.returncode == 0, done.stderr


@pytest.mark.acceptance
def test_tests_work_without_migrations_too():
    command = [sys.executable, "-m", "pytest", "-q", "--nomigrations", "tests/test_triggers.py"]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_a_site_that_another_app_makes_after_migrate_gets_its_config(db):
    def make(**_):
        Site.objects.bulk_create(
            [Site(domain="late.example.org", name="Late")], ignore_conflicts=True
        )

    post_migrate.connect(make, weak=False, dispatch_uid="late")
    try:
        call_command("migrate", verbosity=0)
    finally:
        post_migrate.disconnect(dispatch_uid="late")
    assert SiteConfig.objects.filter(site__domain="late.example.org").exists()
