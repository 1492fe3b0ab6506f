"""Celery's tasks run for the site that was current where they were enqueued."""

import pytest
from billiard.einfo import ExceptionInfo
from celery import Celery, chain, chord, group
from celery.exceptions import WorkerLostError
from django.contrib.sites.models import Site
from django.db import transaction

from sitefleet import override_site
from sitefleet.exceptions import NoCurrentSite
from sitefleet.persite.celery import HEADER
from sitefleet.registry import configure_site
from tests.persite import celery_app as work
from tests.persite.celery_app import told_of
from tests.persite.celery_worker import outcome, work_off


@pytest.fixture(autouse=True)
def nothing_before():
    work.seen.clear()
    yield
    assert work_off() == 0, "a test left messages"


def test_a_task_runs_for_the_site_it_was_enqueued_for(site, other_site):
    for each in (site, other_site, site):
        with override_site(each):
            result = work.report.delay()
        assert outcome(result) == told_of(each)


def test_tasks_of_two_sites_may_wait_side_by_side(site, other_site):
    results = []
    for each in (site, other_site) * 3:
        with override_site(each):
            results.append((each.pk, work.site_id.delay()))
    work_off()
    assert [result.get() for _, result in results] == [pk for pk, _ in results]


@pytest.mark.parametrize(
    "enqueue",
    [
        work.site_id.apply_async,
        lambda: work.site_id.s().delay(),
        lambda: work.app.send_task(work.site_id.name),
        lambda: Celery(
            "other",
            broker="memory://",
            backend="cache+memory://",
            set_as_current=False,
            changes={"task_default_queue": "tests"},
        ).send_task(work.site_id.name),
        work.app.tasks["tests.shared"].delay,
        work.of_another_class.delay,
    ],
    ids=["apply_async", "signature", "by name", "by unknown name", "shared", "of another class"],
)
def test_however_it_is_enqueued(site, other_site, enqueue):
    with override_site(other_site):
        result = enqueue()
    work_off()
    assert work.app.AsyncResult(result.id).get(timeout=0.2, interval=0.001) == other_site.pk


@pytest.mark.parametrize(
    ("canvas", "expected"),
    [
        (lambda: chain(work.ids.s(), work.ids.s(), work.ids.s()), [2, 2, 2]),
        (lambda: group(work.site_id.s(), work.site_id.s()), [2, 2]),
        (lambda: chord([work.site_id.s(), work.site_id.s()], work.ids.s()), [2, 2, 2]),
        (lambda: chord([work.ids.s()], chain(work.ids.s(), work.ids.s())), [[2], 2, 2]),
        (lambda: chain(work.site_id.s(), group(work.site_id.s(), work.site_id.s())), [2, 2]),
        (lambda: chain(group(work.site_id.s(), work.site_id.s()), work.ids.s()), [2, 2, 2]),
        (lambda: work.site_id.starmap([(1,), (2,)]), [2, 2]),
        (lambda: work.site_id.map([1, 2]), [2, 2]),
        (lambda: work.site_id.chunks([(1,), (2,), (3,)], 2).group(), [[2, 2], [2]]),
        (work.third_time.s, [2, 2, 2]),
        (work.replaced.s, [2, 2]),
        (lambda: chain(work.third_time.s(), work.ids.s()), [2, 2, 2, 2]),
        (lambda: chain(work.whole_fleet.s(), work.site_id.s()), 2),
        (lambda: chain(work.site_id.s(), work.whole_fleet.s()), None),
        (lambda: chord([work.whole_fleet.s()] * 2, chain(work.ids.s(), work.ids.s())), 4),
        (lambda: chain(work.whole_fleet.s(), chord([work.site_id.s()] * 2, work.ids.s())), 3),
        (lambda: chain(work.whole_fleet.s(), chord([work.whole_fleet.s()], work.site_id.s())), 2),
    ],
)
def test_each_part_of_a_canvas_is_for_the_site(site, other_site, canvas, expected):
    with override_site(other_site):
        result = canvas().apply_async()
    found = outcome(result)
    if isinstance(expected, int):
        found = len(found) if isinstance(found, list) else 2 if found == other_site.pk else found
    assert found == as_ids(expected, other_site)


def as_ids(expected, site):
    if isinstance(expected, list):
        return [as_ids(item, site) if isinstance(item, list) else site.pk for item in expected]
    return expected


def test_the_body_of_a_chord_over_several_sites_is_for_the_site_it_was_made_on(site, other_site):
    header = [work.site_id.s().set(headers={HEADER: each.pk}) for each in (site, other_site)]
    for header_in_order in (header, header[::-1]):
        with override_site(site):
            result = chord(header_in_order, work.ids.s()).apply_async()
            later = chain(work.whole_fleet.s(), chord(header_in_order, work.ids.s())).apply_async()
        assert outcome(result)[-1] == site.pk
        assert outcome(later)[-1] == site.pk


def test_a_signature_is_for_the_site_where_it_is_enqueued_and_not_where_it_was_before(
    site, other_site
):
    parts = chord([work.site_id.s(), work.site_id.s()], work.ids.s())
    single = work.ids.s().set(link=work.note.s())
    for each in (site, other_site, site):
        with override_site(each):
            assert outcome(parts.clone().apply_async()) == [each.pk] * 3
            assert outcome(single.apply_async()) == [each.pk]
    assert work.seen == [site.pk, other_site.pk, site.pk]


