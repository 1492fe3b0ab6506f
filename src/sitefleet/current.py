"""The current site: the site this code runs for, now.

The shape is that of ``django.utils.timezone``: `activate`, `deactivate`, `override_site` and
`get_current_site`. The state is one `ContextVar`, so each thread, each asyncio task and each
request has its own, and ``sync_to_async`` carries it along. A thread that you start yourself does
not inherit it (Python's rule, but for free-threaded builds): hand it `carry_site(function)`.

The trap this module exists for: generators. Their body runs in the context of whoever asks for
the next item, long after the ``with`` block that created them. `override_site` as a decorator of a
generator, and `carry_iterable` for one that exists, enter the site again for each step.
"""

from __future__ import annotations

import functools
import inspect
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar, cast

from sitefleet.exceptions import NoCurrentSite
from sitefleet.generators import adrive, drive, each, within

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Callable, Generator, Iterable
    from types import TracebackType

    from django.contrib.sites.models import Site

    #: The primary key or None, the host accepted for this request, the state outside, its owner.
    State = tuple["int | None", "str | None", "State | None", object]

F = TypeVar("F", bound="Callable[..., Any]")
T = TypeVar("T")

current_state: ContextVar[State | None] = ContextVar("sitefleet_current_site", default=None)
#: Where who calls the application finds the id of the site that has answered: in the environ of
#: WSGI, or the scope of ASGI.
SERVED = "sitefleet.site_id"


def active_site_id() -> int | None:
    """Return the primary key of the site that was entered here, or None; no default, no query."""
    state = current_state.get()
    return None if state is None else state[0]


def get_current_site_id() -> int:
    """Return the primary key of the current site: the one entered here, else the default.

    Raises NoCurrentSite when there is neither.
    """
    state = current_state.get()
    if state is not None and state[0] is not None:
        return state[0]
    default = wiring.default_site_id()
    if default is None:
        raise NoCurrentSite
    return default


def get_current_site(request: object | None = None) -> Site:
    """Return the current site.

    ``request`` is accepted so that this can stand in for Django's shortcut of that name; when it
    carries a ``site``, that one is returned.

    Raises NoCurrentSite when there is none, Site.DoesNotExist when its row is gone.
    """
    site = getattr(request, "site", None)
    return site if site is not None else wiring.load_site(get_current_site_id())


def is_within(outer: State | None) -> bool:
    """Tell whether a state that was in force before still is: here, or outside of what is."""
    state = current_state.get()
    while state is not None and state is not outer:
        state = state[2]
    return state is outer


def activate(site: Site | int) -> None:
    """Make ``site`` the current site of this thread or task until `deactivate`.

    For shells and workers; in other code `override_site` is safer. Raises TypeError for anything
    that is neither a saved ``Site`` nor its primary key.
    """
    _replace(_primary_key(site))


def deactivate() -> None:
    """Undo `activate`: the default site, if there is one, is current again."""
    _replace(None)


class override_site:  # noqa: N801 - named like Django's timezone.override and translation.override
    """Make ``site`` the current site for a ``with`` block or for each call of a function.

    Works as ``with``, as ``async with``, and as a decorator of functions, coroutine functions,
    generators and async generators. Nests, restores the site outside on every exit, and one
    instance may be entered by many threads and tasks at once. None means: the default site.

    Raises TypeError for anything that is neither a saved ``Site`` nor its primary key nor None.
    """

    __slots__ = ("_pk", "site")

    def __init__(self, site: Site | int | None) -> None:
        self.site = site
        self._pk = None if site is None else _primary_key(site)

    def __enter__(self) -> None:
        wiring.before_entering()
        outer = current_state.get()
        current_state.set((self._pk, outer[1] if outer else None, outer, self))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Blocks entered inside and never left (an abandoned generator) lie above ours. None is
        # ours where a block is left in another context than it was entered in: touch nothing.
        state = current_state.get()
        while state is not None and state[3] is not self:
            state = state[2]
        if state is not None:
            current_state.set(state[2])

    async def __aenter__(self) -> None:
        self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)

    def __call__(self, function: F) -> F:
        """Return ``function`` so that each call of it runs under the site."""
        wrapper: Callable[..., Any]
        if inspect.isasyncgenfunction(function):

            @functools.wraps(function)
            def wrapper(*args: Any, **kwargs: Any) -> Any:
                return adrive(function(*args, **kwargs), SiteSteps(self._pk))

        elif inspect.isgeneratorfunction(function):

            @functools.wraps(function)
            def wrapper(*args: Any, **kwargs: Any) -> Any:
                return (yield from drive(function(*args, **kwargs), SiteSteps(self._pk)))

        else:
            wrapper = within(function, lambda: self)

        return cast("F", wrapper)


