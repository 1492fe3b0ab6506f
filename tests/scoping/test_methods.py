"""Every public method of querysets and managers obeys the site.

The methods are found by introspection: one that the tables below do not know fails its test, so
that a new Django adds cases.
"""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from django.core.paginator import Paginator
from django.db import connection
from django.db.models import (
    Avg,
    Count,
    DateField,
    DateTimeField,
    F,
    Manager,
    Prefetch,
    Q,
    QuerySet,
    Value,
)
from django.test.utils import CaptureQueriesContext

from sitefleet import override_site
from sitefleet.exceptions import SiteRequired
from tests.rooms.furnished import each, finish, present, public
from tests.rooms.models import Booking, Room

TIME = Value(datetime(2026, 1, 1, tzinfo=UTC), DateTimeField())
DAY = Value(date(2026, 1, 1), DateField())

#: Called with a queryset or manager of bookings. All that comes back is looked at.
READS = {
    "aggregate": lambda rows: [*rows.aggregate(n=Count("pk"), k=Avg("room__size")).values()],
    "alias": lambda rows: rows.alias(x=F("room__name")).filter(x__gt=""),
    "all": lambda rows: rows.all(),
    "annotate": lambda rows: rows.annotate(x=F("room__building__name")).values_list("x", "code"),
    "complex_filter": lambda rows: rows.complex_filter(Q(pk__gt=0)),
    "contains": lambda rows: rows.contains(Booking(pk=1)),
    "count": lambda rows: rows.count(),
    "dates": lambda rows: rows.annotate(at=DAY).dates("at", "day"),
    "datetimes": lambda rows: rows.annotate(at=TIME).datetimes("at", "day"),
    "defer": lambda rows: rows.defer("day"),
    "difference": lambda rows: rows.difference(rows.filter(code="")),
    "distinct": lambda rows: rows.values_list("room__name").distinct(),
    "earliest": lambda rows: rows.earliest("-pk"),
    "exclude": lambda rows: rows.exclude(code=""),
    "exists": lambda rows: rows.filter(code__startswith="bb").exists(),
    "explain": lambda rows: rows.explain(),
    "extra": lambda rows: rows.extra(select={"two": "1 + 1"}),
    "fetch_mode": lambda rows: [booking.room for booking in rows.fetch_mode(peers())],
    "filter": lambda rows: rows.filter(room__building__name__contains="building"),
    "first": lambda rows: rows.order_by("-pk").first(),
    "get": lambda rows: rows.get(),
    "in_bulk": lambda rows: [*rows.in_bulk().values()],
    "intersection": lambda rows: rows.intersection(Booking._base_manager.all()),
    "iterator": lambda rows: [*rows.iterator(chunk_size=1)],
    "last": lambda rows: rows.order_by("pk").last(),
    "latest": lambda rows: rows.latest("pk"),
    "only": lambda rows: rows.only("code"),
    "order_by": lambda rows: rows.order_by("-room__building__name"),
    "prefetch_related": lambda rows: rows.prefetch_related(Prefetch("room", Room.objects.all())),
    "reverse": lambda rows: rows.order_by("pk").reverse(),
    "select_for_update": lambda rows: rows.select_for_update(),
    "select_related": lambda rows: rows.select_related("room__building"),
    "union": lambda rows: rows.union(Booking._base_manager.all(), all=True),
    "using": lambda rows: rows.using("default"),
    "values": lambda rows: [value for row in rows.values() for value in row.values()],
    "values_list": lambda rows: rows.values_list("code", "room__name"),
    "aaggregate": lambda rows: rows.aaggregate(n=Count("pk")),
    "acontains": lambda rows: rows.acontains(Booking(pk=1)),
    "acount": lambda rows: rows.acount(),
    "aearliest": lambda rows: rows.aearliest("-pk"),
    "aexists": lambda rows: rows.filter(code__startswith="bb").aexists(),
    "aexplain": lambda rows: rows.aexplain(),
    "afirst": lambda rows: rows.order_by("-pk").afirst(),
    "aget": lambda rows: rows.aget(),
    "ain_bulk": lambda rows: rows.ain_bulk(),
    "aiterator": lambda rows: collect(rows.aiterator(chunk_size=1)),
    "alast": lambda rows: rows.order_by("pk").alast(),
    "alatest": lambda rows: rows.alatest("pk"),
}
WRITES = {
    "bulk_create": lambda rows: rows.bulk_create(
        [Booking(code="new"), Booking(code="too", day="2")]
    ),
    "bulk_update": lambda rows: rows.bulk_update(booked(rows), ["code"]),
    "create": lambda rows: rows.create(code="new"),
    "delete": lambda rows: rows.all().delete(),
    "get_or_create": lambda rows: rows.get_or_create(code="new"),
    "update": lambda rows: rows.update(day="9"),
    "update_or_create": lambda rows: rows.update_or_create(code="new", defaults={"day": "9"}),
    "abulk_create": lambda rows: rows.abulk_create([Booking(code="new")]),
    "abulk_update": lambda rows: rows.abulk_update(booked(rows), ["code"]),
    "acreate": lambda rows: rows.acreate(code="new"),
    "adelete": lambda rows: rows.all().adelete(),
    "aget_or_create": lambda rows: rows.aget_or_create(code="new"),
    "aupdate": lambda rows: rows.aupdate(day="9"),
    "aupdate_or_create": lambda rows: rows.aupdate_or_create(code="new", defaults={"day": "9"}),
}
CASES = {**READS, **WRITES}
#: They make no statement; ``raw`` is the business of test_raw.
SILENT = {
    "as_manager", "as_queryset", "auto_created", "check", "contribute_to_class",
    "creation_counter", "db", "db_manager", "deconstruct", "from_queryset", "get_queryset",
    "model", "name", "none", "ordered", "query", "raw", "resolve_expression", "totally_ordered",
    "use_in_migrations",
}  # fmt: skip
#: How many rows of the current site: what is counted, or changed.
NUMBERS = {"count": ["1"], "acount": ["1"], "update": ["1"], "aupdate": ["1"]}
NUMBERS |= {"exists": ["False"], "aexists": ["False"]}

