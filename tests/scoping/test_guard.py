"""No statement sees rows of another site: the faults of peers, and whatever chance makes up."""

from __future__ import annotations

import functools
import operator

import pytest
from asgiref.sync import async_to_sync
from django.db import connection, transaction
from django.db.models import Q
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sitefleet import override_site
from sitefleet.exceptions import CrossSiteWrite, SiteRequired
from sitefleet.scoping import cross_site, guard
from tests.rooms.models import Booking, Building, Key, Notice, Person, Room, Tag

# --- What other packages let through ----------------------------------------------------------


async def collect(rows):
    return [row async for row in rows]


async def exists(rows):
    return await rows.aexists()


#: Without a scope these answer elsewhere, some of them with all rows of all sites.
UNSCOPED = {
    "async for over defer()": lambda _: async_to_sync(collect)(Room.objects.defer("name")),
    "async for over exclude()": lambda _: async_to_sync(collect)(Room.objects.exclude(name="")),
    "exists()": lambda _: Room.objects.exists(),
    "aexists()": lambda _: async_to_sync(exists)(Room.objects.all()),
    "explain()": lambda _: Room.objects.all().explain(),
    "subquery": lambda _: list(Key.objects.filter(room__in=Room.objects.exclude(name=""))),
    "_base_manager": lambda _: list(Room._base_manager.all()),
    "foreign key": lambda world: Key.objects.get(pk=world.b.key.pk).room,
    "join": lambda _: list(Key.objects.filter(room__name="bb-room")),
    "join in values()": lambda _: list(Key.objects.values_list("room__name")),
    "join in order_by()": lambda _: list(Key.objects.order_by("room__name")),
    "select_related()": lambda _: list(Key.objects.select_related("room")),
    "refresh_from_db()": lambda world: world.b.room.refresh_from_db(),
    "save()": lambda world: world.b.room.save(),
    "delete()": lambda world: world.b.room.delete(),
    "reverse foreign key": lambda world: list(world.everybody.rooms.all()),
    "many-to-many": lambda world: list(world.everybody.visited.all()),
    "one-to-one": lambda world: world.b.room.hall,
    "all rows of a default": lambda _: list(Room.objects.all()),
    "SQL by hand for the tables": lambda _: list(Person.objects.extra(tables=["rooms_room"])),
    "the same, quoted": lambda _: list(Person.objects.extra(tables=['"rooms_room"'])),
    "the same in capitals": lambda _: list(Person.objects.extra(tables=["ROOMS_ROOM"])),
}


@pytest.mark.parametrize("way", UNSCOPED)
def test_without_a_site_it_is_refused(world, way):
    with pytest.raises(SiteRequired):
        UNSCOPED[way](world)


#: With a scope these write rows of another site elsewhere.
WRITTEN = {
    "create() for another site": lambda world: Room.objects.create(site=world.b.site),
    "bulk_create() for another site": lambda world: Room.objects.bulk_create(
        [Room(name="mine"), Room(site=world.b.site)]
    ),
    "update() to another site": lambda world: Room.objects.update(site=world.b.site),
    "save() of a row of another site": lambda world: world.b.room.save(),
    "_base_manager.update()": lambda world: Room._base_manager.update(site_id=world.b.site.pk),
    "save() into another site": lambda world: move(world.a.room, world.b.site),
    "save() out of another site": lambda world: move(world.b.room, world.a.site),
}


def move(room, site):
    room.site = site
    room.save()


@pytest.mark.parametrize("way", WRITTEN)
def test_with_a_site_a_row_of_another_is_not_written(world, way):
    with override_site(world.a.site), pytest.raises(CrossSiteWrite), transaction.atomic():
        WRITTEN[way](world)
    world.assert_theirs_untouched()


def test_joins_from_models_of_no_site_see_the_current_site_alone(world):
    with override_site(world.a.site):
        assert set(Key.objects.values_list("room__name", flat=True)) == {"aa-room"}
        assert {key.room.name for key in Key.objects.select_related("room")} == {"aa-room"}
        assert [room.name for room in world.everybody.rooms.all()] == ["aa-room"]


def test_a_queryset_made_for_one_site_and_run_for_another_is_right(world):
    with override_site(world.b.site):
        rooms = Room.objects.filter(size=1)
    with override_site(world.a.site):
        assert [room.name for room in rooms] == ["aa-room"]


def test_nothing_is_left_of_a_site_that_was_entered_before(world):
    with override_site(world.a.site):
        Room.objects.count()
    with pytest.raises(SiteRequired):
        Room.objects.count()


def test_the_error_names_model_field_and_the_ways_out():
    with pytest.raises(SiteRequired) as caught:
        Booking.objects.count()
    text = str(caught.value)
    assert all(part in text for part in ("rooms.Booking", "'venue'", "override_site", "--site"))
    assert all(part in text for part in (".filter(venue=site)", "cross_site"))


