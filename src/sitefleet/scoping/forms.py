"""Forms on a site: a value that is unique on all sites is looked for on all sites.

Else a form finds nothing on its own site, and the database answers with an error in its place.
What is unique on each site is `SiteUniqueConstraint`'s. A field of the site, where a form has one,
offers the current site.
"""

from __future__ import annotations

import functools
from typing import Any

from django.db.models import Model
from django.forms import ModelChoiceField
from django.forms.models import BaseModelForm

from sitefleet.scoping.crossing import is_crossing, unguarded
from sitefleet.scoping.fields import default_site
from sitefleet.scoping.scopes import scopes

#: Not `validate_unique`: what is unique for a date is so on each site.
LOOKING = ("_perform_unique_checks", "validate_constraints")


def connect() -> None:
    """Let the validation of models whose rows belong to a site see the rows of all sites.

    And let forms offer the current site alone, where they have the field of the site.
    """
    for owner, name, change in (
        *((Model, name, _looking_everywhere) for name in LOOKING),
        (BaseModelForm, "__init__", _offering_the_site),
    ):
        original = getattr(owner, name)
        if not hasattr(original, "__wrapped__"):
            setattr(owner, name, change(original))


def _looking_everywhere(original: Any) -> Any:
    @functools.wraps(original)
    def validate(self: Model, *args: Any, **kwargs: Any) -> Any:
        if scopes.of(type(self)) is None:
            return original(self, *args, **kwargs)
        with unguarded():
            return original(self, *args, **kwargs)

    return validate


def _offering_the_site(original: Any) -> Any:
    """Return ``__init__`` of forms of models, for fields of sites that are not of our making."""

    @functools.wraps(original)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        model = self._meta.model
        scope = scopes.of(model) if model is not None else None
        site = default_site()
        if scope is None or site is None or is_crossing():
            return
        field = self.fields.get(scope.root.field)
        if isinstance(field, ModelChoiceField) and field.queryset is not None:
            field.queryset = field.queryset.filter(pk=site)
            field.required = True  # without one it would be of all

    return init
