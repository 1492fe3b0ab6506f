"""PostgreSQL shows and takes rows of the current site alone, whatever the statement."""

import pytest
from django.db import DatabaseError, connection, transaction

from sitefleet import override_site
from sitefleet.exceptions import CrossSiteWrite, SiteRequired
from sitefleet.scoping import cross_site, guard
from tests.acceptance.postgres import ACCOUNT
from tests.acceptance.rls import around, as_role, both_modes, nothing, sql
from tests.rooms.models import Hall, Notice, Room, Tag

pytestmark = [pytest.mark.acceptance, both_modes]

ROOMS = "SELECT name FROM rooms_room ORDER BY name"
OF_A, OF_B = [("a",), ("hall a",)], [("b",), ("hall b",)]


@pytest.fixture
def no_guard():
    guard.uninstall()
    yield
    guard.install()


@around
def test_raw_sql_reads_rows_of_the_current_site_alone(sites, block):
    a, b = sites
    for _ in range(2):
        with override_site(a), block():
            assert sql(ROOMS) == sql(ROOMS) == OF_A
            assert sql("SELECT seats FROM rooms_hall") == [(4,)]
            assert sql("SELECT count(*) FROM rooms_room_tags") == [(1,)]
            with override_site(b):
                assert sql(ROOMS) == OF_B
            assert sql("SELECT name FROM rooms_tag ORDER BY name") == [("a",), ("all",)]
        with override_site(b), block():
            assert sql(ROOMS) == OF_B


@around
def test_raw_sql_changes_rows_of_the_current_site_alone(sites, block):
    with override_site(sites[0]), block():
        assert sql("UPDATE rooms_room SET size = 5") == 2
        assert sql("UPDATE rooms_tag SET name = 'mine'") == 1  # and none that is shared
        assert sql("DELETE FROM rooms_room_tags") == 1
        assert sql("DELETE FROM rooms_tag") == 1
        assert sql("DELETE FROM rooms_hall") == 1
    with cross_site("look"):
        assert sql("SELECT name, size FROM rooms_room WHERE size = 0 ORDER BY 1") == [
            ("b", 0),
            ("hall b", 0),
        ]
        assert sql("SELECT name FROM rooms_tag ORDER BY 1") == [("all",), ("b",)]
        assert sql("SELECT count(*) FROM rooms_hall") == [(1,)]


@pytest.mark.parametrize("block", [nothing, transaction.atomic])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE rooms_room SET site_id = {b}",
        "INSERT INTO rooms_building (name, site_id) VALUES ('x', {b})",
        "INSERT INTO rooms_tag (name, site_id) VALUES ('x', NULL)",
        "INSERT INTO rooms_hall (room_ptr_id, seats) VALUES ({room}, 3)",
        "INSERT INTO rooms_room_tags (room_id, tag_id) SELECT {room}, id FROM rooms_tag LIMIT 1",
    ],
    ids=["move", "insert", "share", "child", "between"],
)
def test_no_row_is_written_for_another_site(sites, block, statement):
    a, b = sites
    with cross_site("find a room"):
        room = Room.objects.get(name="b").pk
    with override_site(a):
        with pytest.raises(CrossSiteWrite, match="row-level security policy"), block():
            sql(statement.format(b=b.pk, room=room))
        assert sql(ROOMS) == OF_A


@around
def test_without_a_site_rows_are_refused(sites, block):
    connection.close()  # one that was never told a site
    for _ in range(2):
        with pytest.raises(SiteRequired, match="its connection has none"), block():
            sql(ROOMS)
        with override_site(sites[0]), block():
            assert sql(ROOMS) == OF_A
        with pytest.raises(SiteRequired), block():
            sql("UPDATE rooms_room SET size = 1")
        assert sql("SELECT count(*) FROM django_site") == [(2,)]


@around
def test_cross_site_sees_all_and_nothing_of_it_is_left(sites, block):
    a, b = sites
    with override_site(a), block():
        assert sql(ROOMS) == OF_A
        with cross_site("report"):
            assert sql(ROOMS) == sql(ROOMS) == OF_A[:1] + OF_B[:1] + OF_A[1:] + OF_B[1:]
            assert sql("SELECT current_user") == [("fleet_all",)]
            with override_site(b):
                assert sql(ROOMS) == OF_B
            assert sql("UPDATE rooms_room SET size = 7") == 4
        assert sql("SELECT current_user") == [("fleet_app",)]
        assert sql(ROOMS) == OF_A
    with pytest.raises(SiteRequired):
        sql(ROOMS)


def test_cross_site_without_a_role_is_refused(sites, settings):
    settings.SITEFLEET = settings.SITEFLEET | {"RLS_ROLE": ""}
    with override_site(sites[0]), cross_site("report"), pytest.raises(SiteRequired, match="ROLE"):
        sql(ROOMS)


def test_the_role_that_a_connection_began_with_comes_back(sites):
    options = {"assume_role": "fleet_app"}
    with as_role(ACCOUNT, OPTIONS=options), override_site(sites[0]), transaction.atomic():
        with cross_site("report"):
            assert len(sql(ROOMS)) == 4
        assert sql("SELECT current_user") == [("fleet_app",)]
        assert sql(ROOMS) == OF_A


def test_a_superuser_crosses_without_a_role(sites):
    with as_role(ACCOUNT), transaction.atomic(), cross_site("flush"):
        assert sql("SELECT current_user") == [(ACCOUNT,)]


