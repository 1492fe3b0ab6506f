"""What the zygote asks of the project that it serves: `sitefleet.serving.zygote` answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from sitefleet.hosting.planning.options import Options, make_options

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, slots=True)
class Served:
    """A site, as the parent knows it."""

    key: str
    site: int
    options: Options = field(default_factory=Options)

    def as_json(self) -> dict[str, Any]:
        """Return it as it travels to the parent: with what a child needs, which is short."""
        options = self.options.as_json()
        del options["warm_up"], options["environment"]  # those of the parent are for all its sites
        return {"key": self.key, "site": self.site, "options": options}


def read_served(values: Mapping[str, Any]) -> Served:
    """Return the site that `Served.as_json` has written."""
    options = make_options(values["options"])
    return Served(values["key"], values["site"], options)


class Program(Protocol):
    """The project, loaded and warmed, in the parent and then in each of its children."""

    def become(self, served: Served) -> Callable[..., Any]:
        """In a child: be for this site alone; return its application. May raise anything."""
