"""Tasks of Django run for the site that was current where they were enqueued."""

import pytest
from asgiref.sync import async_to_sync
from django.contrib.sites.models import Site

from sitefleet import carry_site, override_site
from sitefleet.current import active_site_id
from sitefleet.exceptions import NoCurrentSite, TaskRefused
from sitefleet.persite import tasks
from sitefleet.persite.tasks import KEY
from sitefleet.registry import add_site, configure_site, set_state
from sitefleet.states import State
from sitefleet.test import client_for
from tests.asgi import ask
from tests.databases import elsewhere
from tests.persite import django_work as work
from tests.persite.django_work import backends, work_off


@pytest.fixture(autouse=True)
def task_settings(settings):
    settings.TASKS = work.TASKS


def of(site):
    return {
        "id": site.pk,
        "setting": site.pk,
        "domain": site.domain,
        "slug": site.siteconfig.slug,
        "path": "/site/",
        "key": f":{site.pk}",
    }


def test_a_task_runs_for_the_site_it_was_enqueued_for(site, other_site):
    for each in (site, other_site, site):
        with override_site(each):
            assert work.report.enqueue().return_value == of(each)
            assert work.async_report.enqueue().return_value == of(each)


@pytest.mark.django_db(transaction=True)
async def test_a_task_enqueued_by_async_code_runs_for_its_site(file_sites):
    site, other_site = file_sites
    for each in (site, other_site, site):
        with override_site(each):
            assert (await work.report.aenqueue()).return_value == of(each)
            assert (await work.async_report.aenqueue()).return_value == of(each)


@pytest.mark.django_db(transaction=True)
async def test_acall_runs_for_the_site_too(file_sites):
    site, other_site = file_sites
    assert await work.async_report.acall(**{KEY: other_site.pk}) == of(other_site)
    assert await work.report.acall(**{KEY: site.pk}) == of(site)
    assert active_site_id() is None
    with pytest.raises(TaskRefused):
        await work.async_report.acall()


def test_a_task_that_is_called_under_a_site_is_not_led_to_another_by_its_arguments(
    site, other_site
):
    with override_site(site):
        assert work.site_id.call(**{KEY: site.pk}) == work.site_id.call() == site.pk
        for key in (other_site.pk, str(site.pk), [site.pk], 99):
            with pytest.raises(TaskRefused, match=f"where site {site.pk} was entered"):
                work.site_id.call(**{KEY: key})
            with pytest.raises(TaskRefused, match=f"where site {site.pk} was entered"):
                async_to_sync(work.async_report.acall)(**{KEY: key})
        assert work.site_id.enqueue(**{KEY: other_site.pk}).return_value == site.pk
        assert active_site_id() == site.pk


def test_a_task_enqueued_in_a_request_is_for_its_site(site, other_site, settings):
    settings.ROOT_URLCONF = work.__name__
    for each in (site, other_site, site):
        assert client_for(each).get("/enqueue/").json() == {**of(each), "path": "/own/"}
        assert client_for(each).get("/aenqueue/").json() == {**of(each), "path": "/own/"}


@pytest.mark.django_db(transaction=True)
async def test_a_task_enqueued_in_an_asynchronous_request_is_for_its_site(file_sites, settings):
    settings.ROOT_URLCONF = work.__name__
    for each in file_sites:
        assert (await ask(each.domain, "/enqueue/")).json() == {**of(each), "path": "/own/"}
        assert (await ask(each.domain, "/aenqueue/")).json() == {**of(each), "path": "/own/"}


@pytest.fixture
def file_sites(file_database):
    """Two sites in a database that threads see, as async code asks from a thread."""
    return [add_site(slug, name=slug, domain=f"{slug}.example.org") for slug in ("one", "two")]


def test_tasks_of_two_sites_may_wait_side_by_side(site, other_site):
    for each in (site, other_site) * 3:
        with override_site(each):
            work.stored.enqueue()
    assert work_off() == [site.pk, other_site.pk] * 3


def test_a_task_enqueued_by_a_task_is_for_its_site(site, other_site):
    with override_site(other_site):
        assert work.nested.enqueue().return_value == [other_site.pk, other_site.pk]


def test_a_task_enqueued_by_a_thread_is_for_the_site_that_the_thread_was_given(file_sites):
    site, other_site = file_sites
    seen = []
    with override_site(other_site):
        enqueue = carry_site(lambda: seen.append(work.nested.enqueue().return_value))
    with override_site(site):
        assert elsewhere(enqueue) is None
    assert seen == [[other_site.pk, other_site.pk]]