def carry_site(function: F) -> F:
    """Return ``function`` bound to the site that is current now, to be called anywhere.

    For threads and executors: ``pool.submit(carry_site(work), item)``.

    Raises NoCurrentSite when there is none.
    """
    return override_site(get_current_site_id())(function)


def carry_iterable(items: Iterable[T]) -> Generator[T, Any, Any]:
    """Iterate over ``items`` under the state of now, whoever asks for the next one and when."""
    return drive((item for item in items), SiteSteps.here())


def carry_async_iterable(items: AsyncIterable[T]) -> AsyncGenerator[T, Any]:
    """Iterate over ``items`` under the state of now: `carry_iterable` for ``async for``."""
    return adrive(each(items), SiteSteps.here())


class AcceptedHost(str):
    """The entry for ``ALLOWED_HOSTS``: the host that was accepted for this request, nothing else.

    Django compares a host with ``pattern.lower()`` for each pattern of the list; this pattern
    answers with the host that the resolver has accepted. So the gate is no list of names, costs
    the same for one site and for a million, and is shut before ``SiteMiddleware`` has run.
    """

    __slots__ = ()

    def lower(self) -> str:
        """Return the accepted host, or a text that no host can equal."""
        state = current_state.get()
        return (state[1] if state is not None else None) or "<no host accepted>"


class Wiring:
    """What the lowest floor needs from above; `SitefleetConfig.ready` fills it in."""

    def __init__(self) -> None:
        self.default_site_id: Callable[[], int | None] = lambda: None
        self.load_site: Callable[[int], Site] = _not_ready
        #: Called where code enters a site by itself, not by a request.
        self.before_entering: Callable[[], None] = lambda: None


def _not_ready(pk: int) -> Site:
    message = f"Site {pk} cannot be loaded: add 'sitefleet' to INSTALLED_APPS and set up Django."
    raise NoCurrentSite(message)


wiring = Wiring()


class SiteSteps:
    """The state of a generator between its steps: put in force for a step, then taken out."""

    __slots__ = ("outer", "state")

    def __init__(self, pk: int | None) -> None:
        outer = current_state.get()
        self.state: State | None = (pk, outer[1] if outer else None, outer, self)
        self.outer: State | None = None

    @classmethod
    def here(cls) -> SiteSteps:
        """Return those that begin with the state of now."""
        steps = cls(None)
        steps.state = current_state.get()
        return steps

    def __enter__(self) -> None:
        wiring.before_entering()
        self.outer = current_state.get()
        current_state.set(self.state)

    def __exit__(self, *exception: object) -> None:
        self.state = current_state.get()
        current_state.set(self.outer)
        self.outer = None


def _replace(pk: int | None) -> None:
    wiring.before_entering()
    state = current_state.get()
    current_state.set((pk, state[1], state[2], state[3]) if state else (pk, None, None, None))


def _primary_key(site: Site | int) -> int:
    pk = getattr(site, "pk", site)
    if isinstance(pk, int) and not isinstance(pk, bool):
        return int(pk)
    if isinstance(site, str):
        message = f"override_site() takes a site or its id; get_site({site!r}) finds one by name."
    elif pk is None:
        message = "A site must be saved before it can be the current site."
    else:
        message = f"Expected a Site or its integer id, not {site!r}."
    raise TypeError(message)
