"""A queryset gets its site when its statement runs, wherever and whenever it was made."""

from __future__ import annotations

import copy
import pickle

import pytest
from django import forms
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models import QuerySet

from sitefleet import override_site
from sitefleet.current import carry_site
from sitefleet.exceptions import SiteRequired
from sitefleet.scoping import cross_site
from tests.rooms.models import Booking, Hall, Key, Notice, Room, Tag

ROOMS = {"aa-room", "aa-hall"}


class ChoiceForm(forms.Form):
    """Its queryset is made when this module is imported."""

    room = forms.ModelChoiceField(Room.objects.order_by("name"))


class Listing:
    """As generic views and those of REST frameworks keep one."""

    queryset = Booking.objects.order_by("pk")


def names(rows):
    return {row.name for row in rows}


@pytest.mark.parametrize("site", ["a", "b"])
def test_querysets_made_at_import_time_are_of_the_site_that_runs_them(world, site):
    own = getattr(world, site)
    with override_site(own.site):
        assert [label for _, label in ChoiceForm().fields["room"].choices][1:] == [
            f"{own.site.name}-hall",
            f"{own.site.name}-room",
        ]
        assert [booking.code for booking in Listing.queryset.all()] == [own.booking.code]
        other = world.b if site == "a" else world.a
        assert ChoiceForm({"room": own.room.pk}).is_valid()
        assert not ChoiceForm({"room": other.room.pk}).is_valid()


def test_what_waits_for_the_commit_is_of_the_site_that_it_carries(
    world, django_capture_on_commit_callbacks
):
    found = []

    def look():
        found.append(names(Room.objects.all()))

    with override_site(world.b.site), django_capture_on_commit_callbacks(execute=True):  # noqa: SIM117 - one after the other
        with override_site(world.a.site):
            transaction.on_commit(carry_site(look))
            transaction.on_commit(look)
    assert found == [ROOMS, {"bb-room", "bb-hall"}]


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda rows: rows.all()])
@pytest.mark.parametrize("model", [Room, Notice, Hall, Tag])
def test_copies_of_querysets_are_of_the_site_that_runs_them(world, model, again):
    with override_site(world.b.site):
        rows = model.objects.order_by("pk")
    with override_site(world.a.site):
        expected = list(rows.values_list("pk"))
        found = again(rows)
        assert list(found.values_list("pk")) == expected
        assert expected
        assert "bb-" not in str([str(row.__dict__) for row in found])


@pytest.mark.parametrize("model", [Room, Notice, Hall, Tag, Booking])
def test_a_pickled_query_is_of_the_site_that_runs_it(world, model):
    with override_site(world.b.site):
        pickled = pickle.dumps(model._base_manager.all().query)
        managed = pickle.dumps(model._default_manager.all().query)
    with override_site(world.a.site):
        for data in (pickled, managed):
            rows = QuerySet(model)
            rows.query = pickle.loads(data)  # noqa: S301 - it was made above
            assert "bb-" not in str([str(row.__dict__) for row in rows])
    with pytest.raises(SiteRequired):
        list(rows.all())


def test_a_queryset_is_bound_again_by_each_run(world):
    rows = Room.objects.filter(size=1)
    for own in (world.a, world.b, world.a):
        with override_site(own.site):
            assert [room.name for room in rows.all()] == [f"{own.site.name}-room"]
            inside = Key.objects.filter(room__in=rows)
            assert [key.pk for key in inside] == [own.key.pk]


def test_a_queryset_made_while_crossing_is_guarded_where_it_runs(world):
    with cross_site("made here"):
        rows = Room.objects.all()
        assert rows.count() == 4
    with pytest.raises(SiteRequired):
        list(rows)
    with override_site(world.a.site):
        assert names(rows) == ROOMS


def test_an_iterator_is_bound_by_its_first_row(world):
    with override_site(world.b.site):
        rows = Room.objects.iterator(chunk_size=1)
    with override_site(world.a.site):
        first = next(rows)
    assert names([first, *rows]) == ROOMS


def test_rows_that_are_referred_to_in_another_site_are_not_to_be_had(world):
    with override_site(world.a.site):
        for key in Key.objects.exclude(pk=world.a.key.pk):
            with pytest.raises(Room.DoesNotExist):
                key.room  # noqa: B018 - asks the database
        assert world.a.room.building.name == "aa-building"


def test_generic_references_are_guarded_where_they_are_read(world):
    kind = ContentType.objects.get_for_model(Room)
    with override_site(world.a.site):
        assert kind.get_object_for_this_type(pk=world.a.room.pk) == world.a.room
        assert set(kind.get_all_objects_for_this_type()) == set(Room.objects.all())
        with pytest.raises(Room.DoesNotExist):
            kind.get_object_for_this_type(pk=world.b.room.pk)
    with pytest.raises(SiteRequired):
        kind.get_object_for_this_type(pk=world.a.room.pk)
