"""How many files this process may open: apart from the budget, as Windows has no ``resource``."""

from __future__ import annotations

import resource


def descriptor_limit() -> int:
    """Return how many files a process may open at most."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return 2**31 if hard == resource.RLIM_INFINITY else hard


def raise_limit(wanted: int | None = None) -> int:
    """Let this process, and those that it starts, open ``wanted`` files, or as many as it may.

    Returns how many it may open now: fewer than wanted where the system does not allow them.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = descriptor_limit()
    aim = most if wanted is None else min(most, wanted)
    if soft < aim and soft != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard if aim == most else aim, hard))
    return max(soft, aim)
