"""A process that enqueues tasks, or prints what came of them."""

import asyncio
import json
import sys

import django

django.setup()

from sitefleet import override_site  # noqa: E402 - Django is set up first
from sitefleet.registry import add_site, set_state  # noqa: E402
from tests.acceptance import tasks_module as work  # noqa: E402

TIMES = 20


def enqueue():
    """Enqueue for two sites in turn, for none, for one that is suspended, and as others do."""
    slugs = ("one", "two", "shut")
    one, two, shut = (add_site(slug, name=slug, domain=f"{slug}.example.org") for slug in slugs)
    asked = []
    for number in range(TIMES):
        site = (one, two)[number % 2]
        with override_site(site):
            if number % 3:
                result = work.report.enqueue(number)
            else:
                result = asyncio.run(work.async_report.aenqueue(number))
            work.leave_site.enqueue(one.pk)
        asked.append([result.id, [site.pk, f"{site.siteconfig.slug}.example.org", number]])
        asked.append([work.whole_fleet.using(priority=number).enqueue().id, None])
    with override_site(shut):
        asked.append([work.report.enqueue(0).id, f"TaskRefused: Its site shut (id {shut.pk})"])
    asked.append([work.as_others_do().id, "TaskRefused: It came without a site"])
    set_state(shut, "suspended")
    return asked


def collect():
    """Return what is not as it should be."""
    wrong = []
    for key, expected in json.load(sys.stdin):
        result = work.whole_fleet.get_backend().get_result(key)
        if isinstance(expected, str):
            found = result.errors[0].traceback.splitlines()[-1] if result.errors else None
            if found is None or expected not in found:
                wrong.append([key, expected, found])
        elif result.status != "SUCCESSFUL" or result.return_value != expected:
            wrong.append(
                [
                    key,
                    expected,
                    str(result.status),
                    [e.traceback.splitlines()[-14:] for e in result.errors],
                ]
            )
        elif result.kwargs:
            wrong.append([key, "no arguments by name", result.kwargs])
    return wrong


if __name__ == "__main__":
    print(json.dumps({"enqueue": enqueue, "collect": collect}[sys.argv[1]]()))  # noqa: T201
