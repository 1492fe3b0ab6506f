"""What can be chosen for a site: what the world sees of it, and how it is served."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from sitefleet.conf import get_conf
from sitefleet.hosting.planning.fleet import DEDICATED, SHARED
from sitefleet.hosting.planning.options import OTHER_NAMES, RULES, InvalidOptions, clean_options

if TYPE_CHECKING:
    from collections.abc import Mapping


class State(models.TextChoices):
    """What the world sees of a site."""

    ACTIVE = "active", pgettext_lazy("sitefleet", "active")
    MAINTENANCE = "maintenance", pgettext_lazy("sitefleet", "maintenance")
    ARCHIVED = "archived", pgettext_lazy("sitefleet", "archived")
    SUSPENDED = "suspended", pgettext_lazy("sitefleet", "suspended")


class Mode(models.TextChoices):
    """How a site is served."""

    SHARED = SHARED, _("shared: by the process that serves many sites")
    DEDICATED = DEDICATED, _("dedicated: by processes of its own")


def is_dedicated(default_mode: str, *, negated: bool = False) -> models.Q:
    """Return what finds the sites that are to be dedicated, or with ``negated`` all others."""
    # Whatever is no mode of ours counts as the default; so does a site without a SiteConfig.
    dedicated = models.Q(siteconfig__mode=DEDICATED)
    if default_mode == DEDICATED:
        dedicated = ~models.Q(siteconfig__mode=SHARED) | models.Q(siteconfig__isnull=True)
    return ~dedicated if negated else dedicated


def clean_serving(values: Any, stored: Any = None) -> dict[str, Any]:
    """Return options of the processes of a site as they are stored. Raises ValidationError.

    A variable that is ``stored`` with this value passes, also when it is listed no more.
    """
    given = values.get("environment") if isinstance(values, dict) else None
    before = usable_serving(stored).get("environment", {})
    kept = [name for name in before if isinstance(given, dict) and given.get(name) == before[name]]
    try:
        return clean_options(values, (*get_conf().SERVING.get("environment", ()), *kept))
    except InvalidOptions as error:
        raise ValidationError({"serving": error.problems}) from None


def usable_serving(values: Any) -> dict[str, Any]:
    """Return what of stored options can be used: raw SQL lets anything in."""
    known = values.items() if isinstance(values, dict) else ()
    return {name: value for name, value in known if name in RULES and not RULES[name](value)}


def merge_serving(stored: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return stored options with those that are given; None takes one away.

    Raises ValidationError for a name that is none.
    """
    named = {OTHER_NAMES.get(name, name): value for name, value in given.items()}
    for name in named:
        if name not in RULES:
            clean_serving({name: True})  # says what is near
    return usable_serving(stored) | named


def clean_mode(mode: str) -> str:
    """Return a mode; empty for that of the project. Raises ValidationError."""
    mode = mode.strip().lower()
    if mode and mode not in Mode.values:
        message = _("%(mode)s is no mode of serving; there are shared and dedicated.")
        raise ValidationError({"mode": [message % {"mode": mode[:40]}]})
    return mode
