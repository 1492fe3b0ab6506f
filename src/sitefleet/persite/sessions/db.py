"""Django's ``db`` sessions, each for its site."""

from __future__ import annotations

from django.contrib.sessions.backends import db

from sitefleet.persite.sessions import BoundToSite


class SessionStore(BoundToSite, db.SessionStore):
    """A session of one site."""
