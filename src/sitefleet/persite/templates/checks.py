"""System checks: folders of themes, and whether anything reads them."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core import checks

from sitefleet.checking import LOOKED_AT, look_into
from sitefleet.conf import get_conf
from sitefleet.dotted import imported
from sitefleet.exceptions import InvalidSetting
from sitefleet.models import SiteConfig
from sitefleet.terminal import few
from sitefleet.themes import theme_folders, theme_names, theme_roots

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BACKENDS = {
    "templates": "sitefleet.persite.templates.django.DjangoTemplates",
    "jinja2": "sitefleet.persite.templates.jinja2.Jinja2",
}
#: Sites that the database check names for a theme.
NAMED = 10


def check_themes(**_: Any) -> list[checks.CheckMessage]:
    """Look at ``THEME_DIRS``, and for engines that read what is there."""
    try:
        return [*_check_roots(), *_check_engines()]
    except InvalidSetting:
        return []  # check_settings says it.


def _check_roots() -> Iterator[checks.CheckMessage]:
    for written, root in zip(get_conf().THEME_DIRS, theme_roots(), strict=True):
        if not root.is_dir():
            yield checks.Error(
                f"{str(written)!r} in SITEFLEET['THEME_DIRS'] is no directory.",
                hint='SITEFLEET = {"THEME_DIRS": [BASE_DIR / "themes"]}',
                id="sitefleet.E310",
            )


def _check_engines() -> Iterator[checks.CheckMessage]:
    themed = {kind for kind, _ in _engines()}
    for kind, path in BACKENDS.items():
        theme = next((name for name in theme_names() if theme_folders(name, kind)), None)
        if theme and kind not in themed:
            yield checks.Warning(
                f"The theme {theme!r} has a folder {kind!r}, and no entry of TEMPLATES reads it.",
                hint=f'TEMPLATES = [{{"BACKEND": "{path}", ...}}]',
                id="sitefleet.W311",
            )
    if not get_conf().THEME_DIRS:
        for _, path in _engines():
            yield checks.Warning(
                f"{path} is in TEMPLATES, and SITEFLEET['THEME_DIRS'] is empty: no site has a"
                " theme.",
                hint='SITEFLEET = {"THEME_DIRS": [BASE_DIR / "themes"]}',
                id="sitefleet.W312",
            )


def _engines() -> Iterator[tuple[str, str]]:
    """Yield kind and path of each entry of TEMPLATES that follows themes."""
    for entry in settings.TEMPLATES:
        path = str(entry.get("BACKEND"))
        kind = getattr(imported(path), "theme_kind", "")
        if kind:
            yield kind, path


def check_sites(databases: Sequence[str] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """Look for sites whose theme is nowhere on disk: they are shown as if they had none."""
    return look_into(databases, _check_rows)


def _check_rows(using: str) -> Iterator[checks.CheckMessage]:
    known = ["", *theme_names()]
    rows = SiteConfig.objects.using(using).exclude(theme__in=known).order_by("theme", "slug")
    found = rows.values_list("theme", "slug")[:LOOKED_AT]
    for theme, group in groupby(found, key=lambda row: row[0]):
        yield checks.Warning(
            f"The theme {theme!r} is in none of THEME_DIRS, and this is what"
            f" {few([slug for _, slug in group], NAMED)} is to have.",
            hint="Add the folder to one of THEME_DIRS, or choose one of:"
            f" {', '.join(known[1:]) or '-'}.",
            id="sitefleet.W315",
        )


def register() -> None:
    """Register all of the above with Django."""
    checks.register(check_themes, checks.Tags.templates)
    checks.register(check_sites, checks.Tags.database)
