"""What rows refer to: each other, what they did already, what is gone; and twins of a table."""

import functools
import json

import pytest
from django.core import serializers
from django.core.management import call_command
from django.db import IntegrityError, connection, models, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from sitefleet import override_site
from sitefleet.exceptions import CrossSiteWrite, SiteRequired
from sitefleet.scoping import SiteModel, cross_site
from tests.rooms.models import Building, Key, Notice, Room, Tag
from tests.scoping.madeup import Plain, tables_of


@pytest.fixture
def nodes(world, monkeypatch):
    class Node(SiteModel):
        parent = models.ForeignKey("self", models.CASCADE, null=True, related_name="+")

        class Meta:
            app_label = "rooms"

    with tables_of(monkeypatch, Node):
        with override_site(world.b.site):
            Node.objects.create(pk=90)
        yield Node


@pytest.fixture
def histories(world, monkeypatch):
    class History(Plain):
        building = models.ForeignKey(
            Building, models.DO_NOTHING, null=True, db_constraint=False, related_name="+"
        )

        class Meta:
            app_label = "rooms"

    with tables_of(monkeypatch, History):
        yield History


@pytest.fixture
def twins(world, monkeypatch):
    class RoomRow(Plain):
        name = models.CharField(max_length=50)
        size = models.IntegerField(default=0)
        place = models.IntegerField(db_column="site_id")
        house = models.IntegerField(db_column="building_id", null=True)

        class Meta:
            app_label = "rooms"
            managed = False
            db_table = "rooms_room"

    class NameOnly(Plain):
        name = models.CharField(max_length=50)

        class Meta:
            app_label = "rooms"
            managed = False
            db_table = "rooms_tag"

    with tables_of(monkeypatch, RoomRow, NameOnly):
        yield RoomRow, NameOnly


# --- another model of the same table -------------------------------------------------------------


def test_another_model_of_a_table_moves_no_row_to_another_site(world, twins):
    room_row, _ = twins
    b = world.b.site.pk
    with override_site(world.a.site):
        mine = room_row.objects.get(name="aa-room")
        mine.place = b
        for write in (
            mine.save,
            lambda: room_row.objects.update(place=b),
            lambda: room_row.objects.update(place=F("place") + b),
            lambda: room_row.objects.create(name="x", place=b),
            lambda: room_row.objects.bulk_create([room_row(name="x", place=b)]),
        ):
            with pytest.raises(CrossSiteWrite), transaction.atomic():
                write()
        assert room_row.objects.create(name="x", place=world.a.site.pk).pk
        assert room_row.objects.update(place=world.a.site.pk, size=3) == 3
    world.assert_theirs_untouched()


def test_another_model_of_a_table_gives_new_rows_their_site(world, twins):
    room_row, name_only = twins
    with override_site(world.a.site):
        assert room_row.objects.create(name="x").place == world.a.site.pk
        with pytest.raises(CrossSiteWrite, match="NameOnly"), transaction.atomic():
            name_only.objects.create(name="of all sites")


def test_another_model_of_a_table_refers_to_rows_of_the_site_alone(world, twins):
    room_row, _ = twins
    house = world.b.building.pk
    with override_site(world.a.site):
        for write in (
            lambda: room_row.objects.update(house=house),
            lambda: room_row.objects.create(name="x", place=world.a.site.pk, house=house),
        ):
            with pytest.raises(CrossSiteWrite), transaction.atomic():
                write()
        room_row.objects.create(name="x", place=world.a.site.pk, house=world.a.building.pk)


# --- what is made together -----------------------------------------------------------------------


def test_rows_that_are_made_together_may_refer_to_each_other(world, nodes):
    with override_site(world.a.site):
        nodes.objects.bulk_create([nodes(pk=51), nodes(pk=52, parent_id=51)])
        nodes(pk=53, parent_id=53).save()
        one = nodes(pk=54)
        one.parent = one
        one.save(force_insert=True)
        assert nodes.objects.count() == 4
        with pytest.raises(CrossSiteWrite), transaction.atomic():
            nodes.objects.bulk_create([nodes(pk=61), nodes(pk=62, parent_id=90)])
        with pytest.raises(CrossSiteWrite), transaction.atomic():
            nodes.objects.bulk_create(
                [nodes(pk=90), nodes(pk=62, parent_id=90)], ignore_conflicts=True
            )


def test_fixtures_refer_forward(world, nodes, tmp_path):
    path = tmp_path / "nodes.json"
    with override_site(world.a.site):
        nodes.objects.bulk_create([nodes(pk=51, parent_id=52), nodes(pk=52)])
        path.write_text(serializers.serialize("json", nodes.objects.order_by("pk")))
        nodes.objects.all().delete()
        call_command("loaddata", str(path), verbosity=0)
        assert nodes.objects.get(parent=52).pk == 51
        call_command("loaddata", str(path), verbosity=0)
        data = json.loads(path.read_text())
        data[0]["fields"]["parent"] = 90
        path.write_text(json.dumps(data[:1]))
        nodes.objects.all().delete()
        with pytest.raises(CrossSiteWrite, match="Node 90"), transaction.atomic():
            call_command("loaddata", str(path), verbosity=0)


# --- what is there already -----------------------------------------------------------------------


