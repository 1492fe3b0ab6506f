"""Models of a test alone leave nothing behind for the next one."""

from django.contrib.sites.models import Site
from django.db import models

from tests.scoping.madeup import apps_of_their_own


def test_relations_of_a_site_are_those_of_the_project_again(monkeypatch):
    monkeypatch.setitem(globals(), "__name__", "tests.rooms.models")
    before = Site._meta.related_objects
    with apps_of_their_own():

        class Talk(models.Model):  # noqa: DJ008 - never shown
            site = models.ForeignKey(Site, models.CASCADE)

        assert Talk._meta.related_objects == ()  # looks among the models that Talk knows
        assert [each.related_model for each in Site._meta.related_objects] == [Talk]
    assert Site._meta.related_objects == before
