"""System checks: whether uploaded files follow the site, and who serves them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from django.apps import apps
from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import default_storage, storages
from django.db.models import FileField
from django.urls import URLResolver, get_resolver
from django.views.static import serve

from sitefleet.conf import find_problems, get_conf
from sitefleet.dotted import names_a
from sitefleet.following import configured
from sitefleet.persite.storage.backend import DJANGO_STORAGE, PATH, SiteStorage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from django.core.files.storage import Storage


def register() -> None:
    """Register all of these with Django."""
    checks.register(check_storages, checks.Tags.files)
    checks.register(check_urls, checks.Tags.urls)


def check_storages(**_: Any) -> list[checks.CheckMessage]:
    """Look whether uploaded files follow the site."""
    return [*_check_backends(), *_check_default(), *_check_sendfile()]


def _check_backends() -> Iterator[checks.CheckMessage]:
    for alias, params in _followers():
        inner = _inner(params)
        if isinstance(inner, Exception):
            yield checks.Error(
                f"STORAGES[{alias!r}] follows the site, but cannot keep files: {inner}",
                hint=f'{alias!r}: {{"BACKEND": "{PATH}", "OPTIONS": {{"BACKEND":'
                f' "{DJANGO_STORAGE}", "OPTIONS": {{}}}}}}',
                id="sitefleet.E331",
            )


def _inner(params: dict[str, Any]) -> Storage | Exception:
    """Return what a `SiteStorage` keeps files in, or why it cannot."""
    try:
        inner = cast("SiteStorage", storages.create_storage(params)).inner
    except (ImproperlyConfigured, TypeError) as error:
        return error
    if isinstance(inner, SiteStorage):
        return TypeError("A SiteStorage inside of another one has folders in folders.")
    return inner


def _check_default() -> Iterator[checks.CheckMessage]:
    params = _configured().get("default")
    if params and not _follows(params) and _uses_media():
        # Not its OPTIONS: they may hold secrets.
        backend = params.get("BACKEND")
        yield checks.Warning(
            "Uploaded files do not follow the site: all sites share one folder, and each of them"
            " serves the files of all.",
            hint=f'STORAGES = {{"default": {{"BACKEND": "{PATH}", "OPTIONS": {{"BACKEND":'
            f' "{backend}", "OPTIONS": {{...}}}}}}, "staticfiles": {{...}}}}',
            id="sitefleet.W330",
        )


def _check_sendfile() -> Iterator[checks.CheckMessage]:
    if not find_problems() and get_conf().SENDFILE and not any(_followers()):
        yield checks.Warning(
            "SENDFILE is set, but no storage follows the site, so no site has files to send.",
            hint=f'STORAGES = {{"default": {{"BACKEND": "{PATH}"}}, "staticfiles": {{...}}}}',
            id="sitefleet.W332",
        )


def check_urls(**_: Any) -> list[checks.CheckMessage]:
    """Look whether Django serves the folders of all sites on every host."""
    inner = [_inner(params) for _, params in _followers()]
    roots = {Path(each.location).resolve() for each in inner if hasattr(each, "location")}
    if not roots or not getattr(settings, "ROOT_URLCONF", None):
        return []
    return [
        checks.Warning(
            f"The URL pattern {pattern.pattern} serves the media of all sites on every host.",
            hint='path("media/<path:name>", serve_media), from sitefleet.persite.storage',
            id="sitefleet.W333",
        )
        for pattern in _patterns(get_resolver().url_patterns)
        if pattern.callback is serve
        and Path(pattern.default_args.get("document_root") or "/-").resolve() in roots
    ]


def _patterns(patterns: Iterable[Any]) -> Iterator[Any]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from _patterns(pattern.url_patterns)
        else:
            yield pattern


def _followers() -> Iterator[tuple[str, dict[str, Any]]]:
    return (item for item in _configured().items() if _follows(item[1]))


def _configured() -> dict[str, Any]:
    return settings.STORAGES


def _follows(params: dict[str, Any]) -> bool:
    return names_a(params.get("BACKEND", ""), SiteStorage)


def _uses_media() -> bool:
    if configured("MEDIA_ROOT") or configured("MEDIA_URL"):
        return True
    fields = (field for model in apps.get_models() for field in model._meta.local_fields)
    return any(
        isinstance(field, FileField) and field.storage is default_storage for field in fields
    )
