"""Tasks of Django's framework, or of its backport, that tell under which site they run."""

from copy import deepcopy
from importlib import import_module
from importlib.util import find_spec

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.sites.models import Site
from django.http import JsonResponse
from django.test import override_settings
from django.urls import path, reverse

from sitefleet.current import activate, active_site_id, current_state
from sitefleet.options import entered_site
from sitefleet.persite.cache import make_key
from sitefleet.persite.tasks import fleet_wide

FRAMEWORK = "django.tasks" if find_spec("django.tasks") else "django_tasks"
framework = import_module(FRAMEWORK)
import_module(f"{FRAMEWORK}.signals")
immediate = import_module(f"{FRAMEWORK}.backends.immediate")
dummy = import_module(f"{FRAMEWORK}.backends.dummy")
task = framework.task
backends = framework.task_backends


def around(backend, **options):
    path = f"{FRAMEWORK}.backends.{backend}"
    return {
        "BACKEND": "sitefleet.persite.tasks.SiteBackend",
        "OPTIONS": {"BACKEND": path, **options},
        "QUEUES": ["default", "slow"],
    }


TASKS = {
    "default": around("immediate.ImmediateBackend"),
    "stored": around("dummy.DummyBackend", FLEET_WIDE=["tests.persite.django_work.theirs"]),
    "plain": {"BACKEND": f"{FRAMEWORK}.backends.immediate.ImmediateBackend"},
}


def tell():
    """Tell the site, by all ways to ask for it."""
    return {
        "id": active_site_id(),
        "setting": settings.SITE_ID,
        "domain": Site.objects.get_current().domain,
        "slug": entered_site().slug,
        "path": reverse("site"),
        "key": make_key("x", "", 1).partition(".")[0],
    }


with override_settings(TASKS=TASKS):

    @task
    def report():
        return tell()

    @task
    async def async_report():
        slug = entered_site().slug  # no query here
        return {**await sync_to_async(tell)(), "slug": slug}

    @task
    def site_id(*args, **kwargs):
        return active_site_id()

    @task(takes_context=True)
    def arguments(context, *args, **kwargs):
        result = context.task_result
        return [[args, kwargs], [result.args, result.kwargs]]

    @task
    def nested():
        return [site_id.enqueue().return_value, active_site_id()]

    @task
    def fail():
        raise RuntimeError

    @task
    def leave_site(other):
        activate(other)

    @task
    @fleet_wide
    def whole_fleet():
        return active_site_id()

    @task(backend="stored", priority=7, queue_name="slow")
    def stored(*args, **kwargs):
        return active_site_id()

    @task(backend="stored")
    def theirs():
        return active_site_id()

    def _named():
        return active_site_id()

    renamed = task(_named, backend="stored")

    @task(backend="plain")
    def plain():
        return active_site_id()


def enqueue(request):
    return JsonResponse(report.enqueue().return_value)


async def aenqueue(request):
    return JsonResponse((await async_report.aenqueue()).return_value)


urlpatterns = [
    path("enqueue/", enqueue),
    path("aenqueue/", aenqueue),
    path("own/", enqueue, name="site"),
]


def work_off():
    """Run what is stored, as the worker of a database backend does, from nothing but its row."""
    returned = []
    inside = current_state.get()
    current_state.set(None)
    try:
        for result in backends["stored"].results:
            returned.append(result.task.call(*result.args, **deepcopy(result.kwargs)))
            assert current_state.get() is None, "a site was left over"
    finally:
        current_state.set(inside)
        backends["stored"].clear()
    return returned
