"""Settings that each site may have a value of its own for: what ``SITE_SETTINGS`` declares."""

from __future__ import annotations

from typing import Any


def clean_settings(values: Any) -> dict[str, Any]:
    """Return the values of one site as JSON keeps them. Raises ValidationError."""
    return dict(values or {})
