"""Raw SQL that names a guarded table needs a site."""

import pytest
from asgiref.sync import sync_to_async
from django.contrib.sites.models import Site
from django.db import connection, connections
from django.db.backends.signals import connection_created
from django.db.backends.sqlite3.base import DatabaseWrapper
from django.db.migrations.state import ProjectState
from django.db.models.expressions import RawSQL

from sitefleet import override_site
from sitefleet.exceptions import SiteRequired
from sitefleet.scoping import cross_site
from sitefleet.scoping.guard import raw
from tests.databases import in_sync_thread
from tests.rooms.models import Booking, Building, Person, Room

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_default")]

NAMING = {
    "plain": "SELECT count(*) FROM rooms_room",
    "double quotes": 'SELECT count(*) FROM "rooms_room"',
    "upper case": "SELECT count(*) FROM ROOMS_ROOM",
    "no space": 'SELECT count(*)FROM"rooms_room"WHERE 1=1',
    "schema": "SELECT count(*) FROM main.rooms_room",
    "quoted schema": 'SELECT count(*) FROM "main"."rooms_room"',
    "comment before": "SELECT count(*) FROM/**/rooms_room",
    "comment behind": "SELECT count(*) FROM rooms_room-- all",
    "alias": "SELECT count(r.id) FROM rooms_room r",
    "join": "SELECT count(*) FROM rooms_person p JOIN rooms_room r ON r.owner_id = p.id",
    "subquery": "SELECT count(*) FROM rooms_person WHERE id IN (SELECT owner_id FROM rooms_room)",
    "cte": "WITH r AS (SELECT * FROM rooms_room) SELECT count(*) FROM r",
    "many to many": "SELECT count(*) FROM rooms_room_guests",
    "child": "SELECT count(*) FROM rooms_hall",
    "memberships": "SELECT count(*) FROM rooms_notice_sites",
    "update": "UPDATE rooms_room SET size = 1",
    "delete": "DELETE FROM rooms_room",
    "insert": "INSERT INTO rooms_tag (name) VALUES ('x')",
    "explain": "EXPLAIN SELECT * FROM rooms_room",
    "line break": "SELECT count(*)\nFROM\n\trooms_room\n",
}
INNOCENT = {
    "other table": "SELECT count(*) FROM rooms_person",
    "longer name": "SELECT 1 AS rooms_room_2",
    "shorter name": "SELECT 1 AS my_rooms_room",
    "dollar": 'SELECT 1 AS "rooms_room$x"',
    "no table": "SELECT 1",
}


def run(sql, params=None):
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall() if cursor.description else cursor.rowcount


@pytest.mark.parametrize("sql", NAMING.values(), ids=NAMING)
def test_without_a_site_it_is_refused_however_it_names_the_table(sites, sql):
    with pytest.raises(SiteRequired, match=r"Raw SQL that names the table (?i:rooms_\w+)"):
        run(sql)


@pytest.mark.parametrize("sql", INNOCENT.values(), ids=INNOCENT)
def test_other_sql_needs_no_site(sql):
    run(sql)


def test_with_a_site_it_is_run_and_not_filtered(sites):
    with override_site(sites[0]):
        assert run("SELECT name FROM rooms_room ORDER BY name") == [("a",), ("b",)]


def test_the_default_site_is_a_site_too(sites, settings):
    settings.SITE_ID = sites[0].pk
    assert len(run("SELECT 1 FROM rooms_room")) == 2


def test_cross_site_lets_it_go_and_only_inside(sites):
    with cross_site("count"):
        assert run("SELECT count(*) FROM rooms_room") == [(2,)]
    with pytest.raises(SiteRequired):
        run("SELECT count(*) FROM rooms_room")


def test_many_rows_at_once_are_refused_too(sites):
    with connection.cursor() as cursor, pytest.raises(SiteRequired):
        cursor.executemany("UPDATE rooms_room SET size = %s", [(1,), (2,)])


def test_raw_querysets_are_refused_too(sites):
    rooms = Room.objects.raw("SELECT * FROM rooms_room")
    with pytest.raises(SiteRequired):
        list(rooms)
    with override_site(sites[0]):
        assert len(list(rooms)) == 2


def test_cursors_in_chunks_are_refused_too(sites):
    with connection.chunked_cursor() as cursor, pytest.raises(SiteRequired):
        cursor.execute("SELECT * FROM rooms_room")


