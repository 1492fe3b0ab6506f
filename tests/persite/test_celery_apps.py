"""Celery apps: eager ones, plain ones, and what the check tells of them."""

import pytest
from celery import Celery, chain

from sitefleet import override_site
from sitefleet.current import active_site_id
from sitefleet.persite import tasks
from sitefleet.persite.celery import SiteTask
from tests.persite import celery_app as work
from tests.persite.celery_app import told_of


@pytest.fixture(autouse=True)
def nothing_before():
    work.seen.clear()


def test_a_task_with_this_class_in_a_plain_app_runs_for_the_site(other_site):
    app = Celery("plain", broker="memory://", set_as_current=False)
    app.conf.task_always_eager = True
    ours = app.task(active_site_id, name="plain.ours", base=SiteTask)
    with override_site(other_site):
        assert ours.delay().get() == other_site.pk


def test_a_task_of_others_is_declared_fleet_wide_by_an_annotation(site):
    app = Celery("other", task_cls=SiteTask, broker="memory://", set_as_current=False)
    app.conf.task_annotations = {"theirs.prune": {"fleet_wide": True}}
    app.conf.task_always_eager = True
    theirs = app.task(active_site_id, name="theirs.prune")
    assert theirs.delay().get() is None


@pytest.fixture
def eager():
    work.app.conf.task_always_eager = True
    yield
    work.app.conf.task_always_eager = False


@pytest.mark.usefixtures("eager")
def test_eager_tasks_run_for_the_site_and_leave_it_to_the_caller(site, other_site):
    with override_site(site):
        with override_site(other_site):
            assert work.report.delay().get() == told_of(other_site)
            assert chain(work.third_time.s(), work.ids.s()).delay().get() == [other_site.pk] * 4
            assert work.whole_fleet.apply().get() is None
            assert work.nested.delay().get()
        assert active_site_id() == site.pk
    assert work.seen == [other_site.pk]


def test_tasks_of_another_app_are_left_alone(site):
    app = Celery("plain", broker="memory://", set_as_current=False)
    app.conf.task_always_eager = True
    theirs = app.task(active_site_id, name="plain.site_id")
    assert theirs.delay().get() is None
    with override_site(site):
        assert theirs.delay().get() == site.pk


def test_the_check_tells_of_an_app_that_does_not_carry_the_site(monkeypatch):
    plain = Celery("project", set_as_current=False)
    monkeypatch.setattr("celery._state.default_app", plain)
    assert [message.id for message in tasks.check_celery()] == ["sitefleet.W402"]
    assert "sitefleet.persite.celery:SiteTask" in tasks.check_celery()[0].hint
    monkeypatch.setattr("celery._state.default_app", work.app)
    assert tasks.check_celery() == []
    for nobodys in (None, Celery("default", set_as_current=False)):
        monkeypatch.setattr("celery._state.default_app", nobodys)
        assert tasks.check_celery() == []
