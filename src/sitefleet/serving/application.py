"""The project's own application, as its servers would load it."""

from __future__ import annotations

import os
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

from sitefleet.hosting.servers.variables import STRICT
from sitefleet.serving.counting import count_asgi, count_wsgi
from sitefleet.serving.forwarded import believe_asgi, believe_wsgi

if TYPE_CHECKING:
    from collections.abc import Callable


def load_wsgi() -> Callable[..., Any]:
    """Return what ``WSGI_APPLICATION`` names, or Django's own application where it names none.

    In DEBUG with ``django.contrib.staticfiles`` it serves static files too, as ``runserver`` does.
    Raises ImproperlyConfigured, and whatever the project raises when it is imported.
    """
    _load_project()
    application = believe_wsgi(count_wsgi(get_internal_wsgi_application()))
    return StaticFilesHandler(application) if _serves_static_files() else application  # type: ignore[arg-type]


def load_asgi() -> Callable[..., Any]:
    """Return what ``ASGI_APPLICATION`` names, or Django's own application: see `load_wsgi`."""
    _load_project()
    path = getattr(settings, "ASGI_APPLICATION", None)
    own = _import(path) if path else get_asgi_application()
    application: Any = believe_asgi(count_asgi(own))
    return ASGIStaticFilesHandler(application) if _serves_static_files() else application


def _load_project() -> None:
    django.setup()
    if STRICT in os.environ:
        _ = get_resolver().url_patterns


def _import(path: str) -> Any:
    try:
        return import_string(path)
    except ImportError as error:
        message = f"ASGI_APPLICATION, {path!r}, cannot be loaded: {error}"
        raise ImproperlyConfigured(message) from error


def _serves_static_files() -> bool:
    return settings.DEBUG and apps.is_installed("django.contrib.staticfiles")
