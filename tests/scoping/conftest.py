import pytest
from django.apps import apps

from sitefleet.scoping.scopes import scopes
from tests.rooms.furnished import furnish_both


@pytest.fixture
def world(db, settings):
    """Rows of all kinds on two sites, and no current site."""
    settings.SITE_ID = None
    return furnish_both()


@pytest.fixture
def late():
    """Takes away what a test adds to the models."""
    before = dict(apps.all_models["rooms"])
    yield
    for name in apps.all_models["rooms"].keys() - before.keys():
        del apps.all_models["rooms"][name]
    apps.clear_cache()
    scopes.find()
