"""Settings that follow the current site: properties on the class of Django's settings object.

A property is a data descriptor, which wins over the cache inside that object, and the fastest of
them. What stands in the settings stays there as the default: ``override_settings`` and assignment
work as ever, and change the default.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.conf import LazySettings, settings
from django.utils.functional import empty

if TYPE_CHECKING:
    from collections.abc import Callable

_MISSING: Any = object()
#: What the settings object holds: to ask the object itself takes five times as long.
_held = vars(settings)


def configured(name: str, default: Any = _MISSING) -> Any:
    """Return what stands in the settings themselves, whatever the current site is.

    Raises AttributeError where there is neither that nor a ``default``.
    """
    if _held["_wrapped"] is empty:
        cast("Any", settings)._setup()
    if default is _MISSING:
        return getattr(_held["_wrapped"], name)
    return getattr(_held["_wrapped"], name, default)


def follow(name: str, read: Callable[[LazySettings], Any]) -> None:
    """Let ``settings.<name>`` be what ``read`` returns; AttributeError means: it is not set."""

    def write(instance: Any, value: Any) -> None:
        setattr(instance._wrapped, name, value)

    def delete(instance: Any) -> None:
        delattr(instance._wrapped, name)

    setattr(LazySettings, name, property(read, write, delete))


def stop_following(name: str) -> None:
    """Let a setting be what stands in the settings again."""
    if name in vars(LazySettings):
        delattr(LazySettings, name)
    # What the object remembers of it may be older.
    vars(settings).pop(name, None)
