"""System checks of the driver uwsgi: ids sitefleet.W531 to W539."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core import checks
from django.db import connections

from sitefleet.checking import LOOKED_AT, look_into
from sitefleet.conf import find_problems, get_conf
from sitefleet.hosting.uwsgi.ini import is_safe
from sitefleet.models import SiteConfig
from sitefleet.serving.emperor import VIEW, find_view

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def register() -> None:
    """Register all of them with Django."""
    checks.register(check_vassals, checks.Tags.database)


def check_vassals(databases: Sequence[str] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """Look for what the Emperor would not find, or would leave out."""
    if find_problems() or get_conf().SERVING.get("driver") != "uwsgi":
        return []
    return look_into(databases, _check_vassals)


def _check_vassals(using: str) -> Iterator[checks.CheckMessage]:
    connection = connections[using]
    if connection.vendor == "postgresql" and not find_view(connection):
        yield checks.Warning(
            f"There is no view {VIEW!r}, so uWSGI's Emperor cannot read sites from the database.",
            hint="`manage.py migrate sitefleet`. Until then the supervisor reads them for it.",
            id="sitefleet.W531",
        )
    rows = SiteConfig.objects.using(using).exclude(serving={}).order_by("slug")
    for slug, options in rows.values_list("slug", "serving")[:LOOKED_AT]:
        given = options.get("environment") if isinstance(options, dict) else None
        for name, value in given.items() if isinstance(given, dict) else ():
            if not (isinstance(value, str) and is_safe(value)):
                yield checks.Warning(
                    f"The site {slug!r} sets {name} to a value that uWSGI is not given.",
                    hint="Letters, digits, spaces and _.,:/@+=- are; a space not at the ends.",
                    id="sitefleet.W532",
                )
