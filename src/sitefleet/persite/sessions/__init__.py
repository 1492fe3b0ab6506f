"""Sessions that belong to the site that made them.

``SESSION_ENGINE = "sitefleet.persite.sessions.db"``, or ``cache``, ``cached_db``, ``file``,
``signed_cookies``: the engines of Django with `BoundToSite` mixed in.
"""

from __future__ import annotations

from contextlib import nullcontext
from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.core import checks
from django.utils.http import base36_to_int, int_to_base36

from sitefleet.checking import LOOKED_AT, look_into
from sitefleet.conf import get_conf
from sitefleet.current import active_site_id, current_state, get_current_site_id, override_site
from sitefleet.models import SiteConfig

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from django.contrib.sites.models import Site

#: The last characters of a key are its site: 32 random ones and these fill Django's column of 40.
MARK_LENGTH = 8
DJANGO_ENGINES = "django.contrib.sessions.backends."
MIDDLEWARE = "django.contrib.sessions.middleware.SessionMiddleware"


class BoundToSite(SessionBase):
    """Mix this into a ``SessionStore``, ahead of it, to bind its sessions to their site.

    A store belongs to the site that is current when it is made, whatever site is entered later:
    all it reads and writes it does under that site, so that a cache, or signatures, which follow
    the site find what is there. Its keys end in the site's id. A key of another site is dropped
    as it comes in, hence nothing can be done with it: it is not looked up, saved, extended or
    deleted. To alter the end of a key does not help, since the whole key is looked up.

    For engines whose keys are random text that is looked up; it needs no storage of its own.
    Making a store raises NoCurrentSite where there is no current site.
    """

    site_id: int
    """The primary key of the site that the session belongs to."""

    def __init__(self, session_key: str | None = None) -> None:
        self.site_id = get_current_site_id()
        self._site_mark = _mark(self.site_id)
        self._own_site = override_site(_site_at_hand(self.site_id))
        super().__init__(session_key)

    def _validate_session_key(self, key: Any) -> bool:
        valid = super()._validate_session_key(key)  # type: ignore[misc]  # the stubs lack it
        return bool(valid) and key.endswith(self._site_mark)

    # The engine need not ask whether the key is free: `create()` notices when it is not.

    def _get_new_session_key(self) -> str:
        key = super()._get_new_session_key()  # type: ignore[misc]
        return f"{key}{self._site_mark}"

    async def _aget_new_session_key(self) -> str:
        key = await super()._aget_new_session_key()  # type: ignore[misc]
        return f"{key}{self._site_mark}"

    def _at_own_site(self) -> AbstractContextManager[None]:
        return nullcontext() if active_site_id() == self.site_id else self._own_site

    def load(self) -> dict[str, Any]:
        with self._at_own_site():
            return super().load()

    async def aload(self) -> dict[str, Any]:
        with self._at_own_site():
            return await super().aload()

    def save(self, must_create: bool = False) -> None:  # noqa: FBT001, FBT002 - Django's signature
        with self._at_own_site():
            super().save(must_create)

    async def asave(self, must_create: bool = False) -> None:  # noqa: FBT001, FBT002 - the same
        with self._at_own_site():
            await super().asave(must_create)

    def exists(self, session_key: str | None = None) -> bool:
        if session_key is None or not self._validate_session_key(session_key):
            return False
        with self._at_own_site():
            return super().exists(session_key)

    async def aexists(self, session_key: str | None = None) -> bool:
        if session_key is None or not self._validate_session_key(session_key):
            return False
        with self._at_own_site():
            return await super().aexists(session_key)

    def delete(self, session_key: str | None = None) -> None:
        if session_key is None or self._validate_session_key(session_key):
            with self._at_own_site():
                super().delete(session_key)

    async def adelete(self, session_key: str | None = None) -> None:
        if session_key is None or self._validate_session_key(session_key):
            with self._at_own_site():
                await super().adelete(session_key)


def site_id_of(session_key: str) -> int | None:
    """Return the primary key of the site that a session key belongs to; None for any other key."""
    try:
        pk = base36_to_int(session_key[-MARK_LENGTH:])
    except ValueError:
        return None
    return pk if session_key.endswith(_mark(pk)) else None


def _mark(pk: int) -> str:
    return int_to_base36(pk).zfill(MARK_LENGTH)


def _site_at_hand(pk: int) -> Site | int:
    """Return the current site itself where it is at hand: async code could not look it up later."""
    state = current_state.get()
    site = getattr(state[3], "site", state[3]) if state is not None else None
    return site if getattr(site, "pk", None) == pk else pk  # type: ignore[return-value]


def connect() -> None:
    """Register the system checks."""
    checks.register(check_engine, checks.Tags.security)
    checks.register(check_shared_cookies, checks.Tags.database)


def check_engine(**_: Any) -> list[checks.CheckMessage]:
    """Look whether the sessions of this project belong to their sites."""
    used = MIDDLEWARE in settings.MIDDLEWARE or apps.is_installed("django.contrib.sessions")
    if not used:
        return []
    if _store() is None:
        return [
            checks.Error(
                f"SESSION_ENGINE is {settings.SESSION_ENGINE!r}, which is no session engine: every"
                " request would fail.",
                hint=f'Write SESSION_ENGINE = "{__name__}.db"',
                id="sitefleet.E352",
            )
        ]
    if _is_bound():
        return []
    name = settings.SESSION_ENGINE.removeprefix(DJANGO_ENGINES)
    line = f'SESSION_ENGINE = "{__name__}.{name}"'
    mixin = f"Mix {__name__}.{BoundToSite.__name__} into its SessionStore."
    return [
        checks.Warning(
            "SESSION_ENGINE does not bind sessions to their site: a session cookie of one site"
            " that is sent to another is logged in there too.",
            hint=mixin if name == settings.SESSION_ENGINE else line,
            id="sitefleet.W350",
        )
    ]


def check_shared_cookies(
    databases: Sequence[str] | None = None, **_: Any
) -> list[checks.CheckMessage]:
    """Look whether sites that have sessions of their own are to share one cookie."""
    return look_into(databases, _check_hosts)


def _check_hosts(using: str) -> Iterator[checks.CheckMessage]:
    parent = get_conf().COOKIE_DOMAIN.lower()
    if not parent or not _is_bound():
        return
    configs = SiteConfig.objects.using(using).select_related("site")[:LOOKED_AT]
    hosts = [config.host().partition(":")[0] for config in configs]
    if sum(f".{host}".endswith(f".{parent}") for host in hosts) > 1:
        yield checks.Warning(
            f"Several sites below {parent} share one session cookie, but no sessions: to visit one"
            " of them logs out of the others.",
            hint=f'Take "COOKIE_DOMAIN": "{parent}" out of SITEFLEET.',
            id="sitefleet.W351",
        )


def _store() -> Any:
    try:
        return import_module(settings.SESSION_ENGINE).SessionStore
    except (ImportError, AttributeError):
        return None


def _is_bound() -> bool:
    store = _store()
    return store is not None and issubclass(store, BoundToSite)
