"""The project's own application, as its servers would load it.

All of it is loaded at once, its URLconf too: a server ends where that fails, so that who waits is
asked to come again, and the one before it goes on. In DEBUG the mistake is what is served.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import django
from django.apps import apps
from django.conf import settings
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler, StaticFilesHandler
from django.core.asgi import get_asgi_application
from django.core.exceptions import ImproperlyConfigured
from django.core.servers.basehttp import get_internal_wsgi_application
from django.urls import get_resolver
from django.utils.module_loading import import_string

from sitefleet.serving.counting import count_asgi, count_wsgi
from sitefleet.serving.ending import close_at_end
from sitefleet.serving.forwarded import believe_asgi, believe_wsgi
from sitefleet.serving.mistakes import MistakeASGI, MistakeWSGI

if TYPE_CHECKING:
    from collections.abc import Callable


def load_wsgi() -> Callable[..., Any]:
    """Return what ``WSGI_APPLICATION`` names, or Django's own application where it names none.

    In DEBUG with ``django.contrib.staticfiles`` it serves static files too, as ``runserver`` does.
    Raises ImproperlyConfigured, and whatever the project raises when it is imported.
    """
    return _load(get_internal_wsgi_application, _wrap_wsgi, MistakeWSGI)


def load_asgi() -> Callable[..., Any]:
    """Return what ``ASGI_APPLICATION`` names, or Django's own application: see `load_wsgi`."""
    return _load(_own_asgi, _wrap_asgi, MistakeASGI)


def _load(
    own: Callable[[], Any],
    wrap: Callable[[Any], Callable[..., Any]],
    mistake: Callable[[Exception], Callable[..., Any]],
) -> Callable[..., Any]:
    django.setup()
    try:
        _ = get_resolver().url_patterns
        application = own()
    except Exception as error:
        if not settings.DEBUG:
            raise
        return mistake(error)
    return wrap(application)


def _wrap_wsgi(own: Any) -> Callable[..., Any]:
    application: Any = believe_wsgi(count_wsgi(own))
    return StaticFilesHandler(application) if _serves_static_files() else application


def _wrap_asgi(own: Any) -> Callable[..., Any]:
    application: Any = close_at_end(believe_asgi(count_asgi(own)))
    return ASGIStaticFilesHandler(application) if _serves_static_files() else application


def _own_asgi() -> Any:
    path = getattr(settings, "ASGI_APPLICATION", None)
    if not path:
        return get_asgi_application()
    try:
        return import_string(path)
    except ImportError as error:
        message = f"ASGI_APPLICATION, {path!r}, cannot be loaded: {error}"
        raise ImproperlyConfigured(message) from error


def _serves_static_files() -> bool:
    return settings.DEBUG and apps.is_installed("django.contrib.staticfiles")
