"""What the guard touches of Django is there, as it relies on it; and the SQL that comes of it."""

from __future__ import annotations

import inspect
import logging
from contextlib import nullcontext

import pytest
from django.db import connection
from django.db.models import Count, Q, QuerySet
from django.db.models.deletion import Collector
from django.db.models.sql.compiler import SQLCompiler, SQLInsertCompiler, SQLUpdateCompiler
from django.db.models.sql.datastructures import BaseTable, Join
from django.db.models.sql.query import Query
from django.db.models.sql.subqueries import DeleteQuery, InsertQuery, UpdateQuery
from django.db.models.sql.where import WhereNode
from django.test.utils import CaptureQueriesContext

from sitefleet import override_site
from sitefleet.scoping import cross_site, guard
from sitefleet.scoping.conditions import OfCurrentSite
from sitefleet.scoping.scopes import scopes
from tests.rooms.models import Booking, Hall, Key, Notice, Person, Room, Tag

PLACES = [
    (SQLCompiler, "get_from_clause", ["self"]),
    (Join, "as_sql", ["self", "compiler", "connection"]),
    (UpdateQuery, "get_compiler", ["self", "using", "connection", "elide_empty"]),
    (DeleteQuery, "get_compiler", ["self", "using", "connection", "elide_empty"]),
    (InsertQuery, "get_compiler", ["self", "using", "connection", "elide_empty"]),
    (SQLUpdateCompiler, "execute_sql", ["self", "result_type"]),
    (SQLInsertCompiler, "execute_sql", ["self", "returning_fields"]),
    (SQLCompiler, "execute_sql", ["self", "result_type", "chunked_fetch", "chunk_size"]),
    (Collector, "add", ["self", "objs", "source", "nullable", "reverse_dependency"]),
    (QuerySet, "_fetch_all", ["self"]),
]


@pytest.fixture
def untouched():
    guard.uninstall()
    yield
    guard.install()


@pytest.mark.parametrize(
    ("owner", "name", "parameters"), PLACES, ids=lambda value: getattr(value, "__name__", None)
)
def test_each_place_is_there_with_the_signature_that_is_relied_on(
    untouched, owner, name, parameters
):
    assert list(inspect.signature(getattr(owner, name)).parameters) == parameters


def test_what_is_installed_is_taken_away_again(untouched):
    before = {(owner, name): owner.__dict__.get(name) for owner, name, _ in PLACES}
    guard.install()
    guard.install()
    assert guard.is_installed()
    assert all(owner.__dict__.get(name) != old for (owner, name), old in before.items())
    guard.uninstall()
    assert not guard.is_installed()
    assert {place: place[0].__dict__.get(place[1]) for place in before} == before


def test_no_other_class_of_django_makes_a_from_clause(untouched):
    def classes(owner):
        return {owner}.union(*(classes(child) for child in owner.__subclasses__()))

    assert [c for c in classes(SQLCompiler) if "get_from_clause" in vars(c)] == [SQLCompiler]
    assert [c for c in classes(Join) if "as_sql" in vars(c)] == [Join]
    assert {c for c in classes(Query) if "get_compiler" in vars(c)} == {Query}


def test_what_is_read_of_queries_is_there():
    query = Key.objects.select_related("room", "spare").filter(room__size=1).query
    compiler = query.get_compiler("default")
    compiler.pre_sql_setup()
    assert isinstance(compiler.where, WhereNode)
    assert not hasattr(query.get_compiler("default"), "where")  # before it is set up
    kinds = [type(table) for table in query.alias_map.values()]
    assert kinds == [BaseTable, Join, Join]
    join = list(query.alias_map.values())[1]
    assert join.join_cols == (("room_id", "id"),)
    assert (join.parent_alias, join.join_type) == ("rooms_key", "INNER JOIN")
    assert set(query.alias_refcount) == set(query.alias_map)


def sql(rows):
    text, params = rows.query.sql_with_params()
    return text.replace("`", '"'), params


