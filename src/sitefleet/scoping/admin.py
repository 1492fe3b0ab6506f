"""The admin on a site: what is another site's is not there, and 404 is said of it.

Lists, forms, choices and actions of any `ModelAdmin` follow by the guard. Of an object that is not
there Django's admin says 302: "Perhaps it was deleted?" Of rows that belong to a site it says 404.
What is seen and may not be changed, as a row that all sites share, is shown as to users who may
only look. What may not be deleted is said where deletion is to be confirmed. What the guard refuses
after all is 403.
Imported only where ``django.contrib.admin`` is installed.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NoReturn

from asgiref.sync import iscoroutinefunction
from django.contrib.admin import ModelAdmin
from django.contrib.admin.utils import NestedObjects, unquote
from django.core.exceptions import PermissionDenied
from django.db import router
from django.db.models import QuerySet
from django.http import Http404

from sitefleet.exceptions import CrossSiteWrite
from sitefleet.scoping.batches import batches
from sitefleet.scoping.crossing import is_crossing
from sitefleet.scoping.guard.rows import may_be_changed, refuse_stranding
from sitefleet.scoping.scopes import scopes

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

#: Django's hook for an object that is not there, and the old address of an object.
HOOK, OLD_ADDRESS = "_get_obj_does_not_exist_redirect", "<path:object_id>/"


def connect() -> None:
    """Let every `ModelAdmin` know what is there, and what may be changed, on the current site."""
    if hasattr(getattr(ModelAdmin, HOOK), "__wrapped__"):
        return
    for name, change in (
        (HOOK, _missing),
        ("has_change_permission", _of_what_may_be_changed),
        ("has_delete_permission", _of_what_may_be_changed),
        ("get_deleted_objects", _telling_what_stands_in_the_way),
    ):
        original = getattr(ModelAdmin, name)
        setattr(ModelAdmin, name, functools.wraps(original)(change(original)))
    ModelAdmin.urls = property(_urls)  # type: ignore[assignment,method-assign]


def _missing(original: Any) -> Any:
    def missing(
        self: ModelAdmin[Any], request: HttpRequest, opts: Any, object_id: str
    ) -> HttpResponse:
        if scopes.of(self.model) is not None:
            _not_found(opts, object_id)
        return original(self, request, opts, object_id)  # type: ignore[no-any-return]

    return missing


def _of_what_may_be_changed(original: Any) -> Any:
    def has_permission(self: ModelAdmin[Any], request: HttpRequest, obj: Any = None) -> bool:
        return bool(original(self, request, obj)) and (obj is None or may_be_changed(obj))

    return has_permission


def _telling_what_stands_in_the_way(original: Any) -> Any:
    def get_deleted_objects(self: ModelAdmin[Any], objs: Any, request: HttpRequest) -> Any:
        try:
            found = original(self, objs, request)
            if scopes.guarded and not is_crossing():
                _refuse_stranding(objs)
        except CrossSiteWrite as error:
            return [], {}, set(), [error.args[0]]
        return found

    return get_deleted_objects


def _refuse_stranding(objs: Any) -> None:
    for obj in objs[:1]:
        collector = NestedObjects(using=router.db_for_write(type(obj)))
        collector.collect(objs)
        found_by: dict[Any, Any] = collector.model_objs
        for model, found in found_by.items():
            rows: QuerySet[Any] = QuerySet(model, using=collector.using)
            for some in batches(row.pk for row in found):
                refuse_stranding(rows.filter(pk__in=some))


def _urls(self: ModelAdmin[Any]) -> list[Any]:
    """Return the URLs; Django redirects from the old address of any object, which is looked for."""
    patterns = self.get_urls()
    for pattern in patterns:
        view = getattr(pattern, "callback", None)
        if view is None or iscoroutinefunction(view):
            continue
        if str(pattern.pattern) == OLD_ADDRESS and scopes.of(self.model) is not None:
            view = _looking(self, view)
        pattern.callback = _forbidding(view)
    return patterns


def _forbidding(view: Any) -> Any:
    """Let what the guard refuses be 403: it is no fault of the program."""

    @functools.wraps(view)
    def look(*args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(*args, **kwargs)  # type: ignore[no-any-return]
        except CrossSiteWrite as error:
            raise PermissionDenied(error.args[0]) from error

    return look


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
