"""What leads hosts to instances, by name; each is imported when it is used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sitefleet.hosting.routers.programs import find_program

if TYPE_CHECKING:
    from sitefleet.hosting.context import Context, Router

#: By ``SERVING["router"]``: module and class.
ROUTERS = {
    "asyncio": ("asyncio_", "AsyncioRouter"),
    "nginx": ("nginx", "NginxRouter"),
    "haproxy": ("haproxy", "HaproxyRouter"),
    "traefik": ("traefik", "TraefikRouter"),
}
#: These cannot lead to unix sockets: instances listen on ports of the loopback interface.
NEED_PORTS = ("traefik",)


def make_router(name: str, context: Context) -> Router:
    """Return a router."""
    made: Router = _load(name)(context)
    return made


def find_router(name: str) -> str:
    """Return the path of the program that a router is. Raises SiteError where there is none."""
    kind = _load(name)
    return find_program(kind.name, kind.package)


def _load(name: str) -> Any:
    module, class_name = ROUTERS[name]
    return getattr(import_module(f"{__name__}.{module}"), class_name)
