"""Log lines tell their site: ``site_id`` and ``site_slug``.

For ``LOGGING``: ``"filters": {"site": {"()": "sitefleet.persite.logging.SiteFilter"}}``, and that
filter in each handler; for structlog: `add_site` among the processors. Both tell the site that was
entered where the line was written, by a request or by `override_site`, and never ask the database:
a log line may come from the resolver, and from before there are models. So this module imports
none.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import TYPE_CHECKING, Any

from django.core import checks
from django.http import HttpRequest

from sitefleet import hosts
from sitefleet.current import current_state, override_site
from sitefleet.dotted import names_a
from sitefleet.following import configured
from sitefleet.presented import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, MutableMapping

    from sitefleet.presented import Shown

FILTER = "sitefleet.persite.logging.SiteFilter"
#: No site has this id. A number, so that ``%(site_id)d`` works and log stores see one type.
NO_ID = 0
NO_SLUG = "-"
SITES = "django.contrib.sites.models"

_FOREIGN = re.compile(r"[^a-z0-9-]")
_FIELDS = {
    style: re.compile(rf"{before}(site_id|site_slug)\b")
    for style, before in {"%": r"%\(", "{": r"\{", "$": r"\$\{?"}.items()
}


class SiteFilter(logging.Filter):
    """Lets every record through, with its site: ``site_id`` (0 for none), ``site_slug`` (``-``).

    A record that has them keeps them: what a ``QueueHandler`` with this filter has taken in is
    written by another thread.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Put the site into a record."""
        if not hasattr(record, "site_id"):
            site_id, site_slug = _site_of_now()
            request = getattr(record, "request", None)
            if site_id == NO_ID and isinstance(request, HttpRequest):
                # Django tells of a 404, and the like, when the request has left the middleware.
                site: Any = getattr(request, "site", None)
                site_id, site_slug = _told(shown(site))
            record.site_id, record.site_slug = site_id, site_slug
        return True


def add_site(
    logger: object, method: str, event_dict: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Put ``site_id`` and ``site_slug`` into an event: a structlog processor."""
    event_dict["site_id"], event_dict["site_slug"] = _site_of_now()
    return event_dict


def _site_of_now() -> tuple[int, str]:
    state = current_state.get()
    if state is None or state[0] is None:
        return NO_ID, NO_SLUG
    # In a request the owner of the state is the site, and `override_site` has what it was given.
    pk, owner = state[0], state[3]
    site: Any = owner.site if isinstance(owner, override_site) else owner
    view = shown(site)
    if view is None or view.pk != pk:
        # Entered by its id: mostly known to Django's cache.
        known: dict[int, Any] = getattr(sys.modules.get(SITES), "SITE_CACHE", {})
        site = known.get(pk)
        view = None if site is None else shown(site)
    return (pk, NO_SLUG) if view is None else _told(view)


def _told(view: Shown | None) -> tuple[int, str]:
    if view is None:
        return NO_ID, NO_SLUG
    # Slugs are plain, but raw SQL can put anything there.
    return view.pk, _FOREIGN.sub("?", str(view.slug)[: hosts.MAX_LABEL])


def connect() -> None:
    """Register the check."""
    checks.register(check_formats)


def check_formats(**_: Any) -> list[checks.CheckMessage]:
    """Look for handlers that write the site of records which do not have it."""
    config = configured("LOGGING", None)
    if not isinstance(config, dict):
        return []
    return [
        checks.Error(
            f"The handler {name!r} in LOGGING writes {field!r}, which its records do not have:"
            " each line is lost.",
            hint=f'Write "filters": {{"site": {{"()": "{FILTER}"}}}} in LOGGING and'
            ' "filters": ["site"] in the handler.',
            id="sitefleet.E391",
        )
        for name, field in _without_site(config)
    ]


def _without_site(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    handlers = config.get("handlers", {})
    filters = config.get("filters", {})
    ours = {name for name, item in filters.items() if names_a(item.get("()"), SiteFilter)}

    def has_site(name: str) -> bool:
        filters = handlers[name].get("filters", ())
        if any(isinstance(item, SiteFilter) or item in ours for item in filters):
            return True
        # A handler that is fed by others (a queue, a memory) gets records that these have seen.
        feeders = [
            other
            for other, item in handlers.items()
            if name in (*item.get("handlers", ()), item.get("target"))
        ]
        return bool(feeders) and all(has_site(feeder) for feeder in feeders)

    for name, handler in handlers.items():
        formatter = config.get("formatters", {}).get(handler.get("formatter"), {})
        found = _FIELDS[formatter.get("style", "%")].findall(str(formatter.get("format", "")))
        lacking = [field for field in found if field not in formatter.get("defaults", {})]
        if lacking and not has_site(name):
            yield name, lacking[0]
