"""A key of its own for each site: what one site has signed, another refuses.

``SIGNING_BACKEND = "sitefleet.persite.signing.SiteSigner"`` is the switch. With it
``settings.SECRET_KEY`` and ``settings.SECRET_KEY_FALLBACKS`` are keys derived for the current site:
HMAC-SHA256 (RFC 2104) of its primary key, under the key of the project. So all code that reads them
when it signs follows the site: Django's tokens, cookies, messages and sessions, and third parties.
The default site counts as the current one. Where there is no site at all, it is the key of the
project, which signs for no site.

The trap is code that keeps what it has read. What is read *while a module is imported* is kept for
all sites, and a module may well be imported by the first request, under the site of that one: each
process would keep another key. So while this thread imports it is the key of the project as well.

The other trap is the login. A user is mostly looked up late, and perhaps while the request has
entered another site; a hash that differs would end the session. So the hash of the password that
Django keeps in a session is made with the key of the project. What binds a session to its site is
`sitefleet.persite.sessions`.
"""

from __future__ import annotations

import hmac
import sys
from contextlib import suppress
from contextvars import ContextVar
from functools import lru_cache, wraps
from importlib import _bootstrap
from inspect import isasyncgenfunction, isgeneratorfunction
from threading import get_ident
from typing import TYPE_CHECKING, Any, TypeVar, cast

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.core import checks
from django.core.checks.security.base import check_secret_key, check_secret_key_fallbacks
from django.core.signals import request_started, setting_changed
from django.core.signing import Signer, TimestampSigner
from django.urls import get_resolver
from django.utils.encoding import force_bytes

from sitefleet.current import active_site_id, current_state, get_current_site_id, is_within
from sitefleet.dotted import imported, names_a
from sitefleet.exceptions import InvalidSetting, NoCurrentSite
from sitefleet.following import configured, follow, stop_following
from sitefleet.generators import adrive, drive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sitefleet.current import State

    Block = tuple["shared_signing", "State | None", "Block | None"]

F = TypeVar("F", bound="Callable[..., Any]")
Key = TypeVar("Key", bound="str | bytes")

BACKEND = "sitefleet.persite.signing.SiteSigner"
LABEL = b"sitefleet.persite.signing:"
#: The methods of users that make the hash in a session.
SESSION_HASHES = {
    name: getattr(AbstractBaseUser, name)
    for name in ("get_session_auth_hash", "get_session_auth_fallback_hash")
}
#: Derived keys that are remembered; to derive one anew takes 2 µs.
REMEMBERED = 4096

#: The block that was entered last, under which state of the current site, and the block outside.
_shared: ContextVar[Block | None] = ContextVar("sitefleet_shared_signing", default=None)
#: The locks, which know their thread, of modules that are being imported; Python's own.
_imports: dict[str, Any] = getattr(_bootstrap, "_module_locks", {})
#: Modules whose import has started Django. One of them may run the server, and so never end.
_starters: set[str] = set()


class shared_signing:  # noqa: N801 - named like sitefleet.override_site
    """Sign, and check, with the key of the project: for values that are to count on every site.

    A context manager (also ``async with``) and a decorator of functions, coroutine functions,
    generators and async generators. Give such values a salt of their own: whatever is checked in
    here is accepted from any site.
    """

    __slots__ = ()

    # Nothing is kept here, so one instance may be entered by many.
    def __enter__(self) -> None:
        _shared.set((self, current_state.get(), _shared.get()))

    def __exit__(self, *exception: object) -> None:
        # Blocks of generators that were abandoned lie above ours, as in `override_site`.
        block = _shared.get()
        while block is not None and block[0] is not self:
            block = block[2]
        if block is not None:
            _shared.set(block[2])

    async def __aenter__(self) -> None:
        self.__enter__()

    async def __aexit__(self, *exception: object) -> None:
        self.__exit__()

    def __call__(self, function: F) -> F:
        """Return ``function`` so that each call of it signs with the key of the project."""
        wrapper: Callable[..., Any]
        if isasyncgenfunction(function):

            @wraps(function)
            def wrapper(*args: Any, **kwargs: Any) -> Any:
                return adrive(function(*args, **kwargs), self)

        elif isgeneratorfunction(function):

            @wraps(function)
            def wrapper(*args: Any, **kwargs: Any) -> Any:
                return (yield from drive(function(*args, **kwargs), self))

        elif iscoroutinefunction(function):

            @wraps(function)
            async def wrapper(*args: Any, **kwargs: Any) -> Any:
                with self:
                    return await function(*args, **kwargs)

        else:

            @wraps(function)
            def wrapper(*args: Any, **kwargs: Any) -> Any:
                with self:
                    return function(*args, **kwargs)

        return cast("F", wrapper)


class SiteSigner(TimestampSigner):
    """Django's ``TimestampSigner``, whose signatures count on one site alone.

    The site is the one that is current when it signs or checks, not when it is made, so that one
    may be kept in a module. A ``key`` of your own is taken as it is.
    """

    def __init__(self, *, key: str | bytes | None = None, **options: Any) -> None:
        self._follows = key is None
        # The keys as they are configured; the site is put in with each signature.
        with shared_signing():
            super().__init__(key=key, **options)

    def signature(self, value: str | bytes, key: str | bytes | None = None) -> str:
        """Return the signature of ``value`` on the current site."""
        key = key or self.key
        return super().signature(value, site_key(key) if self._follows else key)