@pytest.mark.django_db(transaction=True)
def test_scripts_of_the_driver_are_refused_too(sites):
    with connection.cursor() as cursor:
        if connection.vendor != "sqlite":
            assert not hasattr(cursor, "executescript")
            return
        assert not hasattr(cursor, "copy")
        with pytest.raises(SiteRequired):
            cursor.executescript("SELECT 1; DELETE FROM rooms_room;")
        with override_site(sites[0]):
            cursor.executescript("SELECT 1; SELECT 2 FROM rooms_room;")  # commits


@pytest.fixture
def sync_thread():
    """Closes the connection of the thread in which asynchronous tests do what waits."""
    yield
    in_sync_thread(connections.close_all)


@pytest.mark.usefixtures("sync_thread")
@pytest.mark.django_db(transaction=True)
async def test_in_async_code_it_is_refused_too(settings):
    settings.SITE_ID = None
    with pytest.raises(SiteRequired):
        await sync_to_async(run)("SELECT count(*) FROM rooms_room")
    site = await Site.objects.acreate(domain="a.test", name="a")
    async with override_site(site):
        assert await sync_to_async(run)("SELECT count(*) FROM rooms_room") == [(0,)]


def test_databases_that_are_connected_later_are_looked_at_too(sites):
    name = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:", "OPTIONS": {}}
    later = DatabaseWrapper({**connection.settings_dict, **name}, "later")
    try:
        with later.cursor() as cursor, pytest.raises(SiteRequired):
            cursor.execute("SELECT 1 FROM rooms_room")
    finally:
        later.connection.close()


def test_other_wrappers_come_and_go_and_ours_stays(sites):
    other = connection.execute_wrapper(lambda execute, *args: execute(*args))
    connection.execute_wrappers.remove(raw.look_at_statement)
    with other:
        connection_created.send(type(connection), connection=connections["default"])
        with pytest.raises(SiteRequired):
            run("SELECT 1 FROM rooms_room")
    with pytest.raises(SiteRequired):
        run("SELECT 1 FROM rooms_room")


# --- what the ORM has made -----------------------------------------------------------------------


def test_statements_of_the_orm_that_name_their_site_are_no_raw_sql(sites):
    a, b = sites
    assert [room.name for room in Room.objects.filter(site=b)] == ["b"]
    assert Room.objects.filter(site=b).count() == 1
    assert Room.objects.filter(site=b).explain()
    assert Room.objects.filter(site=a).update(size=4) == 1
    assert [room.name for room in Room.objects.filter(site=a).iterator()] == ["a"]
    Building.objects.bulk_create([Building(name=str(number), site=b) for number in range(3)])
    Booking.objects.create(venue=b, code="b")
    assert Booking.objects.filter(venue=b).delete()[0] == 1


def test_historical_models_are_free(sites):
    state = ProjectState.from_apps(connection_apps())
    assert state.apps.get_model("rooms", "Room").objects.count() == 2


def connection_apps():
    return Room._meta.apps


@pytest.mark.parametrize(
    "make",
    [
        lambda rooms: rooms.annotate(n=RawSQL("SELECT count(*) FROM rooms_room", [])),
        lambda rooms: rooms.filter(pk__in=RawSQL("SELECT id FROM rooms_room", [])),
        lambda rooms: rooms.extra(where=["id IN (SELECT owner_id FROM rooms_room)"]),
        lambda rooms: rooms.extra(select={"n": "SELECT count(*) FROM rooms_room"}),
        lambda rooms: rooms.order_by(RawSQL("SELECT max(size) FROM rooms_room", [])),
    ],
    ids=["annotate", "filter", "where", "select", "order"],
)
def test_sql_by_hand_inside_of_the_orm_is_refused_too(sites, make):
    people = make(Person.objects.all())
    with pytest.raises(SiteRequired, match="rooms_room"):
        list(people)
    with pytest.raises(SiteRequired, match="rooms_room"):
        list(make(Room.objects.filter(site=sites[1]).order_by()))
    with override_site(sites[0]):
        list(people)


def test_a_column_of_the_table_may_be_named_in_such_sql(sites):
    rooms = Room.objects.filter(site=sites[1]).extra(where=['"rooms_room"."size" < 3'])
    assert [room.name for room in rooms] == ["b"]


def test_what_a_wrapper_runs_inside_of_a_statement_of_the_orm_is_raw(sites):
    def nosy(execute, *args):
        with pytest.raises(SiteRequired):
            run("SELECT count(*) FROM rooms_room")
        return execute(*args)

    with connection.execute_wrapper(nosy):
        pass
    seen = []

    def once(execute, *args):
        if not seen:
            seen.append(1)
            return nosy(execute, *args)
        return execute(*args)

    with connection.execute_wrapper(once):
        assert Room.objects.filter(site=sites[0]).count() == 1
    assert seen