def test_a_dictionary_of_headers_is_not_shared_between_sites(site, other_site):
    headers = {"mine": "yes"}
    with override_site(site):
        first = work.site_id.apply_async(headers=headers)
    with override_site(other_site):
        second = work.site_id.apply_async(headers=headers)
    work_off()
    assert headers == {"mine": "yes"}
    assert [first.get(), second.get()] == [site.pk, other_site.pk]


def test_a_retry_stays_on_its_site_and_so_does_one_out_of_a_block_of_another(site, other_site):
    with override_site(other_site):
        assert outcome(work.second_time.delay()) == other_site.pk
        assert work.seen == [other_site.pk, other_site.pk]
        assert outcome(work.retry_from.delay(site.pk)) == [other_site.pk, other_site.pk]


def test_callbacks_are_for_the_site(site, other_site):
    with override_site(other_site):
        work.site_id.apply_async(link=work.note.s())
        work.fail.apply_async(link_error=[work.note.s(), work.note_failure.s()])
        work.whole_fleet.apply_async(link=work.note.s())
        work.fail_for_all.apply_async(link_error=work.note_error.s())
    work_off()
    assert sorted(work.seen, key=str) == [
        (other_site.pk, "RuntimeError"),
        *[other_site.pk] * 4,
    ]


@pytest.mark.parametrize(
    ("fail", "error"),
    [
        (lambda request: request.on_timeout(soft=False, timeout=1), "TimeLimitExceeded"),
        (lambda request: request.on_failure(lost()), "WorkerLostError"),
    ],
    ids=["out of time", "lost"],
)
def test_callbacks_called_in_the_main_process_of_a_worker_are_for_the_site(
    site, other_site, settings, fail, error
):
    with override_site(other_site):
        work.site_id.apply_async(link_error=work.note_failure.s())
        work.whole_fleet.apply_async(link_error=work.note_failure.s())
    settings.SITE_ID = site.pk
    work_off(handle=fail)
    assert work.seen == [(other_site.pk, error), (None, error)]


def lost():
    try:
        raise WorkerLostError  # noqa: TRY301 - Celery asks for a traceback
    except WorkerLostError:
        return ExceptionInfo()


def test_a_task_enqueued_by_a_task_is_for_its_site(site, other_site):
    with override_site(other_site):
        work.nested.delay()
    work_off()
    assert work.seen == [other_site.pk]


def test_without_a_current_site_nothing_is_enqueued(db):
    for enqueue in (
        work.site_id.delay,
        work.site_id.apply,
        chain(work.site_id.s(), work.site_id.s()).apply_async,
        work.site_id.delay_on_commit,
    ):
        with pytest.raises(NoCurrentSite, match=r"declared as fleet-wide|no current site"):
            enqueue()


def test_the_default_site_counts_where_a_task_is_enqueued(site, other_site, settings):
    settings.SITE_ID = other_site.pk
    assert outcome(work.site_id.delay()) == other_site.pk


def test_a_fleet_wide_task_runs_for_no_site(site):
    assert outcome(work.whole_fleet.delay()) is None
    with override_site(site):
        assert outcome(work.whole_fleet.delay()) is None


def test_tasks_of_celery_itself_need_no_site(db):
    assert work.app.tasks["celery.backend_cleanup"].delay()
    assert work_off() == 1


def test_a_task_that_is_called_is_a_function_on_the_site_of_its_caller(site, other_site):
    assert work.site_id() is None
    with override_site(other_site):
        assert work.site_id() == other_site.pk


def test_what_a_task_activates_or_raises_is_gone_with_it(site, other_site):
    with override_site(other_site):
        work.leave_site.delay(site.pk)
        work.fail.delay()
        assert outcome(work.site_id.delay()) == other_site.pk  # see `work_off` too


def test_links_made_in_a_task_have_the_path_prefix_of_the_site(fleet):
    for each, path in zip(fleet, ("/site/", "/site/", "/de/site/"), strict=True):
        with override_site(each):
            assert outcome(work.report.delay())["path"] == path


def test_on_commit_a_task_is_for_the_site_that_was_current_before(
    site, other_site, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True), override_site(site):
        with override_site(other_site), transaction.atomic():
            work.note.delay_on_commit()
            work.note.apply_async_on_commit((1,))
        work.whole_fleet.delay_on_commit()
    assert work_off() == 3
    assert work.seen == [other_site.pk, other_site.pk]


def test_the_site_is_seen_by_code_of_an_event_loop_without_a_query(site):
    with override_site(site):
        result = work.in_event_loop.delay()
    Site.objects.clear_cache()
    assert outcome(result) == site.siteconfig.slug


def test_links_made_in_a_task_are_those_of_the_urlconf_of_the_site(site, other_site, settings):
    settings.SITEFLEET = {"FRESHNESS": 0.0, "URLCONFS": ["tests.persite.django_work"]}
    configure_site(site, urlconf="tests.persite.django_work")
    for each, path in ((site, "/own/"), (other_site, "/site/"), (site, "/own/")):
        with override_site(each):
            assert outcome(work.report.delay())["path"] == path
