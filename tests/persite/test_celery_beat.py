"""One entry of a schedule is for one, several or all sites."""

import json
import re

import pytest
from celery.beat import Scheduler, SchedulingError
from django.contrib.sites.models import Site

from sitefleet.persite.celery import FOR_SITES, for_sites
from sitefleet.registry import add_site, set_state
from tests.persite import celery_app as work
from tests.persite.celery_worker import work_off

NOTE = work.note_all.name


@pytest.fixture(autouse=True)
def nothing_before():
    work.seen.clear()
    yield
    assert work_off() == 0, "a test left messages"


def tick(entry):
    """Do with an entry what beat does when its time has come."""
    scheduler = Scheduler(work.app, schedule={}, lazy=True)
    scheduler.update_from_dict({"entry": entry})
    return scheduler.apply_async(scheduler.schedule["entry"])


def sites_seen():
    work_off()
    seen = [site for site, *_ in work.seen]
    work.seen.clear()
    return seen


@pytest.fixture
def many(fleet):
    """The fleet and a suspended, an archived site, one in maintenance, one of Django alone."""
    Site.objects.filter(siteconfig=None).delete()
    for state in ("suspended", "archived", "maintenance"):
        set_state(add_site(state, name=state, domain=f"{state}.example.org"), state)
    bare = Site.objects.bulk_create([Site(domain="bare.example.org", name="Bare")])[0]
    default = Site.objects.filter(domain="example.com")
    running = Site.objects.exclude(siteconfig__state__in=("suspended", "archived"))
    assert set(running) == {*fleet, Site.objects.get(name="maintenance"), bare, *default}
    return [site.pk for site in running.order_by("pk")]


def test_all_sites_are_those_that_have_tasks_run_when_the_time_has_come(many):
    entry = for_sites(NOTE, 60)
    assert json.loads(json.dumps(entry)) == entry
    tick(entry)
    assert sites_seen() == many
    set_state(Site.objects.get(pk=many[1]), "suspended")
    tick(entry)
    assert sites_seen() == [many[0], *many[2:]]


def test_one_or_several_sites_are_named_by_slug_or_id(fleet):
    site, other_site, below = fleet
    tick(for_sites(NOTE, 60, sites="two"))
    assert sites_seen() == [other_site.pk]
    tick(for_sites(NOTE, 60, sites=["de", site.pk]))
    assert sites_seen() == [site.pk, below.pk]
    set_state(below, "archived")
    tick(for_sites(NOTE, 60, sites=["de", "two"]))
    assert sites_seen() == [other_site.pk]


def test_states_leave_sites_out(site, other_site):
    set_state(other_site, "maintenance")
    tick(for_sites(NOTE, 60, sites=["one", "two"], states=["active"]))
    assert sites_seen() == [site.pk]


def test_each_task_gets_the_arguments_and_the_options(site):
    tick(for_sites(NOTE, 60, sites="one", args=[1], kwargs={"two": 2}, options={"shadow": "it"}))
    work_off()
    assert work.seen == [(site.pk, (1,), {"two": 2}, "it")]


def test_a_row_of_plain_text_does_too(other_site):
    tick({"task": FOR_SITES, "schedule": 60, "kwargs": {"task": NOTE, "sites": ["two"]}})
    assert sites_seen() == [other_site.pk]


def test_a_fleet_is_worked_off_in_batches(many, monkeypatch):
    monkeypatch.setattr("sitefleet.persite.celery.BATCH", 2)
    tick(for_sites(NOTE, 60, args=[1], options={"shadow": "it"}))
    assert work_off() == len(many) // 2 + 1 + len(many)
    assert sorted(work.seen) == [(pk, (1,), {}, "it") for pk in many]


@pytest.mark.parametrize(
    ("task", "which", "error"),
    [
        (NOTE, {"sites": ["one", "nowhere"]}, "UnknownSite.*nowhere"),
        (NOTE, {"states": ["suspended"]}, "ValueError.*active or maintenance"),
        (work.whole_fleet.name, {}, "SiteError.*whole_fleet is fleet-wide"),
    ],
)
def test_what_cannot_be_scheduled_is_told(site, task, which, error):
    result = work.app.AsyncResult(tick(for_sites(task, 60, **which)).id)
    assert work_off() == 1
    assert result.state == "FAILURE"
    assert re.match(error, repr(result.result))


def test_a_task_that_this_process_does_not_know_is_sent_all_the_same(site):
    tick(for_sites("elsewhere.task", 60, sites="one"))
    assert work_off(1) == 1
    with (
        work.app.connection_for_read() as connection,
        connection.SimpleQueue("tests") as queue,
    ):
        message = queue.get_nowait()
        message.ack()
    assert message.headers["task"] == "elsewhere.task"
    assert message.headers["sitefleet_site"] == site.pk


def test_a_plain_entry_for_a_task_of_a_site_has_no_site(site):
    with pytest.raises(SchedulingError, match=r"as fleet-wide\..* no current site"):
        tick({"task": NOTE, "schedule": 60})
    assert tick({"task": work.whole_fleet.name, "schedule": 60})
    assert work_off() == 1
