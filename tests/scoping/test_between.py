"""Tables between: their rows go with the row of a site, on whichever side that is."""

from __future__ import annotations

import pytest
from django.db import connection, transaction
from django.db.models import Count, F
from django.forms import modelform_factory

from sitefleet import override_site
from sitefleet.exceptions import CrossSiteWrite, SiteRequired
from sitefleet.scoping import cross_site
from tests.rooms.models import Notice, Person, Room, Stay, Tag


@pytest.fixture
def world(world):
    """With rows between: of a shared tag, of a notice of both, and of persons of no site."""
    for own in (world.a, world.b):
        with override_site(own.site):
            own.room.residents.add(own.person, world.everybody)
            own.room.suited.add(world.shared)
            own.room.posted.add(world.everywhere)
            own.notice.readers.add(own.person)
    with override_site(world.a.site):
        world.everywhere.readers.add(world.a.person, world.everybody)
    return world


def everywhere(rows):
    with cross_site("what stands there"):
        return list(rows.order_by("pk"))


#: The manager of a row that is of no site, of all, or of both; what it has on the first one.
MANAGERS = {
    "an explicit table": lambda w: w.everybody.homes,
    "a shared row": lambda w: w.shared.suits,
    "a row of both": lambda w: w.everywhere.boards,
}


@pytest.mark.parametrize("way", MANAGERS)
def test_what_is_between_is_counted_and_cleared_for_the_site_alone(world, way):
    rows = MANAGERS[way](world)
    field = rows.prefetch_cache_name
    model, through = type(rows.instance), rows.through.objects
    theirs = everywhere(through.filter(room=world.b.room))
    assert theirs
    with pytest.raises(SiteRequired):
        rows.count()
    with override_site(world.a.site):
        assert list(rows.all()) == [world.a.room]
        assert rows.count() == 1
        assert dict(model.objects.annotate(n=Count(field)).values_list("pk", "n"))[
            rows.instance.pk
        ] in (1, 2)
        assert set(model.objects.values_list(field, flat=True)) <= {world.a.room.pk, None}
        assert not model.objects.filter(**{field: world.b.room.pk}).exists()
        assert {row.room_id for row in through.all()} == {world.a.room.pk}
        rows.clear()
        assert not rows.exists()
        rows.set([world.a.room])
        rows.remove(world.b.room)
    assert everywhere(through.filter(room=world.b.room)) == theirs
    assert len(everywhere(through.filter(room=world.a.room))) in (1, 2)


def test_rows_of_an_explicit_table_are_read_and_written_on_their_site(world):
    with override_site(world.a.site):
        assert not world.b.person.homes.exists()
        assert Stay.objects.update(nights=F("nights") + 1) == 2
        for write in (
            lambda: Stay.objects.create(room=world.b.room, person=world.everybody),
            lambda: Stay.objects.update(room=world.b.room),
            everywhere(Stay.objects.filter(room=world.b.room))[0].save,
            lambda: world.b.room.residents.add(world.a.person),
        ):
            with pytest.raises(CrossSiteWrite), transaction.atomic():
                write()
        assert Stay.objects.all().delete()[0] == 2
    assert [stay.nights for stay in everywhere(Stay.objects)] == [1, 1]
    with pytest.raises(SiteRequired):
        Stay.objects.create(room=world.b.room, person=world.everybody)


READERS = {
    "remove": (lambda w: w.everywhere.readers.remove(w.a.person), {"everybody"}),
    "clear": (lambda w: w.everywhere.readers.clear(), set()),
    "set": (lambda w: w.everywhere.readers.set([w.a.person]), {"aa-person"}),
    "form": (lambda w: form(w).save(), {"aa-person"}),
    "delete": (lambda _: Notice.readers.through.objects.all().delete(), set()),
}


def form(world):
    kind = modelform_factory(Notice, fields=["text", "readers"])
    return kind({"text": "x", "readers": [world.a.person.pk]}, instance=world.everywhere)


@pytest.mark.parametrize("way", READERS)
def test_what_a_row_of_two_sites_has_is_taken_off_on_each_of_them(world, way):
    change, left = READERS[way]
    with override_site(world.a.site):
        change(world)
        assert set(world.everywhere.readers.values_list("name", flat=True)) == left
    with override_site(world.b.site):
        assert list(world.b.notice.readers.all()) == [world.b.person]


def test_a_row_that_rows_of_more_sites_have_is_deleted_with_what_is_between(world):
    with override_site(world.a.site):
        Room.objects.filter(pk=world.a.room.pk).delete()
        world.a.person.delete()
        connection.check_constraints()
    with override_site(world.b.site):
        assert list(world.everywhere.boards.all()) == [world.b.room]
        assert list(world.shared.suits.all()) == [world.b.room]


def test_groups_of_shared_rows_are_not_split_by_their_site(world):
    with cross_site("of one name"):
        Tag.objects.update(name="tag")
    with override_site(world.a.site):
        for rows in (Tag.objects, Tag._base_manager):
            groups = rows.values("name").annotate(n=Count("pk")).order_by()
            found = groups.filter(n__gte=2) | groups.filter(name="other")
            assert list(found) == [{"name": "tag", "n": 2}]
    assert Person.objects.count() == 3
