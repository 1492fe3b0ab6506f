"""What follows the current site, as it is presented: its slug, host, theme, settings.

In a request that costs an attribute: the frame of the request holds the presented site. Where a
site was entered by `override_site` it is looked up in the memory of this process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.contrib.sites import models as django_sites
from django.core.exceptions import SynchronousOnlyOperation

from sitefleet.current import current_state, get_current_site_id
from sitefleet.databases import is_asking
from sitefleet.hybrid import in_event_loop
from sitefleet.presented import shown
from sitefleet.resolver import resolver

if TYPE_CHECKING:
    from django.contrib.sites.models import Site

    from sitefleet.current import State
    from sitefleet.presented import Shown


def entered_site() -> Shown | None:
    """Return how the site that was entered here is presented; None where none was entered.

    The default site counts only where it was entered, as each command does that acts on it: to
    read a setting at start must ask no database.

    Raises Site.DoesNotExist when its row is gone, SynchronousOnlyOperation in an event loop for a
    bare primary key that this process does not know yet.
    """
    state = current_state.get()
    if state is None or state[0] is None:
        return None
    view: Shown | None = getattr(state[3], "_sitefleet", None)
    if view is not None and view.pk == state[0]:
        return view  # In a request the owner of the frame is the site.
    return None if is_asking() else _look_up(state[0], state)


def current_site() -> Shown:
    """Return how the current site is presented, the default site included.

    Raises NoCurrentSite when there is none, and what `entered_site` raises.
    """
    view = entered_site()
    return view if view is not None else _look_up(get_current_site_id(), current_state.get())


def asked_site() -> Shown | None:
    """Return how the site is presented that the request came for, whichever was entered since.

    None outside of requests. A handshake of a WebSocket is a request. No query.
    """
    state = current_state.get()
    while state is not None and state[2] is not None:
        state = state[2]
    if state is None or state[1] is None:
        return None
    owner: Any = state[3]  # the site itself, or what has entered it
    return shown(getattr(owner, "site", owner))


def load_site(pk: int) -> Site:
    """Return a site as it is presented; in an event loop without a query.

    Raises Site.DoesNotExist, and SynchronousOnlyOperation in an event loop for a site that this
    process does not know yet.
    """
    return _known(pk, current_state.get()) if in_event_loop() else resolver.site(pk)


def _look_up(pk: int, state: State | None) -> Shown:
    view = shown(_known(pk, state) if in_event_loop() else resolver.site(pk))
    assert view is not None  # noqa: S101 - for the type: whatever the resolver returns is presented
    return view


def _known(pk: int, state: State | None) -> Site:
    """Return what is known of a site without a query: remembered, or entered as an instance."""
    resolver.refresh()
    owner = state[3] if state is not None else None
    # Looked at once: a thread that sees a change clears that cache at any time.
    for site in (django_sites.SITE_CACHE.get(pk), owner, getattr(owner, "site", None)):
        view: Shown | None = getattr(site, "_sitefleet", None)
        if view is not None and view.pk == pk:
            return cast("Site", site)
    message = (
        f"Site {pk} is not known to this process yet, and an event loop must not wait for the"
        " database: enter the site that get_site() returns, not its id."
    )
    raise SynchronousOnlyOperation(message)
