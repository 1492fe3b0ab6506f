"""What Django's tasks and Celery's have in common."""

import os
import subprocess
import sys

import pytest
from asgiref.sync import async_to_sync
from django.utils import timezone, translation

from sitefleet import background, override_site
from sitefleet.options import entered_site
from sitefleet.resolver import resolver
from sitefleet.states import State

EARLY = """
import sys
from django.conf import settings
from sitefleet.persite.celery import SiteTask, for_sites
from sitefleet.persite.tasks import SiteBackend, enqueue_for_sites
for_sites("app.tasks.report", 60, sites=["de"])
assert not settings.configured
assert "sitefleet.models" not in sys.modules
"""


def test_tasks_can_be_declared_in_settings_and_where_there_are_no_models_yet():
    environment = {key: value for key, value in os.environ.items() if "DJANGO" not in key}
    subprocess.run([sys.executable, "-c", EARLY], check=True, env=environment)


def test_states_in_which_tasks_run_are_states():
    assert set(background.RUNNING) < set(State.values)


def test_work_is_done_in_the_language_and_the_time_zone_of_its_site(site, other_site, settings):
    declared = {"LANGUAGE_CODE": {"type": "language"}, "TIME_ZONE": {"type": "timezone"}}
    settings.SITEFLEET = {"FRESHNESS": 0.0, "SITE_SETTINGS": declared}
    site.siteconfig.settings = {"LANGUAGE_CODE": "de", "TIME_ZONE": "Africa/Accra"}
    site.siteconfig.save()
    outside = translation.get_language(), timezone.get_current_timezone_name()
    with background.working_on(background.admit(site.pk)):
        assert translation.get_language() == "de"
        assert timezone.get_current_timezone_name() == "Africa/Accra"
        with background.working_on(background.admit(other_site.pk)):
            assert translation.get_language() == settings.LANGUAGE_CODE == "en-us"
    assert (translation.get_language(), timezone.get_current_timezone_name()) == outside


def test_an_event_loop_knows_the_site_of_its_task_whatever_is_forgotten(site, monkeypatch):
    async def ask():
        return entered_site().slug

    with override_site(background.admit(site.pk)):
        monkeypatch.setattr(resolver, "refresh", resolver.reset)
        assert async_to_sync(ask)() == "one"


@pytest.mark.parametrize("sites", ["one", ["one"], [" ONE "]])
def test_a_slug_alone_is_a_list_of_one(site, sites):
    assert list(background.running_sites(sites)) == [site.pk]
