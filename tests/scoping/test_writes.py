"""Nothing of another site is written: inserts, updates, deletes, and what they refer to."""

from __future__ import annotations

import copy

import pytest
from django.contrib.sites.models import Site
from django.core import serializers
from django.db import IntegrityError, NotSupportedError, connection, transaction
from django.db.models import DO_NOTHING, F, ProtectedError, Value
from django.test.utils import CaptureQueriesContext

from sitefleet import override_site
from sitefleet.exceptions import CrossSiteWrite, SiteRequired
from sitefleet.scoping import cross_site
from tests.rooms.furnished import each
from tests.rooms.models import Booking, Building, Hall, Key, Notice, Person, Room, Tag

#: Each would write a reference to a row of another site, or to all its rows.
REFERENCES = {
    "create(object)": lambda w: Key.objects.create(room=w.b.room),
    "create(object that was not saved)": lambda w: Key.objects.create(
        room=Room(pk=w.b.room.pk, site=w.a.site)
    ),
    "create(id)": lambda w: Key.objects.create(room_id=w.b.room.pk),
    "create(text)": lambda w: Key.objects.create(room_id=str(w.b.room.pk)),
    "create(Value)": lambda w: Key.objects.create(room_id=Value(w.b.room.pk)),
    "bulk_create": lambda w: Key.objects.bulk_create(
        [Key(room=w.a.room), Key(room=w.a.room, spare=w.b.room)]
    ),
    "save": lambda w: save(w.a.key, spare=w.b.room),
    "save(update_fields)": lambda w: save(w.a.key, ["spare"], spare_id=w.b.room.pk),
    "update(object)": lambda w: Key.objects.update(spare=w.b.room),
    "update(id)": lambda w: Key.objects.update(spare_id=w.b.room.pk),
    "update(Value)": lambda w: Key.objects.update(spare=Value(w.b.room.pk)),
    "update(F)": lambda _: Key.objects.update(spare=F("room")),
    "update with a join": lambda w: Key.objects.filter(room__building__name="aa-building").update(
        spare=w.b.room
    ),
    "update through HAVING": lambda w: Room.objects.filter(keys__number=4).update(tag=w.b.tag),
    "bulk_update": lambda w: bulk_update(w.a.key, w.b.room),
    "update_or_create": lambda w: Key.objects.update_or_create(
        pk=w.a.key.pk, defaults={"spare": w.b.room}
    ),
    "of a child table": lambda w: Hall.objects.create(name="x", building=w.b.building),
    "update of a child table": lambda w: Hall.objects.update(building=w.b.building),
    "another parent": lambda w: Hall.objects.update(room_ptr=w.b.room),
    "another parent, raw": lambda w: Hall(room_ptr=w.b.room, seats=1).save_base(raw=True),
    "row of many sites": lambda w: Notice.objects.update(room=w.b.room),
    "to a row of many sites": lambda w: Notice.sites.through.objects.create(
        notice=w.b.notice, site=w.a.site
    ),
    "many-to-many": lambda w: w.a.room.tags.add(w.b.tag),
    "many-to-many, reverse": lambda w: w.a.tag.tagged.add(w.b.room),
    "many-to-many with itself": lambda w: w.a.room.neighbours.set([w.b.room]),
    "table between": lambda w: Room.tags.through.objects.update(room=w.b.room),
    "table between, other end": lambda w: Room.tags.through.objects.update(tag=w.b.tag),
    "site of a row of many": lambda w: w.a.notice.sites.add(w.b.site),
    "sites of a row of many": lambda w: w.a.notice.sites.set([w.b.site]),
    "moved membership": lambda w: Notice.sites.through.objects.update(site=w.b.site),
}


def save(row, update_fields=None, **values):
    for name, value in values.items():
        setattr(row, name, value)
    row.save(update_fields=update_fields)


def bulk_update(key, room):
    key.spare = room
    Key.objects.bulk_update([key], ["spare"])


def test_no_reference_to_a_row_of_another_site_is_written(world):
    def look(_, write):
        with override_site(world.a.site):
            with pytest.raises(CrossSiteWrite), transaction.atomic():
                write(copy.deepcopy(world))
            assert Key.objects.get(pk=world.a.key.pk).spare_id == world.a.hall.pk
        world.assert_theirs_untouched()

    each(REFERENCES, look)


