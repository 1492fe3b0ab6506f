"""Dotted paths in settings, for code that only looks: Django says what is wrong with one."""

from __future__ import annotations

from typing import Any

from django.utils.module_loading import import_string


def imported(path: Any) -> Any:
    """Return what a dotted path names, None where that cannot be imported; all but text as it is.

    Raises what a module raises that is imported by it, but for ImportError.
    """
    try:
        return import_string(path) if isinstance(path, str) else path
    except ImportError:
        return None


def names_a(path: Any, kind: type) -> bool:
    """Tell whether a dotted path names ``kind``, or a subclass of it. Raises as `imported` does."""
    found = imported(path)
    return isinstance(found, type) and issubclass(found, kind)
