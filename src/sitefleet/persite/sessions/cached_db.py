"""Django's ``cached_db`` sessions, each for its site."""

from __future__ import annotations

from django.contrib.sessions.backends import cached_db

from sitefleet.persite.sessions import BoundToSite


class SessionStore(BoundToSite, cached_db.SessionStore):
    """A session of one site."""