def test_what_was_told_in_a_part_that_is_undone_is_forgotten(sites):
    a, b = sites

    def undone(site):
        with override_site(site), transaction.atomic():
            assert sql(ROOMS) == (OF_B if site is b else OF_A)
            transaction.set_rollback(True)

    with override_site(a), transaction.atomic():
        assert sql(ROOMS) == OF_A
        undone(b)
        assert sql(ROOMS) == OF_A
        with override_site(b):
            assert sql(ROOMS) == OF_B
            undone(a)
            assert sql(ROOMS) == OF_B
    undone(a)
    with override_site(b):
        assert sql(ROOMS) == OF_B
        undone(a)
        assert sql(ROOMS) == OF_B
        with cross_site("look"), transaction.atomic():
            with override_site(a), transaction.atomic():
                assert sql(ROOMS) == OF_A
                transaction.set_rollback(True)
            assert len(sql(ROOMS)) == 4
    undone(a)
    with override_site(a):
        assert sql(ROOMS) == OF_A
    with transaction.atomic():
        with cross_site("look"):
            assert len(sql(ROOMS)) == 4
        undone(a)
        with override_site(a):
            assert sql(ROOMS) == OF_A


def test_what_was_told_with_a_statement_that_fails_is_forgotten(sites):
    a, b = sites
    with override_site(a):
        assert sql(ROOMS) == OF_A
    with override_site(b):
        with pytest.raises(DatabaseError):
            sql("SELECT 1/0")
        assert sql(ROOMS) == OF_B
        with transaction.atomic():
            assert sql(ROOMS) == OF_B
            with pytest.raises(DatabaseError), transaction.atomic(), override_site(a):
                sql("SELECT 1/0")
            assert sql(ROOMS) == OF_B


@around
def test_what_was_told_ahead_of_an_interrupt_is_forgotten(sites, block, monkeypatch):
    def interrupt(cursor):
        raise KeyboardInterrupt

    a, b = sites
    with override_site(a), block():
        assert sql(ROOMS) == OF_A
        with monkeypatch.context() as patch:
            patch.setattr(connection.connection.sitefleet.plain, "nextset", interrupt)
            with override_site(b), pytest.raises(KeyboardInterrupt):
                sql(ROOMS)  # it has run, and nobody has seen that
        assert sql(ROOMS) == OF_A


@pytest.mark.parametrize(
    "statement",
    [
        "SET sitefleet.site_id = {b}",
        "RESET ALL",
        "DISCARD ALL",
        "SELECT 1; SET sitefleet.site_id = {b}",
        "/* by hand */ SET sitefleet.site_id = {b}",
    ],
)
def test_a_connection_that_others_told_something_is_told_again(sites, statement):
    a, b = sites
    with override_site(a):
        assert sql(ROOMS) == OF_A
        sql(statement.format(b=b.pk))
        assert sql(ROOMS) == OF_A


def test_savepoints_by_hand_are_seen(sites):
    a, b = sites
    with override_site(a):
        for statement in ("BEGIN", ROOMS, "SAVEPOINT s"):
            sql(statement)
        with override_site(b):
            assert sql(ROOMS) == OF_B
            sql("/* by hand */ ROLLBACK TO SAVEPOINT s")
            assert sql(ROOMS) == OF_B
        assert sql(ROOMS) == OF_A
        sql("COMMIT")
        assert sql(ROOMS) == OF_A


def test_statements_that_stand_alone_still_do(sites):
    with override_site(sites[0]):
        sql("CREATE TEMPORARY TABLE mine (x int)")
        sql("VACUUM mine")
        with cross_site("look after all"):
            sql("VACUUM mine")
        assert sql("SELECT count(*) FROM mine") == [(0,)]


@around
def test_the_orm_obeys_without_the_guard(sites, block, no_guard):
    a, b = sites
    with override_site(a), block():
        assert [room.name for room in Room._base_manager.order_by("name")] == ["a", "hall a"]
        assert Room._base_manager.filter(site=b).update(size=1) == 0
        assert not Room._base_manager.filter(site=b).exists()
        with pytest.raises(CrossSiteWrite), transaction.atomic():
            Room._base_manager.create(name="x", site=b)


def test_the_orm_writes_rows_of_all_kinds(sites):
    a, b = sites
    with override_site(a):
        room = Room.objects.create(name="new")
        tag = Tag.objects.create(name="new")
        room.tags.add(tag, Tag.objects.get(name="all"))
        room.neighbours.add(Room.objects.get(name="a"))
        hall = Hall.objects.create(name="new hall", seats=1)
        hall.seats, hall.size = 5, 6
        hall.save()
        notice = Notice.objects.create(text="new")
        assert [site.pk for site in notice.sites.all()] == [a.pk]
        assert Room.objects.filter(tags__name="all").get() == room
        assert Hall.objects.filter(seats=5).update(seats=6, name="renamed") == 1
        Room.objects.bulk_create([Room(name="bulk 1"), Room(name="bulk 2")])
        assert Room.objects.filter(name__startswith="bulk").delete()[0] == 2
        room.delete()
        notice.delete()
    with override_site(b):
        assert not Room.objects.filter(name__contains="new").exists()


def test_naming_the_site_is_not_enough(sites):
    with pytest.raises(SiteRequired, match="its connection has none"):
        list(Room.objects.filter(site=sites[0]))