SITE = '"rooms_room"."site_id" = %s'
SHAPES = {
    "plain": (Room._base_manager.all, "WHERE " + SITE, 1),
    "named": (lambda: Room._base_manager.filter(site=1), "WHERE " + SITE, 1),
    "manager": (Room.objects.all, "WHERE " + SITE, 1),
    "or": (
        lambda: Room._base_manager.filter(Q(size=1) | Q(size=2)),
        f'("rooms_room"."size" = %s OR "rooms_room"."size" = %s) AND {SITE})',
        3,
    ),
    "shared": (
        Tag._base_manager.all,
        '("rooms_tag"."site_id" = %s OR "rooms_tag"."site_id" IS NULL)',
        1,
    ),
    "inner join": (
        lambda: Key.objects.select_related("room"),
        f'ON ("rooms_key"."room_id" = "rooms_room"."id") AND {SITE}',
        1,
    ),
    "outer join": (
        lambda: Key.objects.values("spare__name"),
        f'LEFT OUTER JOIN "rooms_room" ON ("rooms_key"."spare_id" = "rooms_room"."id") AND {SITE}',
        1,
    ),
    "trimmed many-to-many": (
        lambda: Person.objects.annotate(n=Count("visited")),
        (
            'AND EXISTS(SELECT 1 FROM "rooms_room" "sitefleet_0" WHERE "sitefleet_0"."id" ='
            ' "rooms_room_guests"."room_id" AND "sitefleet_0"."site_id" = %s)'
        ),
        1,
    ),
    "many-to-many": (
        lambda: Room._base_manager.filter(guests__name="x"),
        f'WHERE ("rooms_person"."name" = %s AND {SITE})',
        2,
    ),
    "child": (
        Hall._base_manager.all,
        f'ON ("rooms_hall"."room_ptr_id" = "rooms_room"."id") AND {SITE}',
        1,
    ),
    "child alone": (
        lambda: Hall._base_manager.values("seats"),
        (
            'WHERE EXISTS(SELECT 1 FROM "rooms_room" "sitefleet_0" WHERE "sitefleet_0"."id" ='
            ' "rooms_hall"."room_ptr_id" AND "sitefleet_0"."site_id" = %s)'
        ),
        1,
    ),
    "many sites": (
        Notice._base_manager.all,
        (
            'WHERE EXISTS(SELECT 1 FROM "rooms_notice_sites" "sitefleet_0" WHERE'
            ' "sitefleet_0"."notice_id" = "rooms_notice"."id" AND "sitefleet_0"."site_id" = %s)'
        ),
        1,
    ),
    "other name": (Booking.objects.all, 'WHERE "rooms_booking"."venue_id" = %s', 1),
    "no site": (Person.objects.all, '"rooms_person"', 0),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_condition_stands_once_and_where_it_belongs(db, shape):
    make, part, values = SHAPES[shape]
    with override_site(1):
        text, params = sql(make())
    assert part in text
    assert len(params) == values
    assert text.count("site_id") + text.count("venue_id") == {
        "plain": 2, "named": 2, "manager": 2, "or": 2, "shared": 3, "inner join": 2,
        "many-to-many": 2, "child": 2, "other name": 2, "no site": 0,
    }.get(shape, 1)  # fmt: skip


def test_update_and_delete_have_it_in_their_where(world):
    with override_site(world.a.site), CaptureQueriesContext(connection) as queries:
        Booking.objects.update(day="3")
        Booking.objects.all()._raw_delete("default")
    for query in queries:
        assert '"venue_id" =' in query["sql"].replace("`", '"').partition("WHERE")[2]


def test_a_kind_of_join_that_is_not_djangos_gets_its_condition_too(world):
    class OtherJoin(Join):
        def as_sql(self, compiler, connection):
            return super().as_sql(compiler, connection)

    rows = Key.objects.filter(room__size__gte=0)
    alias, join = next((a, j) for a, j in rows.query.alias_map.items() if isinstance(j, Join))
    join.__class__ = OtherJoin
    with override_site(world.a.site):
        assert set(rows.values_list("room__name", flat=True)) == {"aa-room"}
    assert alias == "rooms_room"


def test_a_parts_equality_is_that_of_what_it_says():
    one, same = OfCurrentSite(scopes.of(Room), "a"), OfCurrentSite(scopes.of(Room), "a")
    assert one == same
    assert one != OfCurrentSite(scopes.of(Room), "b")
    assert one.relabeled_clone({"a": "b"}).alias == "b"
    assert hash(one) == hash(same)


@pytest.mark.django_db
def test_what_goes_to_having_has_no_condition_and_groups_by_no_site():
    with override_site(1):
        text, _ = sql(with_keys(Tag.objects, 0) | with_keys(Tag.objects, 1))
    where, _, rest = text.partition("GROUP BY")
    assert where.count("site_id") == 3  # that of the tags, shared ones too, and of their rooms
    assert "site_id" not in rest


@pytest.mark.django_db
def test_without_the_guard_it_is_grouped_by_the_site_in_having(untouched):
    rows = with_keys(Room.objects, 0) | with_keys(Room.objects, 1)
    for crossing, grouped in ((False, True), (True, False)):
        with override_site(1), cross_site("a report") if crossing else nullcontext():
            text, _ = sql(rows)
        groups = text.partition("GROUP BY")[2].partition("HAVING")[0]
        assert ('"site_id"' in groups) is grouped


def with_keys(rows, number):
    keys = "keys" if rows.model is Room else "rooms__keys"
    return rows.values("name").annotate(n=Count(keys)).filter(n=number)


def test_nothing_is_logged_by_the_guard_itself(world, caplog):
    caplog.set_level(logging.DEBUG, "sitefleet")
    with override_site(world.a.site):
        Notice.objects.create(text="new")
        world.a.room.save()
        assert isinstance(QuerySet(Room).first(), Room)
    assert not [record for record in caplog.records if record.name.startswith("sitefleet.")]
