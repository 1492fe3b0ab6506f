"""``SITEFLEET["SERVING"]``: how a project wants its fleet served, checked key by key."""

from __future__ import annotations

import ipaddress
from dataclasses import fields
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from sitefleet.hosting.planning.fleet import DRIVERS, MODES, ROUTERS, SHARED_SERVERS, Serving
from sitefleet.hosting.planning.options import InvalidOptions, clean_options, is_reserved

if TYPE_CHECKING:
    from collections.abc import Callable

#: Servers whose generated configuration takes lines from the settings.
RAW = ("uwsgi", "nginx", "haproxy", "gunicorn", "granian")
MAX_PORT = 65535


def read_serving(values: dict[str, Any]) -> Serving:
    """Return the settings of values in which `why_not_serving` finds nothing."""
    made: dict[str, Any] = {
        key: tuple(value) if isinstance(value, (list, tuple)) else value
        for key, value in values.items()
    }
    return Serving(**made)


def why_not_serving(values: dict[str, Any]) -> str:
    """Return why the settings cannot be used, in a sentence; empty when they can."""
    known = [item.name for item in fields(Serving)]
    for key, value in values.items():
        if key not in known:
            near = get_close_matches(str(key), known, 1)
            return f"{key!r} is no key of it; " + (
                f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}."
            )
        if reason := _RULES[key](value):
            return f"{key!r} {reason}."
    variables = values.get("environment", ())
    for key in ("options", "shared"):
        try:
            clean_options(values.get(key, {}), variables)
        except InvalidOptions as error:
            return f"{key!r}: {error}"
    return ""


def parse_bind(text: str) -> tuple[str, int] | None:
    """Return host and port of ``host:port``; None where it is none."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    good = colon and port.isascii() and port.isdigit() and len(port) <= len(str(MAX_PORT))
    return (host or "0.0.0.0", int(port)) if good and int(port) <= MAX_PORT else None  # noqa: S104


def local_host(host: str) -> str:
    """Return where to connect to, on this machine, for what listens on a host."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - nothing is bound


def _one_of(choices: tuple[str, ...]) -> Callable[[Any], str]:
    return lambda value: "" if value in choices else f"is one of {', '.join(choices)}"


def _why_not_bind(value: Any) -> str:
    good = isinstance(value, str) and parse_bind(value) is not None
    return "" if good else 'is a host and a port, such as "127.0.0.1:8000"'


def _why_not_text(value: Any) -> str:
    return "" if isinstance(value, str) else "is a text"


def _why_not_bool(value: Any) -> str:
    return "" if isinstance(value, bool) else "is True or False"


def _why_not_dict(value: Any) -> str:
    return "" if isinstance(value, dict) else 'is a dictionary, such as {"workers": 2}'


def _why_not_names(value: Any) -> str:
    good = isinstance(value, (list, tuple)) and all(
        isinstance(name, str) and name.isidentifier() and name.isupper() for name in value
    )
    if not good:
        return 'is a list of variables, such as ["FLAVOUR"]'
    bad = next(filter(is_reserved, value), "")
    return f"cannot have {bad}: rows of the database would decide what code runs" if bad else ""


def _why_not_networks(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        try:
            for network in value:
                ipaddress.ip_network(network)
        except ValueError:
            pass
        else:
            return ""
    return 'is a list of networks, such as ["10.0.0.0/8"]'


def _why_not_raw(value: Any) -> str:
    good = isinstance(value, dict) and all(
        key in RAW and isinstance(text, str) for key, text in value.items()
    )
    return "" if good else f"is a dictionary of text by server, of {', '.join(RAW)}"


_RULES: dict[str, Callable[[Any], str]] = {
    "driver": _one_of(DRIVERS),
    "router": _one_of(ROUTERS),
    "server": _one_of(SHARED_SERVERS),
    "mode": _one_of(MODES),
    "bind": _why_not_bind,
    "run_dir": _why_not_text,
    "options": _why_not_dict,
    "shared": _why_not_dict,
    "environment": _why_not_names,
    "trusted_proxies": _why_not_networks,
    "cgroup": _why_not_text,
    "immortal": _why_not_bool,
    "raw": _why_not_raw,
}
