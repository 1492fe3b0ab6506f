"""Static files that follow the site: those of its theme win over those of all sites.

Switched on by ``ThemeFinder`` in ``STATICFILES_FINDERS``, through which ``collectstatic`` puts the
files of a theme into ``themes/<theme>/``, and by a storage with `Themed` as
``STORAGES["staticfiles"]``, through which ``{% static %}`` finds them there.

What a theme has is read from its folders, once in a process, and with ``DEBUG`` at each look: as
for Django itself, ``collectstatic`` is to run before a release is served.
"""

from __future__ import annotations

import os
import posixpath
import re
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.staticfiles.apps import StaticFilesConfig
from django.contrib.staticfiles.finders import FileSystemFinder
from django.contrib.staticfiles.storage import ManifestStaticFilesStorage, StaticFilesStorage
from django.contrib.staticfiles.utils import get_files
from django.core import checks
from django.core.files.storage import FileSystemStorage

from sitefleet.dotted import names_a
from sitefleet.exceptions import InvalidSetting
from sitefleet.themes import ByTheme, current_theme, theme_folders, theme_names

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from sitefleet.themes import Folders

#: Where the files of themes are, among the static files.
PLACE = "themes"
FINDER = "sitefleet.persite.static.ThemeFinder"
STORAGE = "sitefleet.persite.static.ThemedStaticFilesStorage"
_BEHIND_PATH = re.compile(r"[?#].*", re.DOTALL)


class ThemeFinder(FileSystemFinder):
    """Finds the static files of each theme as ``themes/<theme>/...``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # What FileSystemFinder reads from STATICFILES_DIRS is not wanted here.
        pass

    @property
    def locations(self) -> list[tuple[str, str]]:  # type: ignore[override]
        """Prefix and folder of each theme; at each look, as a theme may be added meanwhile."""
        return [
            (f"{PLACE}{os.sep}{theme}", str(folder))
            for theme in theme_names()
            for folder in theme_folders(theme, "static")
        ]

    def check(self, **_: Any) -> list[checks.CheckMessage]:
        return []

    def list(self, ignore_patterns: Iterable[str] | None) -> Iterator[tuple[str, Any]]:
        for prefix, folder in self.locations:
            storage: Any = FileSystemStorage(location=folder)
            storage.prefix = prefix
            for path in get_files(storage, list(ignore_patterns or [])):
                yield path, storage


class Themed:
    """For a storage of static files, put before its class: ``url()`` follows the current theme."""

    def url(self, name: str | None, *args: Any, **kwargs: Any) -> str:
        """Return the URL of a file of the current theme, where it has one of that name."""
        url: str = super().url(themed_name(name), *args, **kwargs)  # type: ignore[misc]
        return url


class ThemedStaticFilesStorage(Themed, StaticFilesStorage):
    """Django's storage of static files, following the current theme."""


class ThemedManifestStaticFilesStorage(Themed, ManifestStaticFilesStorage):
    """Django's storage with hashed names, following the current theme."""


def themed_name(name: str | None) -> str | None:
    """Return the name that a static file has for the current theme."""
    files = _files.current()
    if files is None or not name:
        return name
    if name not in files and _BEHIND_PATH.sub("", name) not in files:
        return name
    return f"{PLACE}/{current_theme()}/{name}"


class _OnDisk:
    """The names of the files in folders, looked up each time."""

    def __init__(self, folders: Folders) -> None:
        self.folders = folders

    def __contains__(self, name: object) -> bool:
        # Only names as `collectstatic` has them, so that development is no more lenient.
        path = str(name)
        if path != posixpath.normpath(path) or path.startswith(("/", "..")):
            return False
        # No `Path` takes the safe strings of templates, and `is_file()` raises for a long name.
        return any(os.path.isfile(f"{folder}/{path}") for folder in self.folders)  # noqa: PTH113


def _files_in(folders: Folders) -> Container[str]:
    if settings.DEBUG:
        return _OnDisk(folders)
    ignored = list(StaticFilesConfig.ignore_patterns)
    return frozenset(
        path.replace(os.sep, "/")
        for folder in folders
        for path in get_files(FileSystemStorage(location=folder), ignored)
    )


_files = ByTheme("static", _files_in)


def check_static(**_: Any) -> list[checks.CheckMessage]:
    """Look for what is needed where a theme has static files."""
    try:
        theme = next((name for name in theme_names() if theme_folders(name, "static")), None)
    except InvalidSetting:
        return []  # check_settings says it.
    return [] if theme is None else list(_check_wiring(theme))


def _check_wiring(theme: str) -> Iterator[checks.CheckMessage]:
    if not any(names_a(finder, ThemeFinder) for finder in settings.STATICFILES_FINDERS):
        yield checks.Warning(
            f"The theme {theme!r} has static files, and no finder finds them.",
            hint=f'STATICFILES_FINDERS = [..., "{FINDER}"]',
            id="sitefleet.W313",
        )
    storage: Any = settings.STORAGES.get("staticfiles", {})
    if not names_a(storage.get("BACKEND"), Themed):
        yield checks.Warning(
            f"The theme {theme!r} has static files, and {{% static %}} does not link to them.",
            hint=f'STORAGES = {{..., "staticfiles": {{"BACKEND": "{STORAGE}"}}}}',
            id="sitefleet.W314",
        )


def connect() -> None:
    """Register the check."""
    checks.register(check_static, checks.Tags.staticfiles)
