"""Edited templates of themes are seen without a restart, under ``runserver``.

Django's own receivers know the loaders that are there outside of any site.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils.autoreload import autoreload_started, file_changed

from sitefleet.exceptions import InvalidSetting
from sitefleet.themes import forget_themes, theme_roots

if TYPE_CHECKING:
    from pathlib import Path

    from django.utils.autoreload import BaseReloader

#: Not all of a theme: what builds its static files may be large, and each file is looked at.
PATTERNS = ("*/templates", "*/templates/**/*", "*/jinja2", "*/jinja2/**/*")


def watch(sender: BaseReloader, **_: Any) -> None:
    """Watch the templates of all themes, those that are yet to come too."""
    for root in _roots():
        for pattern in PATTERNS:
            sender.watch_dir(root, pattern)


def forget(file_path: Path, **_: Any) -> bool | None:
    """Forget what was compiled, shared templates too; True where no restart is needed."""
    if file_path.suffix == ".py":
        return None
    forget_themes()
    return any(root in file_path.parents for root in _roots()) or None


def connect() -> None:
    """Connect the above with Django's autoreloader."""
    autoreload_started.connect(watch, dispatch_uid="sitefleet.themes_watch")
    file_changed.connect(forget, dispatch_uid="sitefleet.themes_forget")


def _roots() -> tuple[Path, ...]:
    try:
        return theme_roots()
    except InvalidSetting:
        return ()  # A check says it, and the reloader waits for the correction.
