"""Django's ``signed_cookies`` sessions, each for its site.

There is no key that is looked up: all of the session is in the cookie, and what is signed there
says whose it is.
"""

from __future__ import annotations

from typing import Any

from django.contrib.sessions.backends import signed_cookies

from sitefleet.persite.sessions import BoundToSite


class SessionStore(BoundToSite, signed_cookies.SessionStore):
    """A session of one site."""

    def __init__(self, session_key: str | None = None) -> None:
        super().__init__(session_key)
        self.serializer = _OfSite(self.serializer, self._site_mark)

    def _validate_session_key(self, key: Any) -> bool:
        return bool(key)  # What was signed for another site is refused when it is read.


class _OfSite:
    """A serializer that writes its mark before what another one writes, and reads nothing else."""

    def __init__(self, serializer: Any, mark: str) -> None:
        self.serializer = serializer
        self.mark = mark.encode()

    def __call__(self) -> _OfSite:
        return self  # Django's signing makes an instance of its serializer each time.

    def dumps(self, obj: Any) -> bytes:
        written: bytes = self.serializer().dumps(obj)
        return self.mark + written

    def loads(self, data: bytes) -> Any:
        if not data.startswith(self.mark):
            message = "The session is that of another site."
            raise ValueError(message)
        return self.serializer().loads(data[len(self.mark) :])
