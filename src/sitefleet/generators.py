"""Generators, step by step: something is put in force for each step and taken out in between.

The body of a generator runs in the context of whoever asks for the next item. What a ``with``
around its creation put in force is long gone by then, and what a ``with`` inside of it puts in
force would leak to that one. So each step is entered and left by itself.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any, TypeVar

from asgiref.sync import iscoroutinefunction

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable, Generator
    from contextlib import AbstractContextManager

    from django.http import StreamingHttpResponse
    from django.http.response import HttpResponseBase

T = TypeVar("T")


def drive(
    generator: Generator[T, Any, Any], steps: AbstractContextManager[object]
) -> Generator[T, Any, Any]:
    """Delegate to ``generator`` (PEP 380), with ``steps`` entered anew around each step."""
    step: Callable[[Any], T] = generator.send
    value: Any = None
    while True:
        try:
            with steps:
                item = step(value)
        except StopIteration as stop:
            return stop.value
        try:
            value = yield item
            step = generator.send
        except GeneratorExit:
            with steps:
                generator.close()
            raise
        except BaseException as error:  # noqa: BLE001 - thrown into the generator, as PEP 380 says
            value, step = error, generator.throw


def within(
    function: Callable[..., Any], enter: Callable[[], AbstractContextManager[object]]
) -> Callable[..., Any]:
    """Return a function, or coroutine function, each call of which is within what ``enter`` gives.

    Not for generators: see `drive`.
    """
    wrapper: Callable[..., Any]
    if iscoroutinefunction(function):

        @functools.wraps(function)
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            with enter():
                return await function(*args, **kwargs)

    else:

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with enter():
                return function(*args, **kwargs)

    return wrapper


async def adrive(
    generator: AsyncGenerator[T, Any], steps: AbstractContextManager[object]
) -> AsyncGenerator[T, Any]:
    """Do as `drive` does for an async generator (which returns nothing)."""
    step: Callable[[Any], Any] = generator.asend
    value: Any = None
    while True:
        try:
            with steps:
                item = await step(value)
        except StopAsyncIteration:
            return
        try:
            value = yield item
            step = generator.asend
        except GeneratorExit:
            with steps:
                await generator.aclose()
            raise
        except BaseException as error:  # noqa: BLE001 - thrown into the generator, as above
            value, step = error, generator.athrow


def is_produced(response: HttpResponseBase) -> bool:
    """Tell whether a body is produced as it is sent.

    That of an open file is not: bytes ask for no site, and servers send them faster as they are.
    """
    return response.streaming and getattr(response, "file_to_stream", None) is None


def drive_body(response: StreamingHttpResponse, *steps: AbstractContextManager[object]) -> Any:
    """Let the body of a response be produced with ``steps`` around each of its steps; return it."""
    # `streaming_content` refers back to the response: a body that is dropped unread would wait for
    # the garbage collector, which closes what is in such a circle in any order.
    body: Any = response._iterator  # type: ignore[attr-defined]  # noqa: SLF001 - as told
    body = each(body) if response.is_async else (part for part in body)
    for around in steps:
        body = (adrive if response.is_async else drive)(body, around)
    response.streaming_content = body
    return body


async def each(items: AsyncIterable[T]) -> AsyncGenerator[T, Any]:
    """Iterate over ``items``, and close them in the end if that can be done."""
    try:
        async for item in items:
            yield item
    finally:
        # `async for` leaves its generator to the garbage collector, which knows no site.
        if isinstance(items, AsyncGenerator):
            await items.aclose()
