"""Tasks that tell what each part takes for their site: of Django, and of Celery."""

from celery import chord
from django.test import override_settings

from sitefleet.persite.tasks import fleet_wide
from tests.attacks.telling import leave_behind, told
from tests.persite import celery_app, django_work

app = celery_app.app
#: What tasks of Celery saw.
seen = []

with override_settings(TASKS=django_work.TASKS):

    @django_work.task(backend="stored")
    def stored(*args):
        return told()

    @django_work.task(backend="stored")
    @fleet_wide
    def whole_fleet():
        return None


@app.task
def note(*_):
    seen.append(told())


@app.task(bind=True, default_retry_delay=0, max_retries=1)
def again(self):
    seen.append(told())
    if not self.request.retries:
        raise self.retry(countdown=0)


def enqueue():
    """Enqueue one of each kind: seven runs of tasks of Celery, and one of Django."""
    stored.enqueue()
    note.delay()
    again.delay()
    chord([note.s(), note.s()], note.s()).delay()
    app.send_task(note.name)


@app.task
def leave_it_all(other):
    """Leave behind whatever code can leave behind."""
    leave_behind(other)
    seen.append("left")
