"""Each mistake in the configuration has its id, and a project without mistakes has none."""

import re
from pathlib import Path

import pytest
from django.contrib.sites.models import Site
from django.core import checks
from django.db import DatabaseError, connection
from django.test import override_settings

import sitefleet.checks
from sitefleet import triggers
from sitefleet.models import Alias
from sitefleet.registry import add_alias, add_site
from sitefleet.sync import sync

SOURCE = Path(sitefleet.checks.__file__).read_text("utf-8")
IDS = re.findall(r'checks\.(\w+)\((?:(?!checks\.).)*?id="sitefleet\.(\w+)"', SOURCE, re.DOTALL)
FIRST = "sitefleet.middleware.SiteMiddleware"
SESSION = "django.contrib.sessions.middleware.SessionMiddleware"
#: As this project has it: see tests/scoping/test_checks.py.
MEANT = {"sitefleet.W469", "sitefleet.W470", "sitefleet.W471"}


def found(*, deploy=False, databases=None):
    messages = checks.run_checks(include_deployment_checks=deploy, databases=databases)
    ours = [message for message in messages if message.id.startswith("sitefleet.")]
    return [message for message in ours if message.id not in MEANT]


def ids(**options):
    return {message.id.removeprefix("sitefleet.") for message in found(**options)}


@override_settings(DEBUG=True)
def test_a_clean_project_has_no_messages(fleet):
    add_alias(fleet[0], "b.example.org")
    assert found(deploy=True, databases=["default"]) == []
    assert {message.id for message in checks.run_checks()} <= MEANT


def test_ids_are_unique_and_their_letter_is_the_level():
    assert len({number[1:] for _, number in IDS}) == len(IDS) == SOURCE.count('id="sitefleet.')
    for level, number in IDS:
        assert number[0] == level[0], f"{number} is a {level}"


def test_every_id_has_its_mistake_here():
    with_settings = {mistake for mistake, _ in SETTINGS}
    elsewhere = {"W004", "W106", "W107", "E101"}
    assert with_settings | DATABASE.keys() | elsewhere == {number for _, number in IDS}


SETTINGS = [
    ("E001", {"SITEFLEET": []}),
    ("E001", {"SITEFLEET": {"FRESH": 1}}),
    ("E001", {"SITEFLEET": {"DOMAIN_FORMAT": "localhost"}}),
    ("E002", {"SITEFLEET": {"SITES": {"DE": {}}}}),
    ("E003", {"SITEFLEET": {"LISTEN": True}}),
    ("E201", {"MIDDLEWARE": [SESSION]}),
    ("E202", {"MIDDLEWARE": [SESSION, FIRST]}),
    ("W203", {"MIDDLEWARE": [FIRST, "django.contrib.sites.middleware.CurrentSiteMiddleware"]}),
    ("W204", {"ALLOWED_HOSTS": ["*"]}),
    ("E205", {"ALLOWED_HOSTS": ["one.example.org"]}),
    ("E205", {"ALLOWED_HOSTS": []}),
]


@pytest.mark.parametrize(("mistake", "values"), SETTINGS)
def test_a_mistake_in_the_settings_is_reported_with_a_hint(mistake, values):
    if mistake == "E003" and connection.vendor == "postgresql":
        pytest.skip("no mistake there")
    with override_settings(**values):
        messages = found()
    assert {message.id for message in messages} == {f"sitefleet.{mistake}"}
    assert all(message.hint for message in messages)


def test_each_of_several_mistakes_is_reported():
    with override_settings(SITEFLEET={"FRESH": 1, "CACHE_SIZE": 0, "SCHEME": "ftp"}):
        assert len(found()) == 3
    with override_settings(SITEFLEET={"SITES": {"DE": {"id": "1"}}}):
        assert len(found()) == 2
    with override_settings(
        MIDDLEWARE=[SESSION, "django.middleware.common.CommonMiddleware", FIRST]
    ):
        assert len(found()) == 2


@override_settings(DEBUG=True, ALLOWED_HOSTS=[])
def test_in_debug_an_empty_gate_is_no_mistake():
    assert ids() == set()


def test_forcing_a_site_is_a_warning_on_servers_only(site, monkeypatch):
    monkeypatch.setenv("SITEFLEET_SITE", "one")
    assert ids() == set()
    assert ids(deploy=True) == {"W004"}


def remove_triggers():
    triggers.remove(connection)


def bring_in(domain):
    """Bring a site in past all validation; its configuration is there already."""
    site = Site.objects.create(domain="fine.example.org", name="Fine")
    Site.objects.filter(pk=site.pk).update(domain=domain)


def bring_in_a_name_past_validation():
    bring_in("UPPER.example.org")


def bring_in_a_name_that_is_none():
    bring_in("no way")


def bring_in_a_site_without_configuration():
    Site.objects.bulk_create([Site(domain="bare.example.org", name="Bare")])


def bring_in_a_name_twice():
    site = add_site("twice", domain="twice.example.org")
    Alias.objects.bulk_create([Alias(site=site, name="twice.example.org")])


def bring_in_a_kept_name_twice():
    site = add_site("twice", domain="twice.example.org", path_prefix="/de")
    Alias.objects.bulk_create([Alias(site=site, name="twice.example.org")])


DATABASE = {
    "W102": [remove_triggers],
    "W103": [bring_in_a_name_past_validation, bring_in_a_name_that_is_none],
    "W104": [bring_in_a_name_twice, bring_in_a_kept_name_twice],
    "W105": [bring_in_a_site_without_configuration],
}


@pytest.mark.django_db(transaction=True)  # MySQL commits when triggers are dropped
@pytest.mark.parametrize(
    ("mistake", "make"), [(mistake, make) for mistake, ways in DATABASE.items() for make in ways]
)
def test_a_mistake_in_the_database_is_reported_when_it_is_asked_for(site, mistake, make):
    make()
    messages = found(databases=["default"])
    assert [message.id for message in messages] == [f"sitefleet.{mistake}"]
    assert messages[0].hint
    assert ids() == set(), "checks without --database do not look there"


def test_the_name_in_normal_form_is_suggested(site):
    bring_in_a_name_past_validation()
    assert "'upper.example.org'" in found(databases=["default"])[0].hint


def test_a_database_without_triggers_of_ours_is_an_error(site, monkeypatch):
    monkeypatch.delitem(triggers.DIALECTS, connection.vendor)
    assert ids(databases=["default"]) == {"E101"}


def test_before_the_first_migrate_there_is_nothing_to_say(site, monkeypatch):
    def refuse(connection):
        message = "no such table"
        raise DatabaseError(message)

    monkeypatch.setattr(triggers, "missing", refuse)
    assert ids(databases=["default"]) == set()


def test_settings_that_cannot_be_used_are_reported_once(site):
    with override_settings(SITEFLEET={"FRESH": 1}):
        assert [message.id for message in found(databases=["default"])] == ["sitefleet.E001"]


@pytest.mark.django_db
def test_a_default_site_that_is_none_is_reported(site, settings):
    settings.SITE_ID = site.pk
    assert ids(databases=["default"]) == set()
    settings.SITE_ID = 99
    assert ids(databases=["default"]) == {"W106"}


@pytest.mark.django_db
def test_rows_that_name_another_environment_are_reported_until_they_are_synced(site, settings):
    settings.SITEFLEET = {"DOMAIN_FORMAT": "{slug}.localhost:8000"}
    assert ids(databases=["default"]) == {"W107"}
    sync()
    assert ids(databases=["default"]) == set()
