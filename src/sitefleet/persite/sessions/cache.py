"""Django's ``cache`` sessions, each for its site."""

from __future__ import annotations

from django.contrib.sessions.backends import cache

from sitefleet.persite.sessions import BoundToSite


class SessionStore(BoundToSite, cache.SessionStore):
    """A session of one site."""
