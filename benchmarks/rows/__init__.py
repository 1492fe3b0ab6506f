"""An application whose rows belong to sites: its tables are the same whoever looks after that.

``ROWS`` says who does: ``free`` (a foreign key, nobody: each query names the site itself), ``own``
(`SiteModel` and the guard), ``outside`` (the same foreign key, Django's manager, and the guard).
"""

from __future__ import annotations

from typing import Any

SETTINGS: dict[str, Any] = {"ROOT_URLCONF": "benchmarks.rows.urls"}
APPS = ["benchmarks.rows"]
#: Who looks after the rows: what SITEFLEET says then.
VARIANTS: dict[str, dict[str, Any]] = {
    "free": {"GUARD": False},
    "own": {},
    "outside": {
        "SCOPED_MODELS": {
            f"rows.{name}": {"field": "site", "add": False}
            for name in ("Author", "Story", "Comment")
        }
    },
}


def path(who: str, queries: int) -> str:
    """Return where a view is: ``explicit``, ``bare`` or ``unscoped``, with so many queries."""
    return f"/{who}/{queries}/"
