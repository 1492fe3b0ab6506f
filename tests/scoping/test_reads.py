"""Shapes of statements that read, one by one; and when a queryset gets its site."""

from __future__ import annotations

import pytest
from django.contrib.sites.models import Site
from django.db import connection
from django.db.models import (
    Count,
    Exists,
    F,
    FilteredRelation,
    ForeignKey,
    Max,
    OuterRef,
    Prefetch,
    Q,
    Subquery,
    Sum,
    Window,
    prefetch_related_objects,
)
from django.db.models.functions import RowNumber
from django.db.models.lookups import Exact
from django.test.utils import CaptureQueriesContext, register_lookup

from sitefleet import override_site
from sitefleet.exceptions import SiteRequired
from tests.rooms.models import Big, Building, Hall, Key, Notice, Person, Room, Tag

ROOMS = {"aa-room", "aa-hall"}


def names(rows):
    return {row.name for row in rows}


#: What is found on the first site.
SHAPES = {
    "none": (lambda _: names(Room.objects.none()), set()),
    "proxy": (lambda _: names(Big.objects.all()), ROOMS),
    "child table": (lambda _: names(Hall.objects.all()), {"aa-hall"}),
    "child table alone": (lambda _: [h.seats for h in Hall.objects.only("seats")], [3]),
    "child by its parent": (lambda _: [r.hall.seats for r in Room.objects.filter(hall__gt=0)], [3]),
    "own or shared": (lambda _: names(Tag.objects.all()), {"aa-tag", "shared"}),
    "many sites": (
        lambda _: {n.text for n in Notice.objects.all()},
        {"aa-notice", "everywhere"},
    ),
    "sites of a row": (lambda w: w.everywhere.sites.count(), 2),
    "rows of a site": (lambda w: {n.text for n in w.b.site.notice_set.all()}, {"everywhere"}),
    "rows of another site": (lambda w: names(w.b.site.room_set.all()), set()),
    "filter(site=other)": (lambda w: names(Room.objects.filter(site=w.b.site)), set()),
    "filter(site=this)": (lambda w: names(Room._base_manager.filter(site=w.a.site)), ROOMS),
    "filter(site__in=both)": (lambda w: names(plain(Q(site__in=[w.a.site, w.b.site]))), ROOMS),
    "filter(site_id__in=other)": (lambda w: names(plain(Q(site_id__in=[w.b.site.pk]))), set()),
    "exclude(site=this)": (lambda w: names(plain(~Q(site=w.a.site))), set()),
    "this OR other": (lambda w: names(plain(Q(site=w.a.site) | Q(site=w.b.site))), ROOMS),
    "site OR name": (lambda w: names(plain(Q(site=w.a.site) | Q(name="bb-room"))), ROOMS),
    "XOR": (lambda w: names(plain(Q(site=w.b.site) ^ Q(site=w.a.site))), ROOMS),
    "~~site=other": (lambda w: names(plain(~~Q(site=w.b.site))), set()),
    "site=F(site)": (lambda _: names(plain(Q(site_id=F("site_id")))), ROOMS),
    "site by a subquery": (lambda _: names(plain(Q(site__in=Site.objects.all()))), ROOMS),
    "site by its domain": (lambda _: names(plain(Q(site__domain="bb.test"))), set()),
    "union": (lambda _: union(), {"aa-room", "aa-hall", "aa-building"}),
    "intersection": (
        lambda _: names(Room.objects.all().intersection(Room._base_manager.all())),
        ROOMS,
    ),
    "difference": (
        lambda _: names(plain(Q()).difference(Room.objects.filter(size=1))),
        {"aa-hall"},
    ),
    "|": (lambda _: names(Room.objects.filter(size=1) | plain(Q(spares__number=4))), ROOMS),
    "&": (lambda _: names(plain(Q(keys__number=4)) & Room.objects.filter(size=1)), {"aa-room"}),
    "| with HAVING": (lambda _: names(keyed(1) | keyed(0)), {"aa-hall", "aa-room"}),
    "window in filter": (
        lambda _: names(Room.objects.annotate(n=Window(RowNumber())).filter(n__lte=9)),
        ROOMS,
    ),
    "Subquery": (lambda _: by_subquery(Subquery), {"aa-room", None}),
    "Exists": (lambda _: by_subquery(Exists), {True, False}),
    "FilteredRelation": (lambda _: by_filtered_relation(), {"aa-room", None}),
    "count of a trimmed join": (
        lambda _: Person.objects.annotate(n=Count("visited")).aggregate(Sum("n"))["n__sum"],
        2,
    ),
    "count of a trimmed join beside a join": (
        lambda _: Person.objects.annotate(n=Count("visited"), m=Max("visited__name")).aggregate(
            Sum("n")
        )["n__sum"],
        2,
    ),
    "count over a join": (
        lambda _: Person.objects.annotate(n=Count("rooms")).aggregate(Sum("n"))["n__sum"],
        1,
    ),
    "aggregate over a subquery": (
        lambda _: Room._base_manager.annotate(n=Count("keys")).aggregate(s=Sum("n"), c=Count("pk")),
        {"s": 1, "c": 2},
    ),
    "outer joins stay outer": (lambda _: len(Key.objects.order_by("spare__name")), 2),
    "outer join finds nothing": (
        lambda _: set(Key.objects.values_list("spare__name", flat=True)),
        {"aa-hall", None},
    ),
    "inner join": (lambda _: set(Key.objects.values_list("room__name", flat=True)), {"aa-room"}),
    "select_related": (
        lambda _: {str(k.spare) for k in Key.objects.select_related("spare__building")},
        {"aa-hall", "None"},
    ),
    "exclude over many": (
        lambda _: names(Person.objects.exclude(rooms__name="bb-room")),
        {"everybody", "aa-person", "bb-person"},
    ),
    "many-to-many with itself": (lambda w: names(w.a.room.neighbours.all()), {"aa-hall"}),
    "many-to-many of another": (lambda w: names(w.b.room.neighbours.all()), set()),
    "prefetch": (lambda _: prefetched("rooms"), {"aa-room"}),
    "Prefetch": (lambda _: prefetched(Prefetch("rooms", Room._base_manager.all())), {"aa-room"}),
    "prefetch_related_objects": (lambda w: later(w.everybody), {"aa-room"}),
    "in_bulk": (lambda w: set(Room._base_manager.in_bulk([w.a.room.pk, w.b.room.pk])), None),
    "extra(where=)": (lambda _: names(Room.objects.extra(where=["1 = 1 OR 2 = 2"])), ROOMS),
    "distinct": (
        lambda _: set(Room.objects.values_list("tag__name").distinct()),
        {("aa-tag",), (None,)},
    ),
}


