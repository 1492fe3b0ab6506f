"""Django's tasks carry the site from the caller to the worker.

Switched on by wrapping the backend, of Django 6.0 and later or of the package ``django-tasks``::

    TASKS = {
        "default": {
            "BACKEND": "sitefleet.persite.tasks.SiteBackend",
            "OPTIONS": {"BACKEND": "django_tasks_db.DatabaseBackend"},
        }
    }

A backend stores the arguments of a task and nothing else that a worker would hand back. So the id
of the site travels among them, under a name that no parameter can have, and is taken out before
the function is called and before anybody looks at the result.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from copy import copy
from dataclasses import fields, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Self, cast

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from sitefleet.background import (
    RUNNING,
    admit,
    refuse_fleet_wide,
    running_sites,
    site_to_carry,
    working_on,
)
from sitefleet.current import T, active_site_id, override_site
from sitefleet.dotted import names_a
from sitefleet.exceptions import SiteError, TaskRefused

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager

    from django.contrib.sites.models import Site

KEY = "sitefleet.site"  # where the id of the site travels; with the dot no parameter's name
#: Backends that run a task at once, under the site of the caller, or not at all.
HARMLESS = (
    "django.tasks.backends.immediate.ImmediateBackend",
    "django.tasks.backends.dummy.DummyBackend",
    "django_tasks.backends.immediate.ImmediateBackend",
    "django_tasks.backends.dummy.DummyBackend",
)
LINE = (
    'TASKS = {{"{0}": {{"BACKEND": "sitefleet.persite.tasks.SiteBackend",'
    ' "OPTIONS": {{"BACKEND": "{1}"}}}}}}'
)


class SiteTask:
    """What is mixed into the class of tasks: ``call()`` and ``acall()`` run under the site.

    Where a site was entered that is a plain call of a function; a key of another site is refused.
    """

    __slots__ = ()

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task here. Raises TaskRefused."""
        pk = _take_site(args, kwargs)
        with self._scene(pk):
            return super().call(*args, **kwargs)  # type: ignore[misc]  # the task's

    async def acall(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task here. Raises TaskRefused."""
        pk = _take_site(args, kwargs)
        with await sync_to_async(self._scene)(pk):
            return await super().acall(*args, **kwargs)  # type: ignore[misc]  # the task's

    def _scene(self, pk: object) -> AbstractContextManager[None]:
        here = active_site_id()
        if is_fleet_wide(self):
            return working_on(None)
        if here is None or pk == here:
            return working_on(admit(pk))
        if pk is None:
            return nullcontext()
        # Perhaps these are arguments of a client, who is not to choose the site.
        message = f"It came for site {pk!r}, but is called where site {here} was entered."
        raise TaskRefused(message)

    def __reduce__(self) -> tuple[Any, ...]:
        # By the name of the function, as Django 6.1 does: this class has no place in a module.
        task: Any = self
        values = {item.name: getattr(task, item.name) for item in fields(task)}
        del values["func"]
        return _restore, (task.module_path, values)

    def __deepcopy__(self, memo: dict[int, Any]) -> SiteTask:
        return self  # It is frozen, and what it holds is.


class SiteBackend:
    """A task backend around the one that its option ``BACKEND`` names.

    It is a subclass of that one, with all that it can do; ``class Backend(SiteBackend, Other)``
    writes it down. ``FLEET_WIDE`` in its options lists tasks of others, by the path of their
    function, that run for no site; your own say so themselves, by `fleet_wide`.
    """

    task_class: Any
    alias: str

    def __new__(cls, alias: str, params: dict[str, Any]) -> Self:
        kind: Any = _around(_inner(alias, params)) if cls is SiteBackend else cls
        return cast("Self", object.__new__(kind))

    def __init__(self, alias: str, params: dict[str, Any]) -> None:
        options = dict(params.get("OPTIONS", {}))
        options.pop("BACKEND", None)
        self.fleet_wide = frozenset(options.pop("FLEET_WIDE", ()))
        super().__init__(alias, {**params, "OPTIONS": options})  # type: ignore[call-arg]  # the backend's

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not issubclass(cls.task_class, SiteTask):
            cls.task_class = _of_site(cls.task_class)

    def validate_task(self, task: Any) -> None:
        """Raise SiteError, too, for a task that was not declared for a backend such as this."""
        super().validate_task(task)  # type: ignore[misc]  # the backend's
        if not isinstance(task, SiteTask):
            message = (
                f"The task {task.module_path} does not carry its site: it was declared for another"
                f" backend. Declare it with @task(backend={self.alias!r})."
            )
            raise SiteError(message)

    def enqueue(self, task: Any, args: Any, kwargs: Any) -> Any:
        """Enqueue a task for the current site. Raises NoCurrentSite."""
        carried = _with_site(task, kwargs)
        return _without_site(super().enqueue(task, args, carried))  # type: ignore[misc]

    async def aenqueue(self, task: Any, args: Any, kwargs: Any) -> Any:
        """Enqueue a task for the current site. Raises NoCurrentSite."""
        carried = _with_site(task, kwargs)
        return _without_site(await super().aenqueue(task, args, carried))  # type: ignore[misc]

    def get_result(self, result_id: str) -> Any:
        """Return a result as the backend does."""
        return _without_site(super().get_result(result_id))  # type: ignore[misc]

    async def aget_result(self, result_id: str) -> Any:
        """Return a result as the backend does."""
        return _without_site(await super().aget_result(result_id))  # type: ignore[misc]


def enqueue_for_sites(
    task: Any,
    *args: Any,
    sites: Iterable[Site | str | int] | str | None = None,
    states: Sequence[str] = RUNNING,
    **kwargs: Any,
) -> int:
    """Enqueue ``task`` with these arguments once for each site; return how many times.

    ``sites`` are instances, slugs or ids, by default all that are active or in maintenance; those
    that are not are left out. Raises UnknownSite, ValueError for other ``states``, and SiteError
    for a fleet-wide task.
    """
    refuse_fleet_wide(task.module_path, fleet_wide=is_fleet_wide(task))
    count = 0
    for pk in running_sites(sites, states):
        with override_site(pk):
            task.enqueue(*args, **kwargs)
        count += 1
    return count


def fleet_wide(function: T) -> T:
    """Declare that a task runs for no site, wherever it is enqueued; goes beside ``@task``."""
    target: Any = getattr(function, "func", function)  # a task has its function
    target.fleet_wide = True
    return function


def is_fleet_wide(task: Any) -> bool:
    """Tell whether a task runs for no site: by its declaration, or by options of its backend."""
    listed = getattr(task.get_backend(), "fleet_wide", ())
    return getattr(task.func, "fleet_wide", False) or task.module_path in listed


def _with_site(task: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    return kwargs if is_fleet_wide(task) else {**kwargs, KEY: site_to_carry(task.module_path)}


def _without_site(result: Any) -> Any:
    if KEY not in result.kwargs:
        return result
    shown = copy(result)
    kwargs = {name: value for name, value in result.kwargs.items() if name != KEY}
    object.__setattr__(shown, "kwargs", kwargs)  # Results are frozen.
    return shown


def _take_site(args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
    # The context of a task, which comes first, has the arguments once more.
    result = getattr(args[0], "task_result", None) if args else None
    if result is not None:
        result.kwargs.pop(KEY, None)
    return kwargs.pop(KEY, None)


def _restore(path: str, values: dict[str, Any]) -> Any:
    return replace(import_string(path), **values)


def _inner(alias: str, params: dict[str, Any]) -> type:
    named = params.get("OPTIONS", {}).get("BACKEND")
    try:
        inner = import_string(named) if isinstance(named, str) else named
    except ImportError as error:
        message = f"The BACKEND in the OPTIONS of TASKS[{alias!r}] cannot be imported: {error}"
        raise ImproperlyConfigured(message) from error
    if not isinstance(inner, type) or issubclass(inner, SiteBackend):
        line = LINE.format(alias, "django_tasks_db.DatabaseBackend")
        message = f"SiteBackend needs another backend to go around, not {named!r}. Write {line}"
        raise ImproperlyConfigured(message)
    return inner


@cache
def _around(inner: type) -> type[SiteBackend]:
    return type(inner)(f"Site{inner.__name__}", (SiteBackend, inner), {})


@cache
def _of_site(task_class: Any) -> type[SiteTask]:
    kind: Any = type(task_class)
    made: type[SiteTask] = kind("TaskOfSite", (SiteTask, task_class), {"__slots__": ()})
    return made


def connect() -> None:
    """Register the checks."""
    checks.register(check_tasks)
    checks.register(check_celery)


def check_tasks(**_: Any) -> list[checks.CheckMessage]:
    """Look for backends whose workers get no site."""
    found: list[checks.CheckMessage] = []
    for alias, params in getattr(settings, "TASKS", {}).items():
        named = params.get("BACKEND", "")
        if named in HARMLESS:
            continue
        if names_a(named, SiteBackend):
            found += _check_inner(alias, params)
            continue
        found.append(
            checks.Warning(
                f"TASKS[{alias!r}] does not carry the site: a worker runs its tasks for none, or"
                " for the default site.",
                hint=f"Write {LINE.format(alias, named)}",
                id="sitefleet.W401",
            )
        )
    return found


def _check_inner(alias: str, params: dict[str, Any]) -> list[checks.CheckMessage]:
    try:
        _inner(alias, params)
    except ImproperlyConfigured as error:
        hint = f"Write {LINE.format(alias, 'django_tasks_db.DatabaseBackend')}"
        return [checks.Error(str(error), hint=hint, id="sitefleet.E403")]
    return []


def check_celery(**_: Any) -> list[checks.CheckMessage]:
    """Look at the Celery app of this project, where there is one."""
    # Not imported here: only who uses Celery has it. The app is only looked at: to use it would
    # load its configuration, perhaps too early. Where nobody makes one, Celery makes "default".
    state: Any = sys.modules.get("celery._state")
    app = getattr(state, "default_app", None)
    if app is None or app.main == "default" or getattr(app.Task, "carries_site", False):
        return []
    return [
        checks.Warning(
            f"The Celery app {app.main!r} does not carry the site: a worker runs its tasks for"
            " none, or for the default site.",
            hint=f'Write Celery({app.main!r}, task_cls="sitefleet.persite.celery:SiteTask")',
            id="sitefleet.W402",
        )
    ]
