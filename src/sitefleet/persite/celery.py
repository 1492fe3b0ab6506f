"""Celery's tasks carry the site from the caller to the worker.

Switched on where the app is made::

    app = Celery("project", task_cls="sitefleet.persite.celery:SiteTask")

The id of the site travels as a header of the message; retries, chains, groups, chords and
callbacks take it along. Signals of Celery enter and leave the site, around all that happens to a
task, its callbacks too. But what a receiver of a signal raises, Celery only logs: so it is a
method of the task that refuses.
"""

from __future__ import annotations

from contextlib import ExitStack, suppress
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from celery import shared_task, signals  # type: ignore[import-untyped]
from celery.contrib.django.task import DjangoTask  # type: ignore[import-untyped]
from celery.worker.request import Request  # type: ignore[import-untyped]
from django.db import transaction

from sitefleet.background import (
    BATCH,
    RUNNING,
    admit,
    keys_of,
    refuse_fleet_wide,
    running_sites,
    site_to_carry,
    working_on,
)
from sitefleet.current import carry_site, get_current_site_id, override_site
from sitefleet.exceptions import NoCurrentSite, TaskRefused

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from django.contrib.sites.models import Site

HEADER = "sitefleet_site"
FOR_SITES = "sitefleet.for_sites"
#: Tasks of Celery itself that run code of other tasks.
RUNS_OTHERS = ("celery.map", "celery.starmap", "celery.chunks")
#: What is entered for a message that should have a site and has none. No site has this id, so
#: code that asks for one fails, where without this it would get the default site.
NOBODY = 0


class SiteRequest(Request):  # type: ignore[misc]  # Celery has no types
    """A task as the main process of a worker sees it.

    There its callbacks are called when it ran out of time, or when the process that ran it is lost.
    """

    def on_timeout(self, soft: bool, timeout: float) -> None:  # noqa: FBT001 - as Celery has it
        """Tell the callbacks, for the site of the task."""
        with _scene(self.task, self._context):
            super().on_timeout(soft, timeout)

    def on_failure(self, *args: Any, **kwargs: Any) -> Any:
        """Tell the callbacks, for the site of the task."""
        with _scene(self.task, self._context):
            return super().on_failure(*args, **kwargs)


class SiteTask(DjangoTask):  # type: ignore[misc]  # Celery has no types
    """The class of tasks: they run for the site that was current where they were enqueued.

    ``@app.task(fleet_wide=True)``, or ``task_annotations`` for tasks of others, declares one that
    runs for no site. A class of your own that overrides ``before_start`` calls that of this one.
    """

    abstract = True
    Request = SiteRequest
    carries_site = True
    fleet_wide = False

    def apply_async(self, *args: Any, **options: Any) -> Any:
        """Enqueue the task for the current site, or the one its headers name already.

        Raises NoCurrentSite.
        """
        return super().apply_async(*args, **_with_site(self, options))

    def apply(self, *args: Any, **options: Any) -> Any:
        """Run the task here and now, as a worker would. Raises NoCurrentSite."""
        return super().apply(*args, **_with_site(self, options))

    def delay_on_commit(self, *args: Any, **kwargs: Any) -> None:
        """Enqueue the task, when the transaction is committed, for the site that is current now."""
        self.apply_async_on_commit(args, kwargs)

    def apply_async_on_commit(self, *args: Any, **options: Any) -> None:
        """Enqueue the task, when the transaction is committed, for the site that is current now."""
        enqueue: Any = partial(self.apply_async, *args, **options)
        transaction.on_commit(enqueue if _is_free(self) else carry_site(enqueue))

    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        """Refuse to run for a site that is archived, suspended or gone. Raises TaskRefused."""
        if _is_free(self):
            return
        try:
            site = admit(_site_of(self.request))
        except TaskRefused:
            self.request.errbacks = None  # Celery would call them, here and now, for that site.
            raise
        self.request.sitefleet.enter_context(working_on(site))