def plain(condition):
    return Room._base_manager.filter(condition)


def union():
    rows = Room.objects.values_list("name").union(Building._base_manager.values_list("name"))
    return {name for (name,) in rows}


def keyed(number):
    return Room.objects.annotate(n=Count("keys")).filter(n=number)


def by_subquery(kind):
    rooms = Room._base_manager.filter(owner=OuterRef("pk"))
    inner = rooms.values("name")[:1] if kind is Subquery else rooms
    return set(Person.objects.annotate(x=kind(inner)).values_list("x", flat=True))


def by_filtered_relation():
    relation = FilteredRelation("rooms", condition=Q(rooms__size__gte=0))
    return set(Person.objects.annotate(r=relation).values_list("r__name", flat=True))


def prefetched(lookup):
    persons = Person.objects.prefetch_related(lookup)
    return {room.name for person in persons for room in person.rooms.all()}


def later(person):
    prefetch_related_objects([person], "rooms")
    return {room.name for room in person.rooms.all()}


def test_each_shape_finds_the_rows_of_the_current_site(world):
    with override_site(world.a.site):
        found = {shape: ask(world) for shape, (ask, _) in SHAPES.items()}
    expected = {shape: rows for shape, (_, rows) in SHAPES.items()}
    assert found == expected | {"in_bulk": {world.a.room.pk}}


def test_without_a_site_nothing_but_nothing_is_found(world):
    for shape, (ask, _) in SHAPES.items():
        if shape not in ("none", "filter(site=other)", "filter(site__in=both)"):
            try:
                found = ask(world)
            except SiteRequired:
                continue
            assert "site" in shape, f"{shape}: {found}"
    with CaptureQueriesContext(connection) as queries:
        assert not Room.objects.none()
        assert Key.objects.select_related("room").none().count() == 0
    assert not queries.captured_queries


def test_a_literal_site_is_enough_without_a_current_one(world):
    assert names(Room.objects.filter(site=world.b.site)) == {"bb-room", "bb-hall"}
    assert Room._base_manager.filter(site__in=[world.a.site, world.b.site]).count() == 4
    assert names(Tag.objects.filter(site_id=world.b.site.pk)) == {"bb-tag"}
    spares = Key.objects.filter(spare__site=world.b.site, room__site=world.b.site)
    assert set(spares.values_list("spare__name", flat=True)) == {"bb-hall"}


NOT_LITERAL = {
    "negated": ~Q(site=1),
    "or": Q(site=1) | Q(name="x"),
    "one or the other": Q(site=1) | Q(site=2),
    "itself": Q(site=F("site_id")),
    "subquery": Q(site__in=Site.objects.all()),
    "by domain": Q(site__domain="aa.test"),
    "many": Q(site__gt=0),
    "any": Q(site__isnull=False),
    "joined": Q(site=1, building__name="x"),
}


@pytest.mark.parametrize("condition", NOT_LITERAL)
def test_what_does_not_name_the_site_of_each_table_is_refused(db, settings, condition):
    settings.SITE_ID = None
    with pytest.raises(SiteRequired):
        list(Room._base_manager.filter(NOT_LITERAL[condition]))


def test_a_lookup_of_ones_own_names_no_site_whatever_it_is_made_of(world):
    class NotEqual(Exact):
        lookup_name = "ne"

        def as_sql(self, compiler, connection):
            left, params = self.process_lhs(compiler, connection)
            right, more = self.process_rhs(compiler, connection)
            return f"{left} <> {right}", [*params, *more]

    with register_lookup(ForeignKey, NotEqual):
        rows = Room._base_manager.filter(site__ne=world.a.site.pk)
    with override_site(world.a.site):
        assert not rows.exists()
    with pytest.raises(SiteRequired):
        rows.exists()


def test_a_literal_site_of_one_queryset_is_none_of_another(world):
    with pytest.raises(SiteRequired):
        list(Room.objects.filter(site=world.b.site) | Room.objects.filter(size=1))
    with pytest.raises(SiteRequired):
        list(Room.objects.filter(site=world.b.site).union(Room.objects.filter(size=1)))
