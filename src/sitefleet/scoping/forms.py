"""Forms on a site: a value that is unique on all sites is looked for on all sites.

Else a form finds nothing on its own site, and the database answers with an error in its place.
What is unique on each site is `SiteUniqueConstraint`'s.
"""

from __future__ import annotations

import functools
from typing import Any

from django.db.models import Model

from sitefleet.scoping.crossing import unguarded
from sitefleet.scoping.scopes import scopes

LOOKING = ("validate_unique", "validate_constraints")


def connect() -> None:
    """Let the validation of models whose rows belong to a site see the rows of all sites."""
    for name in LOOKING:
        original = getattr(Model, name)
        if not hasattr(original, "__wrapped__"):
            setattr(Model, name, _looking_everywhere(original))


def _looking_everywhere(original: Any) -> Any:
    @functools.wraps(original)
    def validate(self: Model, *args: Any, **kwargs: Any) -> None:
        if scopes.of(type(self)) is None:
            original(self, *args, **kwargs)
        else:
            with unguarded():
                original(self, *args, **kwargs)

    return validate
