import pytest
from django.apps import apps
from django.contrib.sites.models import Site
from django.db import connection

from sitefleet import override_site
from sitefleet.scoping.scopes import scopes
from tests.rooms.furnished import furnish_both
from tests.rooms.models import Room
from tests.scoping.madeup import forget_names
from tests.scoping.talks import Database


@pytest.fixture
def no_default(settings):
    """There is no current site but one that is entered."""
    settings.SITE_ID = None


@pytest.fixture
def world(db, no_default):
    """Rows of all kinds on two sites, and no current site."""
    return furnish_both()


@pytest.fixture
def sites():
    """Two sites with a room each."""
    pair = [Site.objects.create(domain=f"{name}.test", name=name) for name in "ab"]
    for site in pair:
        with override_site(site):
            Room.objects.create(name=site.name)
    return pair


@pytest.fixture
def declared():
    """Models of Django that know sites, declared as scoped."""
    known = {"flatpages.FlatPage": "sites", "redirects.Redirect": "site"}
    for label, field in known.items():
        scopes.declare(label, field)
    yield
    for label in known:
        scopes.withdraw(label)


@pytest.fixture
def late():
    """Takes away what a test adds to the models."""
    before = dict(apps.all_models["rooms"])
    yield
    forget_names(apps.all_models["rooms"].keys() - before.keys())


@pytest.fixture
def database(transactional_db, no_default):
    """The tables of talks, an app of somebody else."""
    made = Database()
    yield made
    with connection.schema_editor() as editor:
        for name in ("link", "talk"):
            editor.delete_model(made.model(name))
