"""Models that exist for one test, with their tables."""

from contextlib import contextmanager

import pytest
from django.apps import apps
from django.contrib.sites.models import Site
from django.db import connection, models
from django.test.utils import isolate_apps

from sitefleet.scoping.scopes import scopes


class Plain(models.Model):
    """Is of no site."""

    class Meta:
        abstract = True


@contextmanager
def apps_of_their_own(**known):
    """Let models of the app ``rooms`` be made among themselves, beside sites and those named.

    Args:
        known: a list of models that are known already, for each label of an app.
    """
    with isolate_apps("django.contrib.sites", "tests.rooms") as registry:
        for label, made in {"sites": [Site], **known}.items():
            for model in made:
                registry.register_model(label, model)
        try:
            yield
        finally:
            apps.clear_cache()  # relations were looked for among the models of the test alone


@contextmanager
def tables_of(monkeypatch, *made):
    """Make the tables of models of the app ``rooms``, and forget the models afterwards."""
    if not connection.features.can_rollback_ddl:
        forget(made)
        pytest.skip("a table would end the transaction of the test")
    managed = [model for model in made if model._meta.managed]
    with monkeypatch.context() as patch:
        # SQLite makes tables inside of a transaction well enough.
        patch.setattr(connection, "disable_constraint_checking", lambda: True)
        with connection.schema_editor() as editor:
            for model in managed:
                editor.create_model(model)
    scopes.find()
    try:
        yield
    finally:
        forget(made)


def forget(made):
    """Let models of the app ``rooms``, and the tables between, be none."""
    names = [model._meta.model_name for model in made]
    names += [
        field.remote_field.through._meta.model_name
        for model in made
        for field in model._meta.local_many_to_many
    ]
    forget_names(names)


def forget_names(names):
    for name in names:
        apps.all_models["rooms"].pop(name, None)
    for awaited in [each for each in apps._pending_operations if each[0] == "rooms"]:
        del apps._pending_operations[awaited]  # check_all_models complains of what never came
    apps.clear_cache()
    scopes.find()
