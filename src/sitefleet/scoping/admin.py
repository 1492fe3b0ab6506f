"""The admin on a site: what is another site's is not there, and 404 is said of it.

Lists, forms, choices and actions of any `ModelAdmin` follow by the guard. Of an object that is not
there Django's admin says 302: "Perhaps it was deleted?" Of rows that belong to a site it says 404.
Imported only where ``django.contrib.admin`` is installed.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NoReturn

from django.contrib.admin import ModelAdmin
from django.contrib.admin.utils import unquote
from django.http import Http404

from sitefleet.scoping.scopes import scopes

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

#: Django's hook for an object that is not there, and the old address of an object.
HOOK, OLD_ADDRESS = "_get_obj_does_not_exist_redirect", "<path:object_id>/"


def connect() -> None:
    """Let every `ModelAdmin` of a model whose rows belong to a site say 404."""
    original = getattr(ModelAdmin, HOOK)
    if hasattr(original, "__wrapped__"):
        return

    @functools.wraps(original)
    def missing(
        self: ModelAdmin[Any], request: HttpRequest, opts: Any, object_id: str
    ) -> HttpResponse:
        if scopes.of(self.model) is not None:
            _not_found(opts, object_id)
        return original(self, request, opts, object_id)  # type: ignore[no-any-return]

    setattr(ModelAdmin, HOOK, missing)
    ModelAdmin.urls = property(_urls)  # type: ignore[assignment,method-assign]


def _urls(self: ModelAdmin[Any]) -> list[Any]:
    """Return the URLs; Django redirects from the old address of any object, which is looked for."""
    patterns = self.get_urls()
    for pattern in patterns:
        if str(pattern.pattern) == OLD_ADDRESS and scopes.of(self.model) is not None:
            pattern.callback = _looking(self, pattern.callback)
    return patterns


def _looking(admin: ModelAdmin[Any], view: Any) -> Any:
    @functools.wraps(view)
    def look(request: HttpRequest, object_id: str, **kwargs: Any) -> HttpResponse:
        # Who may not enter is sent to the login, whether it is there or not.
        allowed = admin.admin_site.has_permission(request)
        if allowed and admin.get_object(request, unquote(object_id)) is None:
            _not_found(admin.opts, object_id)
        return view(request, object_id=object_id, **kwargs)  # type: ignore[no-any-return]

    return look


def _not_found(opts: Any, object_id: str) -> NoReturn:
    message = f"This site has no {opts.verbose_name} with the key {unquote(object_id)!r}."
    raise Http404(message)
