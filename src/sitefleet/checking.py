"""What the system checks of all modules share: when they may look at rows, and at how many."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import DatabaseError, router

from sitefleet.conf import find_problems
from sitefleet.models import SiteConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from django.core.checks import CheckMessage

SITE_MIDDLEWARE = "sitefleet.middleware.SiteMiddleware"
#: Rows that a check looks at, at most; it is to stay quick on a large fleet.
LOOKED_AT = 10_000


def look_into(
    databases: Sequence[str] | None, look: Callable[[str], Iterable[CheckMessage]]
) -> list[CheckMessage]:
    """Return what ``look`` finds in the database of sites, whose alias it gets.

    ``databases`` are those that Django lets a check look into (``check --database``). Nothing is
    found in any other, with settings that cannot be used, of which `check_settings` tells, and
    where there are no tables yet: `migrate` is going to run, and the check with it.
    """
    using = router.db_for_read(SiteConfig)
    if not databases or using not in databases or find_problems():
        return []
    try:
        return list(look(using))
    except DatabaseError:
        return []
