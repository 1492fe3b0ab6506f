"""The fields of own models: filled by themselves, and Django's own in migrations."""

from __future__ import annotations

import pytest
from django.contrib.admin.utils import flatten_fieldsets
from django.contrib.sites.models import Site
from django.core.exceptions import ValidationError
from django.db import models
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState
from django.db.migrations.writer import MigrationWriter
from django.forms import modelform_factory

from sitefleet import override_site
from sitefleet.scoping import (
    SharedSiteModel,
    SiteField,
    SiteManager,
    SiteModel,
    SitesField,
    SitesModel,
)
from tests.rooms.models import Booking, Notice, Room, Tag


@pytest.mark.parametrize("field", [SiteField(), SiteField(null=True), SitesField()], ids=str)
def test_migrations_do_not_need_sitefleet(field):
    field.set_attributes_from_name("site")
    text, imports = MigrationWriter.serialize(field)
    assert "sitefleet" not in text + str(imports)
    assert text.startswith(("models.ForeignKey(", "models.ManyToManyField("))
    assert "default" not in text


def test_a_default_of_ones_own_is_kept():
    field = SiteField(default=7)
    field.set_attributes_from_name("site")
    assert field.deconstruct()[3]["default"] == 7


def test_the_models_of_the_tests_need_no_migration():
    detector = MigrationAutodetector(
        MigrationLoader(None).project_state(), ProjectState.from_apps(Room._meta.apps)
    )
    assert "rooms" not in detector.changes(graph=MigrationLoader(None).graph)


def test_the_field_protects_and_is_in_no_form():
    field = Room._meta.get_field("site")
    assert field.remote_field.on_delete is models.PROTECT
    assert field.remote_field.model is Site
    for model in (Room, Tag, Notice, Booking):
        form = modelform_factory(model, fields="__all__")
        assert not {"site", "sites", "venue"} & set(form.base_fields)
    assert flatten_fieldsets([(None, {"fields": ["name"]})]) == ["name"]


def test_what_a_field_is_given_counts():
    field = Booking._meta.get_field("venue")
    assert field.remote_field.on_delete is models.CASCADE
    assert field.remote_field.related_name == "bookings"


def test_a_new_row_shows_the_current_site_before_it_is_saved(world):
    with override_site(world.a.site):
        assert Room().site == world.a.site
        assert Booking().venue_id == world.a.site.pk
    assert Room().site_id is None


def test_a_form_makes_a_row_of_the_current_site(world):
    form = modelform_factory(Room, fields=["name", "building", "size"])
    data = {"name": "new", "size": 1, "building": world.a.building.pk}
    with override_site(world.a.site):
        assert form(data).save().site == world.a.site
        assert not form({**data, "building": world.b.building.pk}).is_valid()


def test_validation_refuses_what_refers_to_a_row_of_another_site(world):
    with override_site(world.a.site):
        world.a.room.building = world.b.building
        with pytest.raises(ValidationError):
            world.a.room.full_clean(exclude=["tag", "owner"])


@pytest.mark.parametrize("base", [SiteModel, SharedSiteModel, SitesModel])
def test_the_bases_are_abstract_and_have_the_manager(base):
    assert base._meta.abstract
    assert any(isinstance(manager, SiteManager) for manager in base._meta.managers)


def test_the_column_is_indexed():
    assert Room._meta.get_field("site").db_index
