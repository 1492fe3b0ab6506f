"""Rows that a queryset keeps once it has run are those of the site that it has run for.

A queryset of a module or a class that is iterated as it is, and not by ``.all()``, keeps the rows
of the first site that asked. Under another site it runs again; where no site is entered, its rows
are those that it has. What prefetching has put into a queryset belongs to its instance, and stays.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from sitefleet.current import active_site_id
from sitefleet.scoping.crossing import is_crossing
from sitefleet.scoping.scopes import scopes

#: The queryset that is being filled here: what others are given meanwhile is none of its rows.
_filling: ContextVar[Any] = ContextVar("sitefleet_filling", default=None)
KEPT = "_sitefleet_kept"
#: Where Django keeps the rows; as a property of the class goes first, the name is ours too.
ROWS = "_result_cache"


#: The key of rows that were read where no site was entered: of the default one, or of none.
OUTSIDE = 0
#: The key of those of all sites, which are no site's.
ALL = -1


def _get(queryset: Any) -> Any:
    kept = vars(queryset).get(KEPT)
    rows = vars(queryset).get(ROWS)
    if kept is None:
        return rows
    if is_crossing():
        return kept.get(ALL) if is_crossing(aloud=True) else rows
    site = active_site_id()
    return kept.get(OUTSIDE, rows) if site is None else kept.get(site)


def _set(queryset: Any, rows: Any) -> None:
    vars(queryset)[ROWS] = rows
    if _filling.get() is queryset and scopes.tables:
        key = ALL if is_crossing() else active_site_id() or OUTSIDE
        vars(queryset).setdefault(KEPT, {})[key] = rows
        vars(queryset)["_prefetch_done"] = False  # of these rows


#: Stands for the attribute of that name of Django's ``QuerySet``.
rows_of_the_site = property(_get, _set)


def filling(original: Any) -> Any:
    """Return ``QuerySet._fetch_all`` so that it is known which queryset it fills."""

    def fetch_all(self: Any) -> None:
        token = _filling.set(self)
        try:
            original(self)
        finally:
            _filling.reset(token)

    return fetch_all
