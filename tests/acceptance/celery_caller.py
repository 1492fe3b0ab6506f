"""A process that enqueues tasks for real workers, and prints what came of them.

Arguments: the ids of two sites, and of one that is suspended once its task is enqueued.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor

import django

django.setup()

from celery import chain, chord, group  # noqa: E402 - Django is set up first

from sitefleet import override_site  # noqa: E402
from sitefleet.models import SiteConfig  # noqa: E402
from tests.persite import celery_app as work  # noqa: E402

TIMES = 200
TIMEOUT = 20


def main(one, two, suspended):
    """Print for each part what was found; where sites were mixed up, what is wrong."""
    print(json.dumps({"wrong": interleave(one, two), "refused": refuse(suspended)} | canvas(two)))  # noqa: T201


def interleave(one, two):
    """Enqueue for both sites from several threads, and for none; return what is not right."""

    def enqueue(number):
        pk = (one, two)[number % 2]
        with override_site(pk):
            if number % 10 == 0:
                work.leave_site.delay(two)
            if number % 5 == 0:
                return None, work.whole_fleet.delay()
            return pk, work.report.delay()

    with ThreadPoolExecutor(4) as threads:
        enqueued = list(threads.map(enqueue, range(TIMES)))
    wrong = []
    for pk, result in enqueued:
        found = result.get(timeout=TIMEOUT)
        expected = None if pk is None else {"id": pk, "setting": pk, "key": f":{pk}"}
        if expected is not None:
            expected |= {"domain": found["domain"], "slug": found["slug"], "path": "/site/"}
            expected |= {"domain": f"{found['slug']}.example.org"}
        if found != expected:
            wrong.append([pk, found])
    return wrong


def refuse(pk):
    """Enqueue for a site that is suspended before the worker comes to it."""
    with override_site(pk):
        later = chord([work.site_id.si().set(countdown=1)] * 2, work.ids.s()).delay()
        result = work.site_id.apply_async(countdown=1)
    SiteConfig.objects.filter(pk=pk).update(state="suspended")
    found = [result.get(timeout=TIMEOUT, propagate=False), later.get(timeout=5, propagate=False)]
    return [f"{type(error).__name__}: {error}" for error in found]


def canvas(pk):
    """Enqueue all kinds of canvases for one site; return the sites of their parts."""
    with override_site(pk):
        parts = {
            "chord": chord([work.site_id.s()] * 3, work.ids.s()),
            "retry": work.third_time.s(),
            "autoretry": work.second_time.s(),
            "chain": chain(work.ids.s(), work.third_time.s(), work.ids.s()),
            "group": group(work.site_id.s(), work.site_id.s()) | work.ids.s(),
            "starmap": work.site_id.starmap([(1,), (2,)]),
            "replaced": work.replaced.s(),
            "fleet": chain(work.whole_fleet.s(), chord([work.site_id.s()] * 2, work.ids.s())),
        }
        results = {name: part.apply_async() for name, part in parts.items()}
    return {name: result.get(timeout=TIMEOUT) for name, result in results.items()}


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
