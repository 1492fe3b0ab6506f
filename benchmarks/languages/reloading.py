"""How URLconfs were chosen per site before: each request executes the module again."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.conf.urls.i18n import is_language_prefix_patterns_used
from django.urls import clear_url_caches, set_urlconf

from benchmarks.languages import MODULES

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest


def reloading(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Serve each site with its own URLconf, after a reload."""

    def middleware(request: Any) -> Any:
        name = MODULES[request.site.pk % len(MODULES)]
        sys.modules.pop(name, None)
        clear_url_caches()
        is_language_prefix_patterns_used.cache_clear()
        import_module(name)
        request.urlconf = name
        set_urlconf(name)
        return get_response(request)

    return middleware
