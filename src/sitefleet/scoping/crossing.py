"""The way out, said aloud: ``with cross_site("reason"):`` statements see the rows of all sites."""

from __future__ import annotations

import functools
import inspect
import logging
import sys
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar, cast

from asgiref.sync import iscoroutinefunction

from sitefleet.current import active_site_id, current_state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType, TracebackType

    from sitefleet.current import State

F = TypeVar("F", bound="Callable[..., Any]")

logger = logging.getLogger("sitefleet.cross_site")
#: Each with what it was entered by, the site that was current then, the reason, the one outside.
_crossing: ContextVar[tuple[object, State | None, str, Any] | None] = ContextVar(
    "sitefleet_cross_site", default=None
)


def is_crossing() -> bool:
    """Tell whether statements see the rows of all sites here.

    A site that was entered inside counts more: there its own rows are seen.
    """
    state = _crossing.get()
    return state is not None and state[1] is current_state.get()


def reason_of_crossing() -> str | None:
    """Return the reason that was given, None where `is_crossing` is False."""
    state = _crossing.get()
    return state[2] if state is not None and state[1] is current_state.get() else None


@contextmanager
def unguarded() -> Iterator[None]:
    """Let statements of our own see all rows: nobody has asked to cross, so nothing is logged."""
    token = _crossing.set((None, current_state.get(), "sitefleet", _crossing.get()))
    try:
        yield
    finally:
        _crossing.reset(token)


class cross_site:  # noqa: N801 - named like override_site
    """Let statements see, and change, the rows of all sites; for reports, repairs, exports.

    Works as ``with``, as ``async with`` and as a decorator of functions and coroutine functions.
    Who asked for it and why goes to the logger ``sitefleet.cross_site``, level INFO. A site that
    is entered inside of it, by ``override_site``, is guarded again. Iterators are bound where
    they are made only with their first row: consume them inside.

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

    def __enter__(self) -> None:
        self._enter(sys._getframe(1))  # noqa: SLF001 - who asks, as logging finds it

    def _enter(self, frame: FrameType) -> None:
        _tell(self, frame)
        _crossing.set((self, current_state.get(), self.reason, _crossing.get()))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        state = _crossing.get()
        while state is not None and state[0] is not self:
            state = state[3]
        if state is not None:
            _crossing.set(state[3])

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
        wrapper: Callable[..., Any]
        if iscoroutinefunction(function):

            @functools.wraps(function)
            async def wrapper(*args: Any, **kwargs: Any) -> Any:
                with cross_site(self.reason, self.by):
                    return await function(*args, **kwargs)

        else:

            @functools.wraps(function)
            def wrapper(*args: Any, **kwargs: Any) -> Any:
                with cross_site(self.reason, self.by):
                    return function(*args, **kwargs)

        return cast("F", wrapper)


def _tell(crossing: cross_site, frame: FrameType) -> None:
    where = f"{frame.f_globals.get('__name__', '?')}:{frame.f_lineno} {frame.f_code.co_name}"
    site = active_site_id()
    logger.info(
        "Crossing sites: %r, by %s in %s, site %s",
        crossing.reason,
        crossing.by or "code",
        where,
        site if site is not None else "none",
        extra={"reason": crossing.reason, "by": crossing.by, "where": where},
    )
