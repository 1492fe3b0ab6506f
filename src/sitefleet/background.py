"""Work that is done later: which site it is for, and whether it may still be done.

Tasks are declared where there are no models yet: in settings, in ``celery.py``, in ``models.py``.
So this module asks for models when it needs them, and imports none.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db.models import Q
from django.urls import get_urlconf, set_urlconf

from sitefleet.current import get_current_site_id, override_site, wiring
from sitefleet.exceptions import NoCurrentSite, SiteError, TaskRefused, UnknownSite
from sitefleet.prefixes import mount
from sitefleet.presented import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from django.contrib.sites.models import Site
    from django.db.models import QuerySet

#: States of sites for which tasks run. In maintenance a site is shut for the public, not for work.
RUNNING = ("active", "maintenance")
#: Sites that are read at once; a fleet does not fit into the memory of a worker.
BATCH = 1000
#: What else is entered with a site, outside of requests: such as its language.
around: list[Callable[[Site], AbstractContextManager[object]]] = []


def site_to_carry(task: str) -> int:
    """Return the id of the site that a task, which is being enqueued, is for: the current one.

    Raises NoCurrentSite, which names the task.
    """
    try:
        return get_current_site_id()
    except NoCurrentSite as error:
        detail = f"The task {task} is for a site; one for none is declared as fleet-wide."
        raise NoCurrentSite(detail) from error


def admit(pk: object) -> Site:
    """Return the site that a task came for, as it is presented; asks the database each time.

    Raises TaskRefused for a site that is archived, suspended or gone, and for none.
    """
    if not isinstance(pk, int) or isinstance(pk, bool):
        message = (
            "It came without a site: it was enqueued where tasks do not carry theirs, or before"
            " they did. A task that is for no site is declared as fleet-wide."
        )
        raise TaskRefused(message)
    row = _sites().filter(pk=pk).values_list("siteconfig__slug", "siteconfig__state").first()
    if row is None:
        message = f"Its site (id {pk}) is gone, or is not committed yet."
        raise TaskRefused(message)
    slug, state = row
    if state is not None and state not in RUNNING:
        message = f"Its site {slug} (id {pk}) is {state}."
        raise TaskRefused(message)
    return wiring.load_site(pk)


@contextmanager
def working_on(site: Site | None) -> Iterator[None]:
    """Do work for ``site`` outside of its requests; None: for no site, whatever is current."""
    view = shown(site) if site is not None else None
    with ExitStack() as stack:
        stack.enter_context(override_site(site))
        stack.enter_context(mount(view.path_prefix if view is not None else ""))
        # What a task before this one, or the request that runs it at once, has pinned is not its.
        stack.callback(set_urlconf, get_urlconf())
        set_urlconf(None)
        if site is not None:
            for enter in around:
                stack.enter_context(enter(site))
        yield


def refuse_fleet_wide(task: str, *, fleet_wide: bool) -> None:
    """Raise SiteError where a task for no site is to be enqueued once for each site."""
    if fleet_wide:
        message = f"The task {task} is fleet-wide: enqueue it once, not once for each site."
        raise SiteError(message)


def running_sites(
    sites: Iterable[Site | str | int] | str | None = None,
    states: Sequence[str] = RUNNING,
    *,
    after: int = 0,
) -> Iterator[int]:
    """Yield the primary keys of sites for which tasks run, in order, those above ``after``.

    ``sites`` are instances, slugs or ids; None: all. Sites in other ``states`` are left out. In
    memory there is one batch of them at a time.

    Raises UnknownSite, and ValueError for states in which tasks do not run.
    """
    if not set(states) <= set(RUNNING):
        message = f"Tasks run for sites that are {' or '.join(RUNNING)}, not for {states!r}."
        raise ValueError(message)
    wanted = Q(siteconfig__state__in=states)
    if "active" in states:
        wanted |= Q(siteconfig__isnull=True)
    found = _sites().filter(wanted)
    if sites is not None:
        found = found.filter(pk__in=_find(keys_of(sites)))
    keys = found.order_by("pk").values_list("pk", flat=True)
    while batch := list(keys.filter(pk__gt=after)[:BATCH]):
        yield from batch
        after = batch[-1]


def keys_of(sites: Iterable[Site | str | int] | str) -> list[str]:
    """Return sites, given as instances, slugs or ids, as text that fits into a message."""
    chosen: Iterable[Any] = [sites] if isinstance(sites, str) else sites
    return [str(getattr(site, "pk", site)).strip().lower() for site in chosen]


def _find(keys: list[str]) -> list[int]:
    numbers = [int(key) for key in keys if key.isascii() and key.isdigit()]
    rows = _sites().filter(Q(siteconfig__slug__in=keys) | Q(pk__in=numbers))
    slugs: dict[int, str] = dict(rows.values_list("pk", "siteconfig__slug"))
    known = {*map(str, slugs), *slugs.values()}
    for key in keys:
        if key not in known:
            raise UnknownSite(key, source="the sites of a task")
    return list(slugs)


def _sites() -> QuerySet[Any]:
    manager: Any = apps.get_model("sites", "Site")._default_manager
    return manager.all()  # type: ignore[no-any-return]
