"""Backends around other backends, and tasks that are enqueued for each site."""

import pickle
from copy import deepcopy

import pytest
from django.contrib.sites.models import Site
from django.core.exceptions import ImproperlyConfigured

from sitefleet import override_site
from sitefleet.exceptions import SiteError, TaskRefused, UnknownSite
from sitefleet.persite import tasks
from sitefleet.persite.tasks import KEY, SiteBackend, SiteTask, enqueue_for_sites
from sitefleet.registry import set_state
from tests.persite import django_work as work
from tests.persite.django_work import backends, work_off


@pytest.fixture(autouse=True)
def task_settings(settings):
    settings.TASKS = work.TASKS


def test_a_task_of_another_backend_does_not_come_in(site):
    with override_site(site), pytest.raises(SiteError, match=r"@task\(backend='stored'\)"):
        work.plain.using(backend="stored")


def test_a_task_in_a_backend_without_the_site_runs_where_it_is_called(site):
    moved = work.site_id.using(backend="plain")
    with override_site(site):
        assert moved.enqueue().return_value == site.pk
    assert moved.enqueue().errors[0].exception_class is TaskRefused


def test_tasks_can_be_pickled_and_copied():
    moved = work.stored.using(priority=3)
    for task in (work.stored, moved, work.whole_fleet):
        assert pickle.loads(pickle.dumps(task)) == task  # noqa: S301 - our own
        assert deepcopy(task) == task


def test_a_task_need_not_be_found_where_its_function_is(site):
    with override_site(site):
        work.renamed.enqueue()
    assert work_off() == [site.pk]


async def test_a_backend_can_be_written_down_as_a_class(site):
    class Native(work.dummy.DummyBackend):
        async def aenqueue(self, task, args, kwargs):
            return work.dummy.DummyBackend.enqueue(self, task, args, kwargs)

    class Backend(SiteBackend, Native):
        pass

    class Derived(Backend):
        pass

    backend = Backend("written", {"QUEUES": [], "OPTIONS": {"mine": 1}})
    assert backend.options == {"mine": 1}
    assert issubclass(Backend.task_class, SiteTask)
    assert Derived.task_class is Backend.task_class
    with override_site(site):
        assert (await backend.aenqueue(work.site_id, [], {"two": 2})).kwargs == {"two": 2}
    assert backend.results[0].kwargs == {"two": 2, KEY: site.pk}


def test_a_backend_is_one_of_its_kind():
    backend = backends["stored"]
    assert isinstance(backend, work.dummy.DummyBackend)
    assert backend.options == {}
    assert type(backend) is type(SiteBackend("again", work.TASKS["stored"]))


@pytest.mark.parametrize("inner", [None, "sitefleet.persite.tasks.SiteBackend"])
def test_a_backend_around_nothing_says_what_to_write(inner):
    with pytest.raises(ImproperlyConfigured, match=r'Write TASKS = \{"mine": .*OPTIONS'):
        SiteBackend("mine", {"OPTIONS": {"BACKEND": inner}})


def test_a_backend_that_cannot_be_imported_is_told_with_the_reason():
    with pytest.raises(ImproperlyConfigured, match=r"TASKS\['mine'\].* No module named 'nowhere'"):
        SiteBackend("mine", {"OPTIONS": {"BACKEND": "nowhere.Backend"}})


def test_a_task_is_enqueued_for_each_site_that_has_tasks_run(fleet):
    site, other_site, below = fleet
    set_state(other_site, "suspended")
    bare = Site.objects.create(domain="bare.example.org", name="Bare")
    Site.objects.filter(siteconfig=None).exclude(pk=bare.pk).delete()
    bare.siteconfig.delete() if hasattr(bare, "siteconfig") else None
    assert enqueue_for_sites(work.stored, 1, two=2) == len(work_off())
    enqueue_for_sites(work.stored)
    assert {site.pk, below.pk, bare.pk} <= set(work_off())
    assert enqueue_for_sites(work.stored, sites=["one", other_site, below.pk, "ONE"]) == 2
    assert work_off() == [site.pk, below.pk]
    set_state(below, "maintenance")
    assert enqueue_for_sites(work.stored, sites="de", states=["active"]) == 0
    assert enqueue_for_sites(work.stored, sites="de") == 1
    assert work_off() == [below.pk]


def test_what_cannot_be_enqueued_for_each_site_is_told(site):
    with pytest.raises(UnknownSite, match="nowhere"):
        enqueue_for_sites(work.stored, sites=["one", "nowhere"])
    with pytest.raises(ValueError, match="active or maintenance"):
        enqueue_for_sites(work.stored, states=["suspended"])
    with pytest.raises(SiteError, match="whole_fleet is fleet-wide"):
        enqueue_for_sites(work.whole_fleet)
    assert backends["stored"].results == []


def test_sites_are_read_in_batches(site, other_site, monkeypatch, django_assert_num_queries):
    monkeypatch.setattr("sitefleet.background.BATCH", 1)
    total = Site.objects.count()
    with django_assert_num_queries(total + 1):
        assert enqueue_for_sites(work.stored) == total
    assert sorted(work_off()) == sorted(Site.objects.values_list("pk", flat=True))


def test_a_task_costs_one_query_more(site, django_assert_num_queries):
    with override_site(site):
        work.site_id.enqueue()
        with django_assert_num_queries(2):  # and one for freshness, which is 0 in these tests
            work.site_id.enqueue()


@pytest.mark.parametrize(
    "options", [{}, {"OPTIONS": {"BACKEND": "django_tasks.NoBackend"}}, {"OPTIONS": {"BACKEND": 1}}]
)
def test_the_check_tells_of_a_backend_with_nothing_to_go_around(settings, options):
    name = "sitefleet.persite.tasks.SiteBackend"
    settings.TASKS = {"default": {"BACKEND": name, **options}}
    (message,) = tasks.check_tasks()
    assert message.id == "sitefleet.E403"
    assert "OPTIONS" in message.hint


def test_the_check_tells_of_backends_whose_workers_get_no_site(settings):
    assert tasks.check_tasks() == []
    settings.TASKS = {**work.TASKS, "bare": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
    (message,) = tasks.check_tasks()
    assert message.id == "sitefleet.W401"
    assert "'bare'" in message.msg
    assert '"OPTIONS": {"BACKEND": "django_tasks_db.DatabaseBackend"}' in message.hint
