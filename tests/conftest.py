"""Fixtures are nouns. What every test leaves behind, it must not: see `clean_process`."""

import os

import pytest
from django.contrib.sites.models import Site
from django.urls import get_script_prefix, set_script_prefix
from django.utils import translation

from sitefleet import lookup
from sitefleet.current import active_site_id, current_state
from sitefleet.registry import add_site
from sitefleet.resolver import resolver
from tests.databases import file_database, migrated_file  # noqa: F401 - fixtures


@pytest.fixture(autouse=True)
def clean_process(monkeypatch):
    """Start from nothing remembered and no SITEFLEET_* variables; end with no site left over."""
    for name in [name for name in os.environ if name.startswith("SITEFLEET_")]:
        monkeypatch.delenv(name)
    forget()
    yield
    left_over, prefix = active_site_id(), get_script_prefix()
    current_state.set(None)
    forget()
    assert left_over is None, "a site was left over"
    assert prefix == "/", "a script prefix was left over"


def forget():
    resolver.reset()
    lookup.forget_pinned()
    Site.objects.clear_cache()
    translation.deactivate()  # LocaleMiddleware leaves the language of the last request


@pytest.fixture
def fleet(site, other_site):
    """Three sites, the third of them below a path prefix of the first."""
    return site, other_site, add_site("de", name="DE", domain="one.example.org", path_prefix="/de")


@pytest.fixture
def mounted_by_server(settings):
    """Undo what the handler of a server sets, and Django keeps, where it mounts the project."""
    settings.STATIC_URL, settings.MEDIA_URL = "static/", "media/"
    yield
    set_script_prefix("/")
