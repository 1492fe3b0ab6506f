"""Django's ``file`` sessions, each for its site."""

from __future__ import annotations

from typing import Any

from django.contrib.sessions.backends import file

from sitefleet.current import override_site
from sitefleet.persite.sessions import BoundToSite, site_id_of


class SessionStore(BoundToSite, file.SessionStore):
    """A session of one site."""

    @classmethod
    def clear_expired(cls) -> None:
        """Remove expired sessions of all sites; needs no current site."""
        _AnySession.clear_expired()

    @classmethod
    async def aclear_expired(cls) -> None:
        """See `clear_expired`."""
        cls.clear_expired()


class _AnySession(file.SessionStore):
    """Django's way of clearing makes a store for each file; this one takes keys of any site."""

    key_salt = "django.contrib.sessions.SessionStore"  # Django's goes by the name of the class

    def load(self) -> dict[str, Any]:
        # When it expires stands in what may be signed for its site.
        with override_site(site_id_of(self.session_key or "")):
            return super().load()
