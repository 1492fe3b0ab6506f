"""What a fleet says of itself, in its log and on the terminal."""

from __future__ import annotations

import sys
import termios
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from sitefleet.exceptions import SiteError

if TYPE_CHECKING:
    from sitefleet.hosting.planning.plan import Plan


def own_version() -> str:
    """Return the version of this package."""
    try:
        return version("django-sitefleet")
    except PackageNotFoundError:  # run from its sources
        return "unknown"


def describe(error: BaseException) -> str:
    """Return an error in one line."""
    text = " ".join(str(error).split())
    return text if isinstance(error, SiteError) else f"{type(error).__name__}: {text}"


def is_terminal() -> bool:
    """Return whether somebody can see what this process says: not after a hang-up."""
    try:
        termios.tcgetattr(sys.stdout)
    except (termios.error, OSError, ValueError):
        return False
    return True


def where(plan: Plan) -> str:
    """Return the address of a fleet, and what serves it."""
    serving = plan.fleet.serving
    return f"{serving.bind} ({serving.router}, {serving.driver}, {serving.server})"