def site_key(key: Key) -> Key:
    """Return the key that ``key`` becomes for the current site, text for text, bytes for bytes."""
    if _is_shared() or (_imports and _is_importing()):
        return key
    try:
        pk = get_current_site_id()
    except (InvalidSetting, NoCurrentSite):
        return key
    return cast("Key", _derived(key, pk))


def _is_shared() -> bool:
    # What an abandoned generator has left behind ends with the site that it was entered under.
    block = _shared.get()
    while block is not None and not is_within(block[1]):
        block = block[2]
    return block is not None


def _begin_request(**_: Any) -> None:
    _shared.set(None)  # All requests for one host have one and the same state.


@lru_cache(maxsize=REMEMBERED)
def _derived(key: str | bytes, pk: int) -> str | bytes:
    digest = hmac.digest(force_bytes(key), LABEL + str(pk).encode(), "sha256").hex()
    return digest.encode() if isinstance(key, bytes) else digest


def _is_importing() -> bool:
    thread = get_ident()
    locks = [(name, reference()) for name, reference in list(_imports.items())]
    names = {name for name, lock in locks if getattr(lock, "owner", None) == thread}
    return bool(names if active_site_id() is None else names - _starters)


def connect() -> None:
    """Let the keys follow the site where the setting says so; register the checks."""
    _starters.update(_imports)
    setting_changed.connect(_setting_changed, dispatch_uid="sitefleet.signing")
    request_started.connect(_begin_request, dispatch_uid="sitefleet.signing")
    checks.register(check_backend, checks.Tags.security)
    checks.register(check_project_key, checks.Tags.security, deploy=True)
    checks.register(check_kept_signers, checks.Tags.security, deploy=True)
    _switch()


def _setting_changed(setting: str, **_: Any) -> None:
    if setting == "SIGNING_BACKEND":
        _switch()


def _switch() -> None:
    backend = configured("SIGNING_BACKEND")
    # Whoever meant something that cannot be imported did not mean one key for all sites.
    if imported(backend) is None or names_a(backend, SiteSigner):
        follow("SECRET_KEY", _read_key)
        follow("SECRET_KEY_FALLBACKS", _read_fallbacks)
        for name, method in SESSION_HASHES.items():
            setattr(AbstractBaseUser, name, shared_signing()(method))
    else:
        stop_following("SECRET_KEY")
        stop_following("SECRET_KEY_FALLBACKS")
        for name, method in SESSION_HASHES.items():
            setattr(AbstractBaseUser, name, method)


def _read_key(lazy: Any) -> str | bytes:
    key: str | bytes = _configured(lazy, "SECRET_KEY")
    return site_key(key)


def _read_fallbacks(lazy: Any) -> list[str | bytes]:
    return [site_key(key) for key in _configured(lazy, "SECRET_KEY_FALLBACKS")]


def _configured(lazy: Any, name: str) -> Any:
    # As Django reads it, which has something to say of an empty key, and then remembers it here.
    value = vars(lazy).get(name)
    return lazy.__getattr__(name) if value is None else value


def check_backend(**_: Any) -> list[checks.CheckMessage]:
    """Look at the switch."""
    name = configured("SIGNING_BACKEND")
    if imported(name) is None:
        return [
            checks.Error(
                f"SIGNING_BACKEND is {name!r}, which cannot be imported.",
                hint=f'Write SIGNING_BACKEND = "{BACKEND}"',
                id="sitefleet.E371",
            )
        ]
    if names_a(name, SiteSigner):
        return []
    own = name.startswith("django.")
    return [
        checks.Warning(
            "SIGNING_BACKEND does not follow the sites: tokens and cookies that one site has"
            " signed are accepted by all others.",
            hint=f'Write SIGNING_BACKEND = "{BACKEND}"'
            if own
            else f"Let {name} inherit from {BACKEND}.",
            id="sitefleet.W372",
        )
    ]


def check_project_key(**_: Any) -> list[checks.CheckMessage]:
    """Let Django look at the keys of the project: derived ones, which it may see, look strong."""
    with shared_signing():
        key = settings.SECRET_KEY
    if key == settings.SECRET_KEY:
        return []  # Django sees that one itself.
    with shared_signing():
        return [*check_secret_key(None), *check_secret_key_fallbacks(None)]


def check_kept_signers(**_: Any) -> list[checks.CheckMessage]:
    """Look for signers that modules keep: what they sign counts on every site."""
    if "SECRET_KEY" not in vars(type(settings)):
        return []  # So it does anyway.
    with suppress(Exception):  # Django's own check says what is wrong there.
        get_resolver().url_patterns  # noqa: B018 - loads it
    return [
        checks.Warning(
            f"{name} was made when its module was imported: it signs for all sites alike.",
            hint="Make it where it is used, or let it be a sitefleet.persite.signing.SiteSigner.",
            id="sitefleet.W373",
        )
        for name in _kept_signers()
    ]


def _kept_signers() -> Iterator[str]:
    with shared_signing():
        key = settings.SECRET_KEY
    seen: set[int] = set()
    for name, module in sorted(sys.modules.items()):
        for attribute, value in list(getattr(module, "__dict__", {}).items()):
            # By type(): to ask a lazy object for its class would make it work.
            if issubclass(type(value), Signer) and value.key == key and id(value) not in seen:
                seen.add(id(value))
                if not isinstance(value, SiteSigner):
                    yield f"{name}.{attribute}"
