"""Tasks that the worker of a database backend finds by their names."""

from importlib import import_module
from importlib.util import find_spec

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.sites.models import Site

from sitefleet.current import activate, active_site_id
from sitefleet.options import entered_site
from sitefleet.persite.tasks import fleet_wide

framework = import_module("django.tasks" if find_spec("django.tasks") else "django_tasks")
task = framework.task


def tell(number):
    assert active_site_id() == settings.SITE_ID
    return [active_site_id(), Site.objects.get_current().domain, number]


@task
def report(number):
    return tell(number)


@task
async def async_report(number):
    assert entered_site().slug
    return await sync_to_async(tell)(number)


@task
def leave_site(other):
    activate(other)


@fleet_wide
@task
def whole_fleet():
    return active_site_id()


def as_others_do():
    """Enqueue in the way of a process in which sitefleet is not."""
    backend = framework.task_backends["default"]
    return super(type(backend).__mro__[1], backend).enqueue(report, [0], {})
