"""The project, its sites, its doors."""

import io
import logging

import pytest
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.test import override_settings

from sitefleet.persite.logging import SiteFilter
from tests.attacks import project
from tests.attacks.doors import ASGI, WSGI, Visitor
from tests.attacks.project import ONE, TWO


@pytest.fixture(scope="module")
def switched_on(tmp_path_factory):
    """Switch everything on, for all tests of a module: one process serves for a while."""
    folder = tmp_path_factory.mktemp("project")
    project.write_files(folder)
    with override_settings(**project.settings_of(folder)):
        yield folder


@pytest.fixture(params=[WSGI, ASGI], ids=["wsgi", "asgi"])
def door(switched_on, request):
    return request.param()


@pytest.fixture
def sites(switched_on, db):
    """The three sites, with nothing in their caches."""
    # Connections stay open, as in a server: they are in the transaction of the test.
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield project.make_sites()
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)
    cache.clear_all()


@pytest.fixture
def visit(door, sites):
    """Make a visitor of a site."""
    places = {
        sites.one.pk: (ONE,),
        sites.two.pk: (TWO,),
        sites.below.pk: (ONE, "/below", f"_{sites.below.pk}"),
    }
    return lambda site: Visitor(door, *places[site.pk])


@pytest.fixture
def anna(sites):
    users = get_user_model().objects
    return users.create_user("anna", "anna@example.com", "secret")


@pytest.fixture
def lines():
    """What all loggers write, each line with its site."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(site_id)d %(site_slug)s %(name)s %(message)s"))
    handler.addFilter(SiteFilter())
    logging.getLogger().addHandler(handler)
    yield lambda: stream.getvalue().splitlines()
    logging.getLogger().removeHandler(handler)
