"""Storage: media below the site's id, and served on the site's own hosts only.

Switched on by Django's setting, around the storage that is there already::

    STORAGES = {"default": {"BACKEND": "sitefleet.persite.storage.SiteStorage"}, "staticfiles": ...}
"""

from __future__ import annotations

from sitefleet.persite.storage.backend import SiteStorage
from sitefleet.persite.storage.checks import register as register_checks
from sitefleet.persite.storage.views import sendfile, serve_media

__all__ = ["SiteStorage", "connect", "sendfile", "serve_media"]


def connect() -> None:
    """Register the system checks."""
    register_checks()
