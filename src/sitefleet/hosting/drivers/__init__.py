"""What runs instances, by name; each is imported when it is used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from sitefleet.hosting.context import Context, Driver

#: For dedicated sites, by ``SERVING["driver"]``: module and class.
DRIVERS = {
    "zygote": ("zygote", "ZygoteDriver"),
    "gunicorn": ("gunicorn", "GunicornDriver"),
    "uwsgi": ("uwsgi", "UwsgiDriver"),
}
#: For the shared server.
SHARED = ("shared", "SharedDriver")


def make_driver(name: str, context: Context) -> Driver:
    """Return a driver for dedicated sites."""
    return _load(*DRIVERS[name])(context)


def make_shared(context: Context) -> Driver:
    """Return the driver of the shared server."""
    return _load(*SHARED)(context)


def _load(module: str, name: str) -> Callable[[Context], Driver]:
    found = getattr(import_module(f"{__name__}.{module}"), name)
    return cast("Callable[[Context], Driver]", found)
