"""The way out, said aloud: ``with cross_site("reason"):`` statements see the rows of all sites."""

from __future__ import annotations

import inspect
import logging
import sys
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

from sitefleet.current import active_site_id, current_state
from sitefleet.generators import within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType, TracebackType

    from sitefleet.current import State

F = TypeVar("F", bound="Callable[..., Any]")

logger = logging.getLogger("sitefleet.cross_site")


@dataclass(eq=False, slots=True)
class _Entry:
    """A block that was entered. Tasks and copies of the context share it, so it ends for all."""

    owner: object
    state: State | None
    """The site that was current then."""
    outer: _Entry | None
    over: bool = False


_crossing: ContextVar[_Entry | None] = ContextVar("sitefleet_cross_site", default=None)


def is_crossing(*, aloud: bool = False) -> bool:
    """Tell whether statements see the rows of all sites here; ``aloud``: as `cross_site` was said.

    A site that was entered inside counts more: there its own rows are seen.
    """
    entry = _entry()
    return entry is not None and (entry.owner is not None or not aloud)


def _entry() -> _Entry | None:
    entry = _crossing.get()
    while entry is not None and entry.over:
        entry = entry.outer
    return entry if entry is not None and entry.state is current_state.get() else None


@contextmanager
def unguarded() -> Iterator[None]:
    """Let statements of our own see all rows: nobody has asked to cross, so nothing is logged."""
    entry = _Entry(None, current_state.get(), _crossing.get())
    token = _crossing.set(entry)
    try:
        yield
    finally:
        entry.over = True
        _crossing.reset(token)


class cross_site:  # noqa: N801 - named like override_site
    """Let statements see, and change, the rows of all sites; for reports, repairs, exports.

    Works as ``with``, as ``async with`` and as a decorator of functions and coroutine functions.
    Who asked for it and why goes to the logger ``sitefleet.cross_site``, level INFO. A site that
    is entered inside of it, by ``override_site``, is guarded again; so are tasks that were started
    inside, once it is over. Iterators are bound with their first row only: consume them inside.

    ``by``: the user, or whatever else answers for it; told in the log.
    Raises ValueError without a reason, TypeError as a decorator of generators.
    """

    def __init__(self, reason: str, by: object = None) -> None:
        text: object = reason  # callers are not all typed
        if not isinstance(text, str) or not text.strip():
            message = 'cross_site() needs a reason: cross_site("yearly report of all sites").'
            raise ValueError(message)
        self.reason = reason
        self.by = by
        self._where = ""
        self._entries: list[_Entry] = []

    def __enter__(self) -> None:
        self._enter(sys._getframe(1))  # noqa: SLF001 - who asks, as logging finds it

    def _enter(self, frame: FrameType) -> None:
        _tell(self, frame)
        entry = _Entry(self, current_state.get(), _crossing.get())
        self._entries.append(entry)
        _crossing.set(entry)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        entry = _crossing.get()
        while entry is not None and (entry.owner is not self or entry.over):
            entry = entry.outer
        if entry is not None:
            _crossing.set(entry.outer)
            self._entries.remove(entry)
            entry.over = True
        elif self._entries:  # by an async generator, which is closed in another context
            self._entries.pop().over = True

    async def __aenter__(self) -> None:
        self._enter(sys._getframe(1))  # noqa: SLF001 - who asks, as logging finds it

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)

    def __call__(self, function: F) -> F:
        """Return ``function`` so that each call of it crosses."""
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            message = "cross_site() decorates no generators: use it inside, around the statement."
            raise TypeError(message)
        return cast("F", within(function, lambda: self._copy_for(function)))

    def _copy_for(self, function: Callable[..., Any]) -> cross_site:
        copy = cross_site(self.reason, self.by)
        copy._where = f"{function.__module__} {function.__qualname__}"
        return copy


def _tell(crossing: cross_site, frame: FrameType) -> None:
    code = f"{frame.f_globals.get('__name__', '?')}:{frame.f_lineno} {frame.f_code.co_name}"
    where = crossing._where or code  # noqa: SLF001 - its other half
    site = active_site_id()
    logger.info(
        "Crossing sites: %r, by %s in %s, site %s",
        crossing.reason,
        crossing.by or "code",
        where,
        site if site is not None else "none",
        extra={"reason": crossing.reason, "by": crossing.by, "where": where},
    )
