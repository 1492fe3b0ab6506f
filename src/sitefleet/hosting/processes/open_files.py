"""How many files this process may open: apart from the budget, as Windows has no ``resource``."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

from sitefleet.hosting.planning.budget import check_descriptors

if TYPE_CHECKING:
    from sitefleet.hosting.planning.budget import Budget

#: What is asked for in any case: sites come, and processes keep the limit that they start with.
ROOM = 65_536


def raise_limit(budget: Budget) -> str:
    """Let this process, and those that it starts, open as many files as a plan wants.

    Returns a warning where the system allows fewer, or nothing. Raises SiteError where not even
    the sockets of the sites can be open.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(descriptor_limit(), max(budget.wanted_descriptors, ROOM))
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return check_descriptors(budget, max(soft, wanted))


def descriptor_limit() -> int:
    """Return how many files a process may open at most."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return 2**31 if hard == resource.RLIM_INFINITY else hard