def test_references_within_the_site_are_free(world):
    with override_site(world.a.site):
        Key.objects.create(room=world.a.room, spare_id=world.a.hall.pk)
        Key.objects.create(room_id=Value(world.a.room.pk))
        assert Key.objects.filter(pk=world.a.key.pk).update(spare=F("room")) == 1
        assert Key.objects.filter(room=world.a.room).update(spare=world.a.hall.room_ptr) == 3
        assert Key.objects.filter(room__size=77).update(spare=world.a.room) == 0
        bulk_update(world.a.key, world.a.room)
        assert Room.objects.filter(keys__number=4).update(tag=world.shared) == 1
        assert Room.objects.update(site_id=str(world.a.site.pk), tag=None) == 2


def test_a_reference_that_is_at_hand_costs_no_query(world):
    with override_site(world.a.site), CaptureQueriesContext(connection) as queries:
        Key.objects.create(room=world.a.room)
        world.a.key.save()
    assert len(queries) == 2


def test_new_rows_get_the_current_site(world):
    unsaved = [Room(name="new"), Room(name="new")]
    with override_site(world.a.site):
        Room.objects.bulk_create(unsaved)
        rows = [Room.objects.create(name="new"), Booking.objects.create(code="new"), *unsaved]
        hall = Hall.objects.create(name="new")
        assert Room.objects.filter(name="new").count() == 4
    assert {row.venue_id if isinstance(row, Booking) else row.site_id for row in rows} == {
        world.a.site.pk
    }
    assert hall.site == world.a.site


def test_new_rows_that_name_their_site_need_no_current_one(world):
    Room.objects.create(name="new", site=world.b.site, building=world.b.building)
    with pytest.raises(CrossSiteWrite), transaction.atomic():
        Room.objects.create(name="new", site=world.a.site, building=world.b.building)
    with pytest.raises(SiteRequired):
        Room.objects.create(name="new")


def test_shared_rows_are_read_everywhere_and_changed_while_crossing_alone(world):
    with override_site(world.a.site):
        assert Tag.objects.update(name="changed") == 1
        assert Room.tags.through.objects.filter(tag=world.shared).count() == 1
        for change in (world.shared.save, world.shared.delete):
            with pytest.raises(CrossSiteWrite), transaction.atomic():
                change()
        for make in (Tag.objects.create, Tag.objects.get_or_create):
            with pytest.raises(CrossSiteWrite), transaction.atomic():
                make(name="new", site=None)
        with cross_site("all sites get it"):
            world.shared.save()
            Tag.objects.create(name="new", site=None)
        assert Tag.objects.filter(name="new").exists()
    world.assert_theirs_untouched()


def test_rows_of_many_sites_belong_to_the_current_one_when_they_are_new(world):
    with override_site(world.a.site):
        made = [Notice.objects.create(text="1"), *Notice.objects.bulk_create([Notice(text="2")])]
        assert [list(notice.sites.all()) for notice in made] == [[world.a.site]] * 2
        assert Notice.objects.filter(text__in="12").delete()[0] == 4
    with pytest.raises(SiteRequired):
        Notice.objects.create(text="3")


def test_a_row_of_many_sites_is_changed_on_each_and_deleted_on_none_of_them(world):
    with override_site(world.a.site):
        assert Notice.objects.filter(text="everywhere").update(text="changed") == 1
        with pytest.raises(CrossSiteWrite, match=r"sites\.remove"), transaction.atomic():
            world.everywhere.delete()
        world.everywhere.sites.remove(world.a.site)
        assert not Notice.objects.filter(text="changed").exists()
    with override_site(world.b.site):
        assert Notice.objects.get(text="changed").delete()[0] == 2


def test_what_could_take_a_row_over_is_refused(world):
    theirs = Booking(code="bb-booking", day="9")
    with override_site(world.a.site):
        refused = (CrossSiteWrite, NotSupportedError)  # MySQL cannot say by what
        with pytest.raises(refused, match=r"'venue'|unique fields"), transaction.atomic():
            Booking.objects.bulk_create(
                [theirs], update_conflicts=True, unique_fields=["code"], update_fields=["day"]
            )
        with pytest.raises(CrossSiteWrite), transaction.atomic():
            Notice.objects.bulk_create([Notice(pk=world.b.notice.pk)], ignore_conflicts=True)
        with pytest.raises(IntegrityError), transaction.atomic():
            Booking.objects.bulk_create([Booking(pk=world.b.booking.pk, code="x")])
        Booking.objects.bulk_create([theirs], ignore_conflicts=True)
    world.assert_theirs_untouched()


