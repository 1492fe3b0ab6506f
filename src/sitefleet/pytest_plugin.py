"""Fixtures for pytest: ``site``, ``other_site`` and the ``canary``.

Installed with the distribution; they need pytest-django. A fixture of the same name in your
``conftest.py`` wins, as always.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.sites.models import Site

    from sitefleet.canary import Report


@pytest.fixture
def site(db: None) -> Site:
    """Return a site: ``one``, at ``one.example.org``."""
    from sitefleet.registry import add_site  # noqa: PLC0415 - pytest loads plugins ahead of Django

    return add_site("one", name="One", domain="one.example.org")


@pytest.fixture
def other_site(site: Site) -> Site:
    """Return another site beside `site`: ``two``, at ``two.example.org``."""
    from sitefleet.registry import add_site  # noqa: PLC0415 - likewise

    return add_site("two", name="Two", domain="two.example.org")


@pytest.fixture
def canary(site: Site, other_site: Site) -> Callable[..., Report]:
    """Return a function that raises `Crossed` when anything of one site shows on another.

    It takes what `sitefleet.canary.Canary` takes, the sites first: `site` and `other_site` when
    none are given.
    """
    from sitefleet.canary import Canary  # noqa: PLC0415 - likewise

    def look(*sites: Site | int, **options: Any) -> Report:
        return Canary(sites or (site, other_site), **options).assert_nothing_crosses()

    return look
