"""A task for a site that has no tasks run is refused, and is not run for the default site."""

import pytest
from celery import chain, chord
from django.contrib.sites.models import Site

from sitefleet import override_site
from sitefleet.exceptions import NoCurrentSite, TaskRefused
from sitefleet.persite.celery import HEADER, NOBODY
from sitefleet.registry import set_state
from sitefleet.states import State
from tests.persite import celery_app as work
from tests.persite.celery_worker import outcome, work_off


@pytest.fixture(autouse=True)
def nothing_before():
    work.seen.clear()
    yield
    assert work_off() == 0, "a test left messages"


@pytest.mark.parametrize("state", State)
def test_tasks_run_only_for_sites_that_are_active_or_in_maintenance(site, other_site, state):
    with override_site(other_site):
        result = work.site_id.delay()
    set_state(other_site, state)
    if state in ("active", "maintenance"):
        assert outcome(result) == other_site.pk
        return
    with pytest.raises(TaskRefused, match=rf"site two \(id {other_site.pk}\) is {state}"):
        outcome(result)
    assert result.state == "FAILURE"


def test_a_site_that_is_deleted_after_it_was_seen_has_no_tasks_run(site, other_site, settings):
    settings.SITE_ID = site.pk
    with override_site(other_site):
        assert outcome(work.site_id.delay()) == other_site.pk
        result = work.site_id.delay()
    Site.objects.filter(pk=other_site.pk).delete()
    with pytest.raises(TaskRefused, match="is gone"):
        outcome(result)


def test_the_state_is_that_of_the_database_and_not_of_a_memory(site, settings):
    settings.SITEFLEET = {"FRESHNESS": 3600.0}
    with override_site(site):
        assert outcome(work.site_id.delay()) == site.pk
        type(site.siteconfig).objects.update(state="suspended")
        with pytest.raises(TaskRefused):
            outcome(work.site_id.delay())


@pytest.mark.parametrize("default", [False, True])
@pytest.mark.parametrize("header", [None, 999, "1", True, [1], NOBODY])
def test_a_message_without_a_site_is_not_run_for_the_default(
    site, settings, default, header, monkeypatch
):
    monkeypatch.setattr("sitefleet.persite.celery.get_current_site_id", no_site)
    result = work.app.send_task(
        work.site_id.name,
        headers={} if header is None else {HEADER: header},
        link_error=[work.note_failure.s()],
    )
    if default:
        settings.SITE_ID = site.pk
    with pytest.raises(TaskRefused, match=r"came without a site|is gone"):
        outcome(result)
    assert work.seen == [], "callbacks of a refused task are not for the default"


def no_site():
    raise NoCurrentSite


@pytest.mark.parametrize("headers", [{}, {HEADER: "1"}])
def test_a_task_of_another_class_is_run_for_nobody_rather_than_for_the_default(
    site, settings, monkeypatch, headers
):
    monkeypatch.setattr("sitefleet.persite.celery.get_current_site_id", no_site)
    result = work.of_another_class.apply_async(headers=headers)
    settings.SITE_ID = site.pk
    assert outcome(result) == NOBODY


def test_a_refused_task_is_not_retried(site):
    with override_site(site):
        result = work.refused_and_retried.delay()
    set_state(site, "suspended")
    assert work_off() == 1
    assert result.state == "FAILURE"
    assert work.seen == []


def test_a_retry_is_refused_when_its_site_was_suspended_meanwhile(site):
    with override_site(site):
        result = work.second_time.delay()
    assert work_off(1) == 1
    set_state(site, "suspended")
    with pytest.raises(TaskRefused):
        outcome(result)
    assert work.seen == [site.pk]


def test_a_chain_ends_where_its_site_is_suspended(site):
    with override_site(site):
        result = chain(work.site_id.s(), work.note.s(), work.note.s()).delay()
    assert work_off(1) == 1
    set_state(site, "archived")
    work_off()
    assert work.seen == []
    with pytest.raises(TaskRefused):
        result.get(timeout=0.2)


def test_a_chord_ends_where_its_site_is_suspended(site):
    with override_site(site):
        result = chord([work.site_id.s(), work.site_id.s()], work.note.s()).delay()
    assert work_off(1) == 1
    set_state(site, "suspended")
    work_off()
    assert work.seen == []
    with pytest.raises(Exception, match="is suspended"):
        result.get(timeout=0.2)


@pytest.mark.parametrize("canvas", ["map", "starmap"])
def test_what_celery_runs_in_one_task_is_refused_too(site, canvas):
    with override_site(site):
        result = getattr(work.note, canvas)([(1,)]).delay()
    set_state(site, "suspended")
    with pytest.raises(TaskRefused):
        outcome(result)
    assert work.seen == []


def test_callbacks_of_a_refused_task_are_not_called(site):
    with override_site(site):
        work.site_id.apply_async(link=work.note.s(), link_error=work.note_failure.s())
        work.fail.apply_async(link_error=work.note.s())
    set_state(site, "suspended")
    assert work_off() == 2
    assert work.seen == []


def test_eager_tasks_are_refused(site):
    set_state(site, "suspended")
    with override_site(site):
        assert isinstance(work.site_id.apply().result, TaskRefused)
    assert work.site_id.apply(headers={HEADER: 999}).state == "FAILURE"
