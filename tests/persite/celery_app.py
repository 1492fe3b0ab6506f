"""A Celery app that tells under which site its tasks run; in the tests and in real workers."""

import os

from asgiref.sync import async_to_sync
from celery import Celery, Task, chain, shared_task
from django.conf import settings
from django.contrib.sites.models import Site
from django.urls import reverse

from sitefleet.current import activate, active_site_id, override_site
from sitefleet.exceptions import TaskRefused
from sitefleet.options import entered_site
from sitefleet.persite.cache import make_key
from sitefleet.persite.celery import for_sites

app = Celery(
    "tests",
    task_cls="sitefleet.persite.celery:SiteTask",
    broker=os.environ.get("TEST_CELERY_BROKER", "memory://"),
    backend=os.environ.get("TEST_CELERY_RESULTS", "cache+memory://"),
    set_as_current=False,
)
app.conf.update(
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=False,
    worker_send_task_events=False,
    result_extended=True,
    task_default_queue=os.environ.get("TEST_CELERY_QUEUE", "tests"),
)
#: What was seen by those whose result nobody gets.
seen = []


def tell():
    """Tell the site, by all ways to ask for it."""
    site = Site.objects.get_current()
    entered = entered_site()
    return {
        "id": active_site_id(),
        "setting": settings.SITE_ID,
        "domain": site.domain,
        "slug": entered.slug,
        "path": reverse("site"),
        "key": make_key("x", "", 1).partition(".")[0],
    }


def told_of(site):
    """Return what a task that runs for a site tells."""
    return {
        "id": site.pk,
        "setting": site.pk,
        "domain": site.domain,
        "slug": site.siteconfig.slug,
        "path": "/site/",
        "key": f":{site.pk}",
    }


@app.task
def report(*_):
    return tell()


@app.task
def site_id(*_):
    return active_site_id()


@app.task
def ids(before=(), *_):
    """Add the id of the site to those of the tasks before."""
    return [*before, active_site_id()]


@app.task(bind=True, default_retry_delay=0, max_retries=2)
def third_time(self, before=()):
    before = [*before, active_site_id()]
    if self.request.retries < 2:
        raise self.retry(args=[before], countdown=0)
    return before


@app.task(
    bind=True, autoretry_for=(ValueError,), retry_backoff=False, retry_kwargs={"countdown": 0}
)
def second_time(self):
    seen.append(active_site_id())
    if not self.request.retries:
        raise ValueError
    return active_site_id()


@app.task(autoretry_for=(TaskRefused,), retry_kwargs={"countdown": 0})
def refused_and_retried():
    seen.append("ran")


@app.task
def fail():
    raise RuntimeError


@app.task
def note(*_):
    seen.append(active_site_id())


@app.task(bind=True)
def note_all(self, *args, **kwargs):
    seen.append((active_site_id(), args, kwargs, self.request.shadow))


@app.task
def note_failure(request, error, traceback):
    """Be called in place by Celery, as it has more than one parameter."""
    seen.append((active_site_id(), type(error).__name__))


@app.task
def note_error(task_id):
    """Be sent by Celery as a task, as it has one parameter."""
    seen.append(active_site_id())


@app.task(fleet_wide=True)
def fail_for_all():
    raise RuntimeError


@app.task(fleet_wide=True)
def whole_fleet(*_):
    return active_site_id()


@app.task
def nested():
    """Enqueue from within a task."""
    ids.delay()
    return note.delay().id


@app.task(bind=True, max_retries=1)
def retry_from(self, other, before=()):
    """Retry while another site is current."""
    before = [*before, active_site_id()]
    if len(before) == 1:
        with override_site(other):
            raise self.retry(args=[other, before], countdown=0)
    return before


@app.task
def leave_site(other):
    activate(other)
    override_site(other).__enter__()


@app.task
def in_event_loop():
    async def ask():
        return entered_site().slug

    return async_to_sync(ask)()


@app.task(bind=True)
def replaced(self):
    return self.replace(chain(ids.s(), ids.s()))


@app.task(base=Task)
def of_another_class():
    return active_site_id()


@shared_task(name="tests.shared")
def shared():
    return active_site_id()


app.conf.beat_schedule = {
    "all": for_sites("tests.persite.celery_app.note_beat", 1, args=["all"]),
    "one": for_sites("tests.persite.celery_app.note_beat", 1, sites="two", args=["one"]),
    "none": {"task": "tests.persite.celery_app.note_beat", "schedule": 1, "args": ["none"]},
    "fleet": {"task": "tests.persite.celery_app.note_fleet", "schedule": 1},
}


@app.task
def note_beat(name):
    app.backend.client.rpush("beat", f"{name} {active_site_id()}")


@app.task(fleet_wide=True)
def note_fleet():
    app.backend.client.rpush("beat", f"fleet {active_site_id()}")