def for_sites(  # noqa: PLR0913 - these are the parts of an entry
    task: str,
    schedule: Any,
    *,
    sites: Iterable[Site | str | int] | str | None = None,
    states: Sequence[str] = RUNNING,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return an entry for ``beat_schedule`` that enqueues a task, by its name, for each site.

    ``sites`` are slugs or ids, by default all that are active or in maintenance when the time has
    come; those that are not are left out. ``args``, ``kwargs`` and ``options`` are those of
    ``apply_async()`` for the task of each site.
    """
    what = {
        "task": task,
        "sites": None if sites is None else keys_of(sites),
        "states": list(states),
        "args": list(args),
        "kwargs": dict(kwargs or {}),
        "options": dict(options or {}),
    }
    return {"task": FOR_SITES, "schedule": schedule, "kwargs": what}


def _for_sites(
    self: Any,
    task: str,
    *,
    sites: list[str] | None = None,
    states: Sequence[str] = RUNNING,
    after: int = 0,
    **what: Any,
) -> None:
    # A batch at a time, and then itself for the next one: a fleet is longer than a time limit.
    known = self.app.tasks.get(task)
    refuse_fleet_wide(task, fleet_wide=getattr(known, "fleet_wide", False))
    send = partial(self.app.send_task, task) if known is None else known.apply_async
    options = what.get("options") or {}
    batch = list(islice(running_sites(sites, states, after=after), BATCH))
    with self.app.producer_or_acquire() as producer:
        for pk in batch:
            with override_site(pk):
                send(what.get("args"), what.get("kwargs"), producer=producer, **options)
    if len(batch) == BATCH:
        rest = {"task": task, "sites": sites, "states": states, "after": batch[-1], **what}
        self.apply_async(kwargs=rest)


def _enter(task: Any, **_: Any) -> None:
    """Enter the site, also for tasks with a class of their own in an app that carries sites."""
    if isinstance(task, SiteTask) or getattr(task.app.Task, "carries_site", False):
        task.request.sitefleet = ExitStack()
        task.request.sitefleet.enter_context(_scene(task, task.request))


def _scene(task: Any, request: Any) -> AbstractContextManager[None]:
    if getattr(task, "fleet_wide", False):
        return working_on(None)
    pk = _site_of(request)
    return override_site(pk if pk is not None or _is_free(task) else NOBODY)


def _leave(task: Any, **_: Any) -> None:
    stack = task.request.__dict__.pop("sitefleet", None)
    if stack is not None:
        stack.close()


def _publish(headers: Any, **_: Any) -> None:
    """Give its site to a task that is enqueued by a name which this process does not know."""
    if isinstance(headers, dict) and HEADER not in headers:
        with suppress(NoCurrentSite):
            headers[HEADER] = get_current_site_id()


def _is_free(task: Any) -> bool:
    """Tell whether a task needs no site: fleet-wide, or what Celery needs for its own ends."""
    own = task.name.startswith("celery.") and task.name not in RUNS_OTHERS
    return own or getattr(task, "fleet_wide", False)


def _site_of(request: Any) -> int | None:
    pk = (request.headers or {}).get(HEADER)
    return pk if isinstance(pk, int) and not isinstance(pk, bool) else None


def _with_site(task: Any, options: dict[str, Any]) -> dict[str, Any]:
    """Return options of ``apply_async()`` with the site, in dictionaries that nobody else has."""
    headers = options.get("headers") or {}
    try:
        here = site_to_carry(task.name)
    except NoCurrentSite:
        if HEADER in headers:
            here = headers[HEADER]
        elif _is_free(task):
            return options
        else:
            raise
    return {**_stamped(options, here), "headers": {HEADER: here, **headers}}


def _stamped(options: Mapping[str, Any], pk: int) -> dict[str, Any]:
    """Return options in which all that is to follow the task is for the same site.

    Else that would be enqueued for the site of the last task before it: of a chord over several
    sites that is any of them, of a fleet-wide task it is none.
    """
    stamped = dict(options)
    for name in ("link", "link_error", "chain"):
        if stamped.get(name):
            several = isinstance(stamped[name], (list, tuple))
            items = stamped[name] if several else [stamped[name]]
            stamped[name] = [_stamp(item, pk) for item in items]
    if stamped.get("chord"):
        stamped["chord"] = _stamp(stamped["chord"], pk)
    return stamped


def _stamp(signature: Any, pk: int) -> dict[str, Any]:
    stamped = {**signature, "options": _stamped(signature.get("options") or {}, pk)}
    kwargs = stamped["kwargs"] = dict(signature.get("kwargs") or {})
    kind = stamped.get("subtask_type")
    if kind in ("chain", "group"):
        kwargs["tasks"] = [_stamp(item, pk) for item in kwargs["tasks"]]
    elif kind == "chord":
        header, body = kwargs["header"], kwargs.get("body")
        group = isinstance(header, dict)
        kwargs["header"] = _stamp(header, pk) if group else [_stamp(item, pk) for item in header]
        kwargs["body"] = body and _stamp(body, pk)
    else:
        headers = stamped["options"].get("headers") or {}
        stamped["options"]["headers"] = {HEADER: pk, **headers}
    return stamped


shared_task(
    name=FOR_SITES,
    bind=True,
    fleet_wide=True,
    ignore_result=True,
    store_errors_even_if_ignored=True,
)(_for_sites)
signals.task_prerun.connect(_enter)
signals.task_postrun.connect(_leave)
signals.before_task_publish.connect(_publish)
