"""Templates that follow the site: a theme goes in front of what all sites share.

Switched on by the ``BACKEND`` of an entry of ``TEMPLATES``, whose other lines stay what they are:
``sitefleet.persite.templates.django.DjangoTemplates`` or
``sitefleet.persite.templates.jinja2.Jinja2``. Both modules are named like Django's own, since
Django names an engine after its module: it has to stay ``engines["django"]``.
"""

from __future__ import annotations

from django.core.signals import setting_changed

from sitefleet.persite.templates.autoreload import connect as watch_files
from sitefleet.persite.templates.checks import register as register_checks
from sitefleet.themes import forget_themes


def connect() -> None:
    """Register the checks, and forget themes where files or settings change."""
    register_checks()
    watch_files()
    setting_changed.connect(_setting_changed, dispatch_uid="sitefleet.themes_setting_changed")


def _setting_changed(setting: str, **_: object) -> None:
    if setting in {"SITEFLEET", "DEBUG"}:
        forget_themes()