def test_nobody_sees_how_the_site_travels(site):
    backend = backends["stored"]
    with override_site(site):
        result = work.stored.enqueue(1, two=2)
        assert work.arguments.enqueue(1, two=2).return_value == [[[1], {"two": 2}]] * 2
    assert (result.args, result.kwargs) == ([1], {"two": 2})
    assert backend.get_result(result.id).kwargs == {"two": 2}
    assert work_off() == [site.pk]


async def test_nobody_sees_it_in_async_code(site):
    with override_site(site):
        result = await work.stored.aenqueue(1, two=2)
    assert result.kwargs == {"two": 2}
    assert (await backends["stored"].aget_result(result.id)).kwargs == {"two": 2}


def test_queues_and_priorities_are_as_they_were_declared(site):
    with override_site(site):
        task = work.stored.enqueue().task
        other = work.stored.using(priority=1, queue_name="default").enqueue().task
    assert (task.priority, task.queue_name, task.backend) == (7, "slow", "stored")
    assert (other.priority, other.queue_name) == (1, "default")


def test_without_a_current_site_nothing_is_enqueued(db):
    with pytest.raises(NoCurrentSite, match=r"task tests\.persite\.django_work\.stored is for"):
        work.stored.enqueue()
    assert backends["stored"].results == []


def test_the_default_site_counts_where_a_task_is_enqueued(site, other_site, settings):
    settings.SITE_ID = other_site.pk
    work.stored.enqueue()
    assert work_off() == [other_site.pk]


def test_a_fleet_wide_task_runs_for_no_site(site):
    assert work.whole_fleet.enqueue().return_value is None
    with override_site(site):
        assert work.whole_fleet.enqueue().return_value is None
        work.theirs.enqueue()  # declared in the settings
        assert active_site_id() == site.pk
    assert work_off() == [None]


@pytest.mark.parametrize("state", State)
def test_a_task_runs_only_for_sites_that_are_active_or_in_maintenance(site, other_site, state):
    with override_site(other_site):
        work.stored.enqueue()
    set_state(other_site, state)
    if state in ("active", "maintenance"):
        assert work_off() == [other_site.pk]
        return
    with pytest.raises(TaskRefused, match=rf"site two \(id {other_site.pk}\) is {state}"):
        work_off()
    with override_site(other_site):
        result = work.site_id.enqueue()
    assert result.status == "FAILED"
    assert result.errors[0].exception_class is TaskRefused


@pytest.mark.parametrize("default", [False, True])
@pytest.mark.parametrize("carried", [{}, {KEY: 999}, {KEY: "1"}, {KEY: True}, {KEY: None}])
def test_a_task_for_no_site_or_one_that_is_gone_is_not_run_for_the_default(
    site, settings, default, carried
):
    if default:
        settings.SITE_ID = site.pk
    with pytest.raises(TaskRefused, match=r"came without a site|is gone"):
        work.site_id.call(**carried)


def test_a_site_that_is_deleted_after_it_was_seen_has_no_tasks_run(site, other_site):
    with override_site(other_site):
        assert work.site_id.enqueue().return_value == other_site.pk
        work.stored.enqueue()
    Site.objects.filter(pk=other_site.pk).delete()
    with pytest.raises(TaskRefused, match="is gone"):
        work_off()


def test_the_state_is_that_of_the_database_and_not_of_a_memory(site, settings):
    settings.SITEFLEET = {"FRESHNESS": 3600.0}
    with override_site(site):
        assert work.site_id.enqueue().return_value == site.pk
        type(site.siteconfig).objects.update(state="suspended")
        assert work.site_id.enqueue().status == "FAILED"


def test_a_task_that_is_called_is_a_function_on_the_site_of_its_caller(site):
    with override_site(site):
        assert work.site_id.call() == site.pk


def test_what_a_task_activates_or_raises_is_gone_with_it(site, other_site):
    with override_site(other_site):
        work.leave_site.enqueue(site.pk)
        assert work.fail.enqueue().status == "FAILED"
        assert active_site_id() == other_site.pk


def test_links_made_in_a_task_have_the_path_prefix_of_the_site(fleet):
    def path():
        return work.report.enqueue().return_value["path"]

    site, other_site, below = fleet
    with override_site(below):
        assert path() == "/de/site/"
        with tasks.working_on(below), override_site(other_site):
            assert path() == "/site/"
        with tasks.working_on(site), override_site(below):
            assert path() == "/de/site/"


def test_links_made_in_a_task_are_those_of_the_urlconf_of_the_site(site, other_site, settings):
    settings.SITEFLEET = {"FRESHNESS": 0.0, "URLCONFS": [work.__name__]}
    configure_site(site, urlconf=work.__name__)
    for each, path in ((site, "/own/"), (other_site, "/site/"), (site, "/own/")):
        with override_site(each):
            assert work.report.enqueue().return_value["path"] == path
        assert work.report.call(**{KEY: each.pk})["path"] == path
