"""Which host leads where."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sitefleet.hosting.proxy.forwarded import Network

SHARED = "shared"
PATIENCE = 60.0


class Target:
    """One instance: where it listens, and how busy it is."""

    __slots__ = ("address", "family", "key", "open", "patience")

    def __init__(self, key: str) -> None:
        self.key = key
        self.family, self.address = read_address("unix:")
        self.patience = PATIENCE
        """Seconds until its answer has to begin."""
        self.open = 0
        """Requests that it answers now."""


def read_address(text: str) -> tuple[socket.AddressFamily, str | tuple[str, int]]:
    """Return family and address of ``unix:/path`` or ``127.0.0.1:port``. Raises ValueError."""
    if text.startswith("unix:"):
        return socket.AF_UNIX, text.removeprefix("unix:")
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    return socket.AF_INET6 if ":" in host else socket.AF_INET, (host, int(port))


@dataclass
class Routes:
    """The table of hosts; replaced in one step."""

    names: dict[str, Target] = field(default_factory=dict)
    shared: Target = field(default_factory=lambda: Target(SHARED))
    trusted: tuple[Network, ...] = ()
    _targets: dict[str, Target] = field(default_factory=dict)

    def replace(self, table: dict[str, Any]) -> None:
        """Take a table.

        It has ``addresses`` by instance and ``names`` of hosts, and may have networks ``trusted``
        and ``patience`` by instance. Instances that stay keep what they answer now. Raises
        KeyError or ValueError for a bad one, and changes nothing then.
        """
        trusted = tuple(ipaddress.ip_network(text) for text in table.get("trusted", ()))
        places = {key: read_address(text) for key, text in table["addresses"].items()}
        targets = {key: self._targets.get(key) or Target(key) for key in places}
        patience = {key: float(number) for key, number in table.get("patience", {}).items()}
        shared = targets[SHARED]
        names = {name: targets[key] for name, key in table["names"].items()}
        for key, target in targets.items():
            target.family, target.address = places[key]
            target.patience = patience.get(key, PATIENCE)
        self.names, self.shared, self.trusted, self._targets = names, shared, trusted, targets

    def find(self, name: str) -> Target:
        """Return where a host in normal form, without its port, leads."""
        return self.names.get(name, self.shared)
