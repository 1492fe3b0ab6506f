"""What a database does with `SiteForeignKey`, whichever it is; run in the process that asks."""

from django.contrib.sites.models import Site
from django.db import IntegrityError, connection, transaction
from django.db.migrations.loader import MigrationLoader

from sitefleet import override_site
from sitefleet.scoping import cross_site
from sitefleet.scoping.composite import SiteForeignKey
from tests.rooms.models import Booking, Building, Room

KEYS = (SiteForeignKey("room", "building"), SiteForeignKey("booking", "room", site="venue"))


def run(operation, *, backwards=False):
    state = MigrationLoader(connection).project_state()
    with connection.schema_editor() as editor:
        action = operation.database_backwards if backwards else operation.database_forwards
        action("rooms", editor, state, state)


def is_refused(sql, params):
    """Tell whether the database refuses a statement that Django does not look at."""
    try:
        with transaction.atomic(), cross_site("a test of the database"):
            with connection.cursor() as cursor:
                cursor.execute(sql, params)
            connection.check_constraints()  # those that are checked at the end, now
    except IntegrityError:
        return True
    return False


def try_all():
    """Try what is to be refused and what is not, with the keys and without them."""
    sites = [Site.objects.create(domain=f"{name}.test", name=name) for name in "ab"]
    buildings, rooms = [], []
    for site in sites:
        with override_site(site):
            buildings.append(Building.objects.create(name=site.name))
            rooms.append(Room.objects.create(name=site.name, building=buildings[-1]))
            Room.objects.create(name="none")
            Booking.objects.create(code="1", room=rooms[-1])
    moved = "UPDATE rooms_room SET building_id = %s WHERE id = %s"
    changes = [
        (moved, [buildings[1].pk, rooms[0].pk]),
        ("UPDATE rooms_room SET site_id = %s WHERE id = %s", [sites[1].pk, rooms[0].pk]),
        ("UPDATE rooms_building SET site_id = %s WHERE id = %s", [sites[1].pk, buildings[0].pk]),
        ("UPDATE rooms_booking SET room_id = %s WHERE venue_id = %s", [rooms[1].pk, sites[0].pk]),
    ]
    for key in KEYS:
        run(key)
    assert [is_refused(*change) for change in changes] == [True] * 4
    assert not is_refused(moved, [None, rooms[0].pk])
    assert not is_refused(moved, [buildings[0].pk, rooms[0].pk])
    with override_site(sites[0]):
        buildings[0].delete()  # with all that refers to it, as Django has it
        assert Room.objects.count() == 1
        assert Booking.objects.count() == 0
    for key in KEYS:
        run(key, backwards=True)
    assert not is_refused(moved, [buildings[1].pk, Room._base_manager.filter(site=sites[0])[0].pk])
