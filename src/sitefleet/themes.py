"""Themes: folders that a site may have in front of the templates and static files of all.

A theme is a folder in one of ``SITEFLEET["THEME_DIRS"]`` with ``templates``, ``jinja2`` and
``static``, each of them optional. Where several of these directories have a folder of that name,
they are one theme, and the first that has a file wins, as in Django's ``DIRS``.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from weakref import WeakSet

from django.conf import settings
from django.core.exceptions import ValidationError

from sitefleet.conf import get_conf
from sitefleet.naming import THEME_LENGTH, validate_theme
from sitefleet.options import entered_site

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
Folders = tuple[Path, ...]

logger = logging.getLogger("sitefleet")

#: Themes that a process remembers to have nothing of a kind, missing ones among them.
REMEMBERED = 1000


def theme_roots() -> Folders:
    """Return the directories of themes, absolute. Raises InvalidSetting."""
    return tuple(Path(root).resolve() for root in get_conf().THEME_DIRS)


def theme_names() -> list[str]:
    """Return the names of the themes on disk. Raises InvalidSetting."""
    folders = {
        entry.name
        for root in theme_roots()
        if root.is_dir()
        for entry in root.iterdir()
        if entry.is_dir()
    }
    return sorted(name for name in folders if _is_safe(name))


def theme_folders(theme: str, kind: str = "") -> Folders:
    """Return the folders of a theme, or those of one kind in it; none for a name that is unsafe.

    ``kind`` is ``templates``, ``jinja2`` or ``static``. Raises InvalidSetting.
    """
    if not theme or not _is_safe(theme):
        return ()
    folders = (root / theme / kind for root in theme_roots())
    return tuple(folder for folder in folders if folder.is_dir())


def current_theme() -> str:
    """Return the theme of the site that was entered; empty outside of sites. No query in requests.

    Raises what `sitefleet.options.entered_site` raises.
    """
    view = entered_site()
    return "" if view is None else view.options.theme


class ByTheme(Generic[T]):
    """What is made once in a process for each theme that has folders of one ``kind``.

    So there are as many as there are themes on disk, whatever sites name.
    """

    def __init__(self, kind: str, make: Callable[[Folders], T]) -> None:
        self.kind = kind
        self._make = make
        self._made: dict[str, T | None] = {"": None}
        _all.add(self)

    def current(self) -> T | None:
        """Return that of the current theme; None where there is no theme, or it has no folder."""
        view = entered_site()  # not `current_theme()`: this runs for each template that is found
        theme = "" if view is None else view.options.theme
        try:
            return self._made[theme]
        except KeyError:
            return self._add(theme)

    def forget(self) -> None:
        """Let everything be made anew."""
        self._made = {"": None}

    def _add(self, theme: str) -> T | None:
        folders = theme_folders(theme, self.kind)
        if folders:
            # Of two threads that come here the first one wins.
            return self._made.setdefault(theme, self._make(folders))
        if not theme_folders(theme):
            _tell_missing(theme, theme_roots())
        # In development the folder may come yet.
        if not settings.DEBUG:
            if len(self._made) >= REMEMBERED:
                items = list(self._made.items())  # a copy: other threads add to it
                found = {name: made for name, made in items if made is not None}
                self._made = {"": None, **found}
            self._made[theme] = None
        return None


def forget_themes(**_: Any) -> None:
    """Let all that was made of themes be made anew: a receiver of signals."""
    for made in _all:
        made.forget()


_all: WeakSet[ByTheme[Any]] = WeakSet()


def _is_safe(name: str) -> bool:
    # Rows come in past validation too, and this is going to be a path.
    try:
        validate_theme(name)
    except ValidationError:
        return False
    return len(name) <= THEME_LENGTH


@lru_cache(maxsize=REMEMBERED)
def _tell_missing(theme: str, roots: Folders) -> None:
    # Once for each theme: pages are shown all the same, with the shared templates.
    logger.warning(
        "A site has the theme %r, and there is no such folder in THEME_DIRS (%s): its pages are"
        " shown with the shared templates and static files.",
        theme,
        ", ".join(map(str, roots)) or "which is empty",
    )
