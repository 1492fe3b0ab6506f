"""Origins: whether the page that sends something is one of the site that gets it.

A page is known by its origin: scheme, host and port (RFC 6454). All that has to refuse pages of
other sites asks here, so that forms and WebSockets have one rule.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sitefleet import hosts
from sitefleet.lookup import listed_match
from sitefleet.presented import shown
from sitefleet.resolver import resolver

if TYPE_CHECKING:
    from sitefleet.pipeline import Match

DEFAULT_PORTS = {"http": 80, "https": 443}


def is_own(url: str, site_id: int | None, host: str, *, secure: bool) -> bool | None:
    """Tell whether the page at ``url`` is one of the site that is asked, at ``host``.

    True on that host, in normal form, and on any other that leads to this site and to no other,
    and serves it; False for a page of another site; None for one that is on no host of the fleet,
    or on a host, at a port or by a scheme that the site is not served by: the settings decide on
    these. ``secure``: what the page sends came by HTTPS. At most one query, for a
    host that this process has not seen yet.
    """
    try:
        parts = urlsplit(url)
        page_host, port = hosts.normalize_header(parts.netloc), parts.port
    except ValueError:
        return None
    if parts.scheme not in DEFAULT_PORTS:
        return None
    if page_host != host:
        matches = _matches(page_host)
        if any(match.site.pk != site_id for match in matches):
            return False
        if not any(_serves(match, page_host, host) for match in matches):
            return None
    # In normal form a host has neither default port: the one of the other scheme is another origin.
    at_port = port not in hosts.DEFAULT_PORTS or port == DEFAULT_PORTS[parts.scheme]
    # A page that came by HTTPS is never less to be trusted. It is what browsers see where a proxy
    # takes HTTPS and does not say so.
    return True if at_port and (parts.scheme == "https" or not secure) else None


def _matches(host: str) -> list[Match]:
    """Return what a host leads to: several sites where they are told apart by their paths."""
    entry = resolver.find(host)
    matches = [match for match in (entry.root, *entry.below) if match is not None]
    listed = None if matches else listed_match(host)
    return matches if listed is None else [listed]


def _serves(match: Match, page_host: str, host: str) -> bool:
    """Tell whether the site answers at a host that leads to it, and at this port."""
    view = shown(match.site)
    served = (host, match.name, view.host if view else "")
    return not match.redirect and hosts.split(page_host)[1] in {hosts.split(at)[1] for at in served}
