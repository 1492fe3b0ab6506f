"""Row 24: work that is done later is done for its site, or not at all.

The default site, which nobody has asked for, is another one throughout.
"""

import pytest
from celery import chord
from celery.beat import Scheduler
from django.contrib.sites.models import Site

from sitefleet import override_site
from sitefleet.exceptions import TaskRefused
from sitefleet.persite.celery import for_sites
from sitefleet.persite.tasks import enqueue_for_sites
from sitefleet.registry import set_state
from tests.attacks import work
from tests.attacks.project import expected
from tests.attacks.telling import nothing_is_left
from tests.persite import django_work
from tests.persite.celery_worker import work_off


@pytest.fixture(autouse=True)
def nothing_left(sites, settings):
    settings.SITE_ID = sites.two.pk
    work.seen.clear()
    # Made here: one that a request makes is that of its context alone.
    assert django_work.backends["stored"].results == []
    yield
    work.seen.clear()
    assert work_off() == 0, "a test left messages"
    django_work.backends["stored"].clear()


def for_site(sites, name):
    """Return what a task tells: it has no visitor, who might have chosen a language."""
    return {**expected(sites, name), **({"language": "en-us"} if name == "below" else {})}


def test_row_24_what_a_page_enqueues_is_done_for_the_site_of_the_page(visit, sites):
    for name in ("one", "below"):
        assert visit(getattr(sites, name)).get("/enqueue/").status == 200
    assert django_work.work_off() == [for_site(sites, "one"), for_site(sites, "below")]
    work_off()
    for name in ("one", "below"):
        assert work.seen.count(for_site(sites, name)) == 7
    assert len(work.seen) == 14


@pytest.mark.parametrize("end", ["archived", "suspended", "deleted"])
def test_row_24_nothing_is_done_for_a_site_that_is_gone(visit, sites, end):
    visit(sites.one).get("/enqueue/")
    if end == "deleted":
        Site.objects.filter(pk=sites.one.pk).delete()
    else:
        set_state(sites.one, end)
    with pytest.raises(TaskRefused):
        django_work.work_off()
    work_off()
    assert work.seen == []


def test_row_24_work_without_a_site_is_not_done_for_the_default_one(sites, settings):
    settings.SITE_ID = None
    work.app.send_task(work.note.name)
    settings.SITE_ID = sites.two.pk
    assert work_off() == 1
    assert work.seen == []
    with pytest.raises(TaskRefused):
        work.stored.call()


def test_row_24_one_canvas_and_its_options_serve_several_sites(sites):
    options = {"headers": {"own": "1"}}
    canvas = chord([work.note.s(), work.note.s()], work.note.s())
    for name in ("one", "below", "one"):
        with override_site(getattr(sites, name)):
            canvas.apply_async(**options)
            work.note.apply_async(**options)
    assert options == {"headers": {"own": "1"}}
    work_off()
    assert len(work.seen) == 12
    assert work.seen.count(for_site(sites, "one")) == 8
    assert work.seen.count(for_site(sites, "below")) == 4


def test_row_24_a_schedule_for_all_sites_is_done_for_each_that_is_open(sites):
    Site.objects.exclude(pk__in=[site.pk for site in sites]).delete()
    set_state(sites.two, "suspended")
    scheduler = Scheduler(work.app, schedule={}, lazy=True)
    scheduler.update_from_dict({"all": for_sites(work.note.name, 60)})
    scheduler.apply_async(scheduler.schedule["all"])
    work_off()
    assert enqueue_for_sites(work.stored) == 2
    both = [for_site(sites, name) for name in ("one", "below")]
    assert work.seen == django_work.work_off() == both


def test_row_24_a_task_leaves_nothing_to_the_next_one(sites):
    with override_site(sites.one):
        work.leave_it_all.delay(sites.two.pk)
        work.note.delay()
        work.stored.enqueue()
        work.whole_fleet.enqueue()
    work_off()
    assert work.seen == ["left", for_site(sites, "one")]
    assert nothing_is_left()
    assert django_work.work_off() == [for_site(sites, "one"), None]
