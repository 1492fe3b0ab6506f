"""Two sites with rows of all kinds, and what stands in the tables, byte for byte."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.apps import apps
from django.contrib.sites.models import Site
from django.db import connection, transaction
from django.db.models import Model, QuerySet

from sitefleet import override_site
from sitefleet.scoping import cross_site
from tests.rooms.models import Booking, Building, Hall, Key, Notice, Person, Room, Tag


@dataclass
class Rows:
    """The rows of one site. Their names begin with that of the site; Hall is a room too."""

    site: Site
    person: Person
    building: Building
    tag: Tag
    room: Room
    hall: Hall
    key: Key
    notice: Notice
    booking: Booking


@dataclass
class World:
    """Two sites; some rows are of no site, of all, or of both."""

    a: Rows
    b: Rows
    shared: Tag
    everybody: Person
    everywhere: Notice
    lines: set[Any]
    """All rows, as they were."""
    theirs: set[Any]
    """Those of b."""

    def assert_theirs_untouched(self) -> None:
        """Assert that nothing of b was changed, moved or added."""
        now = lines()
        gone = self.theirs - now
        assert not gone, f"rows of the other site were changed or deleted: {gone}"
        added = [
            (table, row)
            for table, row in now - self.lines
            if dict(row).get("site_id", dict(row).get("venue_id")) == self.b.site.pk
            if table.startswith("rooms_")
        ]
        assert not added, f"rows of the other site were added: {added}"


def furnish_both() -> World:
    """Make two sites and their rows."""
    first, second = (Site.objects.create(domain=f"{name}.test", name=name) for name in ("aa", "bb"))
    everybody = Person.objects.create(name="everybody")
    with cross_site("test rows"):
        shared = Tag.objects.create(name="shared", site=None)
    a = furnish(first, everybody, shared)
    with override_site(first):
        everywhere = Notice.objects.create(text="everywhere")
        with cross_site("test rows"):
            everywhere.sites.add(second)
    before = lines()
    b = furnish(second, everybody, shared)
    after = lines()
    return World(a, b, shared, everybody, everywhere, after, after - before)


def furnish(site: Site, everybody: Person, shared: Tag) -> Rows:
    """Make the rows of a site."""
    name = site.name
    with override_site(site):
        person = Person.objects.create(name=f"{name}-person")
        building = Building.objects.create(name=f"{name}-building")
        tag = Tag.objects.create(name=f"{name}-tag")
        room = Room.objects.create(
            name=f"{name}-room", size=1, building=building, owner=everybody, tag=tag
        )
        hall = Hall.objects.create(name=f"{name}-hall", size=2, seats=3, building=building)
        room.guests.add(person, everybody)
        room.tags.add(tag, shared)
        room.neighbours.add(hall)
        key = Key.objects.create(room=room, spare=hall.room_ptr, number=4)
        notice = Notice.objects.create(text=f"{name}-notice", room=room)
        booking = Booking.objects.create(code=f"{name}-booking", room=room, day="1")
    return Rows(site, person, building, tag, room, hall, key, notice, booking)


def lines() -> set[Any]:
    """Return all rows of the test models, each with its table, as the database has them."""
    found = set()
    with cross_site("what stands there"), connection.cursor() as cursor:
        for model in apps.get_app_config("rooms").get_models(include_auto_created=True):
            table = model._meta.db_table
            if model._meta.proxy:
                continue
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608 - ours
            names = [column[0] for column in cursor.description]
            found |= {(table, tuple(zip(names, row, strict=True))) for row in cursor.fetchall()}
    return found


def each(cases: dict[str, Any], look: Any) -> None:
    """Call ``look`` with each case, undo what it changed, and fail with all that failed."""
    failures = {}
    for name, case in cases.items():
        try:
            with transaction.atomic():
                look(name, case)
                transaction.set_rollback(True)
        except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001 - told below
            failures[name] = f"{type(error).__name__}: {error}"[:300]
    assert not failures, failures


def public(owner):
    return {name for name in dir(owner) if not name.startswith("_")}


def texts(answer):
    """Return all texts in an answer, however deep."""
    if isinstance(answer, dict):
        answer = [*answer.keys(), *answer.values()]
    if isinstance(answer, Model):
        values = {key: value for key, value in vars(answer).items() if key != "_state"}
        return texts([*values.values(), *answer._state.fields_cache.values()])
    if isinstance(answer, (list, tuple, set, QuerySet)):
        return [text for item in answer for text in texts(item)]
    return [str(answer)]


def finish(case, *args):
    """Call it, wait for the answer, and look into that."""

    async def wait():
        return await answer

    with transaction.atomic():
        answer = case(*args)
        return texts(async_to_sync(wait)() if inspect.isawaitable(answer) else answer)


def present(rows, cases):
    return {name: case for name, case in cases.items() if hasattr(rows, name)}