@pytest.fixture
def kept(world):
    """A row of both sites and one of none, which refer to the room of the first."""
    with cross_site("as they were before"):
        world.everywhere.room = world.a.room
        world.everywhere.save()
    return world.everywhere, world.a.key


def test_a_reference_that_stays_as_it_is_is_no_new_one(world, kept):
    with override_site(world.b.site):
        for old, field in zip(kept, ("text", "number"), strict=True):
            row = type(old).objects.get(pk=old.pk)
            setattr(row, field, "7")
            row.save()
            row.save(update_fields=["room"])
            type(row).objects.bulk_update([row], ["room", field])
            assert type(row).objects.filter(pk=row.pk).update(room=world.a.room) == 1
            assert getattr(type(row).objects.get(pk=row.pk), field) in ("7", 7)


def test_a_reference_that_changes_is_refused_beside_one_that_stays(world, kept):
    with override_site(world.b.site):
        theirs = world.a.hall.room_ptr
        for row in kept:
            rows = type(row).objects.filter(pk=row.pk)
            again = type(row)(pk=row.pk, room=theirs)
            for write in (
                functools.partial(rows.update, room=theirs),
                functools.partial(rows.update, room_id=theirs.pk),
                functools.partial(again.save, force_update=True),
            ):
                with (
                    pytest.raises(CrossSiteWrite, match=r"\.room was to refer"),
                    transaction.atomic(),
                ):
                    write()
        empty = Notice.objects.create(text="empty")
        with pytest.raises(CrossSiteWrite, match=r"Notice\.room"):
            Notice.objects.filter(pk=empty.pk).update(room=world.a.room)


def test_databases_that_cannot_look_into_the_same_table_ask_before(world, kept, monkeypatch):
    monkeypatch.setattr(connection.features, "update_can_self_select", False)
    with override_site(world.b.site):
        key = Key.objects.get(pk=world.a.key.pk)
        key.save()
        key.room = world.a.hall.room_ptr
        with pytest.raises(CrossSiteWrite, match=r"Key\.room was to refer to rooms\.Room"):
            key.save()


def test_a_row_that_is_not_there_has_no_wrong_reference(world):
    with override_site(world.b.site):
        assert Key.objects.filter(pk=0).update(room=world.a.room) == 0


# --- what is gone --------------------------------------------------------------------------------


def test_what_may_refer_to_rows_that_are_gone_does_so(world, histories):
    theirs = world.b.building.pk
    with override_site(world.a.site):
        row = histories.objects.create(building_id=99999)
        histories.objects.update(building_id=99998)
        row.building_id = 99997
        histories.objects.bulk_update([row], ["building"])
        for write in (
            lambda: histories.objects.create(building_id=theirs),
            lambda: histories.objects.update(building_id=theirs),
        ):
            with pytest.raises(CrossSiteWrite), transaction.atomic():
                write()
        assert histories.objects.get().building_id == 99997
        with pytest.raises((CrossSiteWrite, IntegrityError)), transaction.atomic():
            Room.objects.create(building_id=99999)


# --- sites ---------------------------------------------------------------------------------------


def test_a_new_row_of_many_sites_gets_the_current_one_while_crossing_too(world):
    with override_site(world.a.site), cross_site("a report that notes something"):
        made = [Notice.objects.create(text="1"), *Notice.objects.bulk_create([Notice(text="2")])]
        assert [list(notice.sites.all()) for notice in made] == [[world.a.site]] * 2
    with cross_site("of no site yet"):
        assert not Notice.objects.create(text="3").sites.exists()
    fields = {"text": "4", "room": None, "sites": [world.b.site.pk]}
    row = {"model": "rooms.notice", "pk": 999, "fields": fields}
    with override_site(world.a.site), cross_site("a fixture says it itself"):
        next(iter(serializers.deserialize("python", [row]))).save()
        assert [site.pk for site in Notice.objects.get(pk=999).sites.all()] == [world.b.site.pk]


def test_bulk_update_may_name_the_site_that_stays(world):
    with override_site(world.a.site):
        rooms, tags = list(Room.objects.all()), list(Tag.objects.filter(site__isnull=False))
        assert Room.objects.bulk_update(rooms, ["site", "name"]) == 2
        for rows, site in ((rooms, world.b.site), (tags, None)):
            rows[0].site = site
            with pytest.raises(CrossSiteWrite, match="given to another"), transaction.atomic():
                type(rows[0]).objects.bulk_update(rows, ["site"])
    world.assert_theirs_untouched()


def test_what_reaches_no_row_needs_no_site(world):
    with CaptureQueriesContext(connection) as queries:
        for nothing in (Room.objects.none(), Room.objects.filter(pk__in=[])):
            assert nothing.update(size=1) == 0
            assert nothing.delete()[0] == 0
    assert not queries.captured_queries
    with pytest.raises(SiteRequired):
        Room.objects.update(size=1)


def test_a_row_of_another_site_is_told_by_its_own_site(world):
    with override_site(world.b.site):
        with pytest.raises(CrossSiteWrite, match=f"belongs to site {world.a.site.pk}, and"):
            world.a.room.save()
        again = Room(pk=world.a.room.pk, site=world.a.site, name="x")
        text = f"given to site {world.a.site.pk}, and the current site is {world.b.site.pk}"
        with pytest.raises(CrossSiteWrite, match=text):
            again.save()
