"""Who sees a site in maintenance: members of staff, and whoever is on the way to log in.

That is told at the door, ahead of the session middleware: behind it a page cache, or a middleware
that answers by itself, would let others see the site. So nothing here may change the session.
"""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.conf import settings
from django.conf.urls.i18n import is_language_prefix_patterns_used
from django.contrib import auth
from django.contrib.sessions.backends.db import SessionStore as SessionInTable
from django.shortcuts import resolve_url
from django.urls import NoReverseMatch, get_script_prefix
from django.utils import translation
from django.utils.crypto import constant_time_compare

from sitefleet.conf import get_conf
from sitefleet.cookie_names import received, sent_names
from sitefleet.current import current_state, override_site

if TYPE_CHECKING:
    from django.contrib.sessions.backends.base import SessionBase
    from django.http import HttpRequest

    from sitefleet.pipeline import Match


def is_open(request: HttpRequest, match: Match) -> bool:
    """Tell whether the path is one that staff need to log in.

    The front page of the admin is one: it sends to its login page who is not logged in.
    """
    path = request.path_info.removeprefix(match.path_prefix) or "/"
    mount = get_script_prefix().rstrip("/")
    if any(_is_below(path, prefix.removeprefix(mount)) for prefix in get_conf().PREVIEW_PATHS):
        return True
    # Where people log in is the site's own: in its URLconf, by its settings. One that cannot be
    # imported, or is not listed, opens nothing.
    with suppress(Exception), override_site(match.site):
        return _is_login(path, mount)
    return False


def _is_login(path: str, mount: str) -> bool:
    language = translation.get_language_from_path(path) or settings.LANGUAGE_CODE
    with translation.override(language):
        logins = [_reversed(name) for name in (settings.LOGIN_URL, "admin:login") if name]
        index = _reversed("admin:index")
    path = _without_language(path)
    return path == _without_language(index.removeprefix(mount)) or any(
        _is_below(path, _without_language(login.removeprefix(mount))) for login in logins
    )


def _reversed(name: Any) -> str:
    with suppress(NoReverseMatch):
        return resolve_url(name)
    return "-"  # no path


def _without_language(path: str) -> str:
    """Return a path without its language where ``i18n_patterns`` puts one: one page in each."""
    prefixed = is_language_prefix_patterns_used(settings.ROOT_URLCONF)[0]
    if prefixed and translation.get_language_from_path(path):
        return f"/{path[1:].partition('/')[2]}"
    return path


def _is_below(path: str, prefix: str) -> bool:
    # A front page that is the login page does not open everything.
    return path == prefix or (len(prefix) > 1 and path.startswith(f"{prefix.rstrip('/')}/"))


def is_staff(request: HttpRequest, match: Match) -> bool:
    """Tell whether the session of the request is that of a member of staff."""
    # The session of *this* host: which engine there is, is known at run time only.
    below = match.site.pk if match.path_prefix else None
    name = sent_names(below, secure=request.is_secure())[settings.SESSION_COOKIE_NAME]
    key = received(request, {name}).get(name)
    if not key or not apps.is_installed("django.contrib.auth"):
        return False
    store = import_module(settings.SESSION_ENGINE).SessionStore
    if issubclass(store, SessionInTable) and not apps.is_installed("django.contrib.sessions"):
        return False
    outer = current_state.get()
    current_state.set(match.frame)  # an authentication backend may ask for the site
    try:
        user = _user_of(store(key))
        return bool(getattr(user, "is_active", False) and getattr(user, "is_staff", False))
    finally:
        current_state.set(outer)


def _user_of(session: SessionBase) -> Any:
    """Return the user of a session as Django's ``get_user()`` does, but change nothing.

    That renews a session whose secret has been replaced; here nobody could send the new cookie.
    """
    path, key = session.get(auth.BACKEND_SESSION_KEY), session.get(auth.SESSION_KEY)
    if key is None or path is None or path not in settings.AUTHENTICATION_BACKENDS:
        return None
    pk = auth.get_user_model()._meta.pk.to_python(key)
    user: Any = auth.load_backend(path).get_user(pk)
    if not hasattr(user, "get_session_auth_hash"):
        return user
    told = session.get(auth.HASH_SESSION_KEY) or ""
    hashes = (user.get_session_auth_hash(), *user.get_session_auth_fallback_hash())
    return user if any(constant_time_compare(told, each) for each in hashes) else None
