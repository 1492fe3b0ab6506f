"""What Django tells the driver uwsgi, and says of it."""

from importlib import import_module
from unittest import mock

import pytest
from django.apps import apps
from django.db import connection

from sitefleet.models import SiteConfig
from sitefleet.serving import emperor
from tests.serving.test_checks import in_database, serving

pytestmark = pytest.mark.django_db
migration = import_module("sitefleet.migrations.0004_vassals")
not_on_postgresql = pytest.mark.skipif(
    "connection.vendor == 'postgresql'", reason="there it makes a view"
)


@not_on_postgresql
def test_the_view_is_for_postgresql_alone():
    editor = mock.Mock(connection=connection)
    migration.install(apps, editor)
    migration.remove(apps, editor)
    assert editor.execute.call_count == 0
    assert emperor.describe()["view"] == ""


def test_packages_are_told_and_the_standard_library_is_not():
    paths = emperor.describe()["paths"]
    assert any(path.endswith("site-packages") for path in paths)
    assert not any(path.endswith(("lib-dynload", ".zip")) for path in paths)


def test_a_variable_that_uwsgi_is_not_given_is_told(site):
    SiteConfig.objects.filter(site=site).update(serving={"environment": {"FLAVOUR": "50%"}})
    with serving(driver="uwsgi", environment=["FLAVOUR"]):
        assert "FLAVOUR" in in_database()["sitefleet.W532"]
    with serving(environment=["FLAVOUR"]):
        assert "sitefleet.W532" not in in_database()