MADE_BEFORE = QuerySet(Booking).exclude(code="")
MANAGERS = {
    "Django's manager": lambda: Booking.objects,
    "SiteManager": lambda: Booking.here,
    "the base manager": lambda: Booking._base_manager,
    "a queryset": lambda: QuerySet(Booking),
    "a queryset made at import": MADE_BEFORE.all,
}


def peers():
    from django.db.models import FETCH_PEERS  # noqa: PLC0415 - from Django 6.1 on

    return FETCH_PEERS


def booked(rows):
    found = list(rows.all())
    for booking in found:
        booking.code += "!"
    return found


async def collect(iterator):
    return [item async for item in iterator]


@pytest.mark.parametrize("owner", [QuerySet, Manager, type(Booking.here)])
def test_no_method_is_unknown(owner):
    assert public(owner) <= CASES.keys() | SILENT


@pytest.mark.parametrize("manager", MANAGERS)
def test_no_method_runs_a_statement_without_a_site(world, manager):
    def look(name, case):
        with CaptureQueriesContext(connection) as queries, pytest.raises(SiteRequired):
            finish(case, MANAGERS[manager]())
        assert not [query for query in queries if "rooms_" in query["sql"]]

    each(present(MANAGERS[manager](), CASES), look)


@pytest.mark.parametrize("manager", MANAGERS)
def test_each_method_sees_and_changes_the_rows_of_the_current_site_alone(world, manager):
    def look(name, case):
        with override_site(world.a.site):
            seen = finish(case, MANAGERS[manager]())
        assert not [text for text in seen if "bb-" in text]
        assert seen == NUMBERS.get(name, seen)
        if name in WRITES:
            world.assert_theirs_untouched()

    each(present(MANAGERS[manager](), CASES), look)


def test_what_pages_are_made_of_obeys(world):
    paginator = Paginator(MADE_BEFORE.order_by("pk"), 1)
    with override_site(world.a.site):
        assert paginator.count == 1
        assert [booking.code for booking in paginator.page(1)] == ["aa-booking"]