def test_the_default_site_counts(world, settings):
    settings.SITE_ID = world.a.site.pk
    assert {room.name for room in Room.objects.all()} == {"aa-room", "aa-hall"}


def test_without_the_guard_the_manager_of_sites_still_binds(world):
    guard.uninstall()
    try:
        with override_site(world.a.site):
            assert Booking.here.count() == Notice.objects.filter(text="aa-notice").count() == 1
            assert Booking.objects.count() == 2
        with pytest.raises(SiteRequired):
            Booking.here.count()
    finally:
        guard.install()


# --- Whatever chance makes up -------------------------------------------------------------------

NAMES = ["aa-room", "bb-room", "aa-hall", "bb-hall", "aa-building", "bb-building", "aa-tag"]
NAMES += ["bb-tag", "shared", "everybody", "aa-person", "bb-person"]
PATHS = {
    Room: [
        "name", "building__name", "tag__name", "owner__name", "guests__name", "tags__name",
        "neighbours__name", "keys__room__name", "spares__room__building__name", "hall__name",
        "tags__tagged__name", "building__rooms__name", "notices__text", "neighbours__tags__name",
    ],
    Key: ["room__name", "spare__name", "spare__building__name", "room__tags__name",
          "spare__neighbours__name", "room__owner__rooms__name"],
    Person: ["name", "rooms__name", "visited__name", "rooms__tag__name", "visited__tags__name",
             "rooms__keys__spare__name"],
}  # fmt: skip


def leaves(model):
    lookups = st.sampled_from(["", "__startswith", "__gt", "__in", "__isnull"])

    def leaf(path, lookup, names, *, yes):
        value = {"__in": names, "__isnull": yes}.get(lookup, names[0])
        return Q(**{f"{path}{lookup}": value})

    names = st.lists(st.sampled_from([*NAMES, "aa", "b", ""]), min_size=1, max_size=3)
    return st.builds(leaf, st.sampled_from(PATHS[model]), lookups, names, yes=st.booleans())


def conditions(model):
    def more(inner):
        both = st.sampled_from([operator.and_, operator.or_])
        return st.builds(lambda join, x, y: join(x, y), both, inner, inner) | inner.map(
            operator.invert
        )

    return st.recursive(leaves(model), more, max_leaves=4)


def steps(model):
    return st.lists(
        st.tuples(st.sampled_from(["filter", "exclude"]), conditions(model)), max_size=3
    )


queries = st.sampled_from(list(PATHS)).flatmap(
    lambda model: st.tuples(st.just(model), steps(model), st.none() | steps(model))
)


def ask(model, chain, other):
    """Return the keys that a query finds, and those that it names besides."""

    def rows(chain):
        start = model._base_manager.all()
        return functools.reduce(lambda found, step: getattr(found, step[0])(step[1]), chain, start)

    found = rows(chain) if other is None else rows(chain) | rows(other)
    return set(found.values_list("pk", PATHS[model][-1]))


#: Some databases look at foreign keys at once.
ORDER = [
    "rooms_notice_sites", "rooms_room_tags", "rooms_room_neighbours", "rooms_room_guests",
    "rooms_booking", "rooms_notice", "rooms_key", "rooms_hall", "rooms_room", "rooms_building",
    "rooms_tag", "rooms_person",
]  # fmt: skip


def delete_theirs(world):
    with cross_site("a world without the other site"), connection.cursor() as cursor:
        for table, row in sorted(world.theirs, key=lambda line: ORDER.index(line[0])):
            name, key = connection.ops.quote_name(table), row[0]
            cursor.execute(f"DELETE FROM {name} WHERE {key[0]} = %s", [key[1]])  # noqa: S608


@settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(queries, min_size=12, max_size=12))
def test_any_query_finds_what_it_would_find_if_there_were_no_other_site(world, asked):
    with override_site(world.a.site):
        found = [ask(*query) for query in asked]
    with transaction.atomic():
        delete_theirs(world)
        with cross_site("there is no other site"):
            expected = [ask(*query) for query in asked]
        transaction.set_rollback(True)
    for query, ours, alone in zip(asked, found, expected, strict=True):
        # Keys and persons are of no site, so theirs are there; but not by what they refer to.
        free = {Key: {world.b.key.pk}, Person: {world.b.person.pk}}.get(query[0], set())
        assert {row for row in ours if row[0] not in free} == alone, query
        assert not any("bb-" in str(row[1]) for row in ours), query


def test_the_world_of_the_tests_has_rows_of_all_kinds(world):
    with cross_site("what is there"):
        for model in (Room, Building, Tag, Key, Notice, Booking):
            assert model._base_manager.count() >= 2