def test_ours_may_be_updated_by_what_is_unique_on_the_site(world):
    if not connection.features.supports_update_conflicts_with_target:
        pytest.skip("MySQL cannot say by what")
    with override_site(world.a.site):
        Booking.objects.bulk_create(
            [Booking(code="changed", day="1")],
            update_conflicts=True,
            unique_fields=["venue", "day"],
            update_fields=["code"],
        )
        assert Booking.objects.get().code == "changed"
    world.assert_theirs_untouched()


@pytest.mark.parametrize("model", [Room, Notice, Booking, Building])
def test_a_row_of_another_site_that_says_it_is_ours_is_not_written(world, model):
    key = "venue" if model is Booking else "site"
    with cross_site("to have it at hand"):
        theirs = model._base_manager.defer("text" if model is Notice else key).order_by("-pk")[0]
    for change in (theirs.save, theirs.delete):
        with override_site(world.a.site), pytest.raises(CrossSiteWrite), transaction.atomic():
            change()
    if model is not Notice:
        setattr(theirs, key, world.a.site)
        with override_site(world.a.site), pytest.raises(CrossSiteWrite), transaction.atomic():
            theirs.save()
    world.assert_theirs_untouched()


def test_what_refers_to_a_row_of_another_site_is_not_deleted_with_it(world):
    with cross_site("to have it at hand"):
        theirs = Room.objects.only("name").get(pk=world.b.room.pk)
    with override_site(world.a.site), pytest.raises(CrossSiteWrite), transaction.atomic():
        theirs.delete()  # it does not say its site; its keys are of no site
    world.assert_theirs_untouched()


def test_deleting_a_row_of_no_site_does_not_strand_rows_of_another(world):
    with override_site(world.a.site):
        for person in (world.everybody, world.b.person):
            with pytest.raises(CrossSiteWrite, match="Person was not"), transaction.atomic():
                person.delete()
        with pytest.raises(CrossSiteWrite), transaction.atomic():
            Person.objects.filter(name="bb-person")._raw_delete("default")
        assert world.a.person.delete()[0] == 2
    world.assert_theirs_untouched()


def test_rows_that_the_database_would_delete_by_itself_are_looked_at(world, monkeypatch):
    # As Django 6.1 has it: DB_CASCADE. To Django there is nothing to do.
    relation = Room._meta.get_field("owner").remote_field
    monkeypatch.setattr(relation, "on_delete", DO_NOTHING)
    person = Person.objects.create(name="new")
    with override_site(world.b.site):
        Room.objects.update(owner=person)
    with override_site(world.a.site), pytest.raises(CrossSiteWrite), transaction.atomic():
        person.delete()


def test_deleting_a_site_does_not_strand_its_rows(world):
    with override_site(world.a.site), pytest.raises(CrossSiteWrite), transaction.atomic():
        world.b.site.delete()
    for site in (world.a.site, None):
        with override_site(site), pytest.raises(ProtectedError), transaction.atomic():
            world.a.site.delete()
    empty = Site.objects.create(domain="empty.test", name="empty")
    empty.delete()
    world.assert_theirs_untouched()


def test_cascades_stay_inside_the_site(world):
    with override_site(world.a.site):
        world.a.building.delete()
        assert not Room.objects.exists()
        assert not Booking.objects.exists()
    assert not Key.objects.filter(pk=world.a.key.pk).exists()
    world.assert_theirs_untouched()


def test_set_null_stays_inside_the_site(world):
    with override_site(world.a.site):
        world.a.tag.delete()
        assert Room.objects.get(name="aa-room").tag is None
    world.assert_theirs_untouched()


def test_fixtures_are_loaded_where_they_name_their_site_or_while_crossing(world):
    with override_site(world.a.site):
        data = serializers.serialize("json", [world.a.room.building, *Room.objects.all()])
    with override_site(world.b.site), pytest.raises(CrossSiteWrite), transaction.atomic():
        [item.save() for item in serializers.deserialize("json", data)]
    with cross_site("all sites"):
        [item.save() for item in serializers.deserialize("json", data)]
    world.assert_theirs_untouched()


def test_rows_of_many_sites_go_with_what_they_refer_to(world, monkeypatch):
    # As MySQL has it: references are set to NULL first, after the sites of the row are gone.
    monkeypatch.setattr(connection.features, "can_defer_constraint_checks", False)
    with override_site(world.a.site):
        Notice.objects.filter(text="everywhere").update(room=None)
        assert world.a.room.delete()[1]["rooms.Notice"] == 1
        assert [notice.text for notice in Notice.objects.all()] == ["everywhere"]
    world.assert_theirs_untouched()
