"""How a site is to come in, what has come in, and how far it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sitefleet.states import State

if TYPE_CHECKING:
    from django.contrib.sites.models import Site

#: Told how much of how much is done, and of what.
Progress = Callable[[int, int, str], None]


def quiet(done: int, total: int, label: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """How a site comes in."""

    slug: str = ""
    domain: str | None = None
    """Another domain than that of the file, whose aliases then stay behind, too."""
    name: str = ""
    path_prefix: str | None = None
    state: str = State.MAINTENANCE.value
    exclude: tuple[str, ...] = ()
    map: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Keys here of what is shared, by model and the key there."""
    drop_unknown: bool = False
    create_users: bool = False
    skip_unknown: bool = False
    same_fleet: bool = False
    """The records come from this database, so what is shared is where it was."""
    dry_run: bool = False


@dataclass
class ImportReport:
    """What has come in."""

    site: Site | None = None
    rows: dict[str, int] = field(default_factory=dict)
    files: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    """Rows, by model, that need what is not here."""
