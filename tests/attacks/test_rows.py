"""Rows 20, 21, 22, 25, 26, 32 and 33: rows of a site, where code names none.

The pages are in `rooms`. The visitor is at the second site; what is at stake is of the first.
"""

import json
import re
from io import StringIO

import pytest
from django.contrib.auth import get_user_model
from django.contrib.sites.models import Site
from django.core import serializers
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import IntegrityError, connection, connections, transaction
from django.db.models import Manager
from django.utils.datastructures import MultiValueDict

from sitefleet import override_site
from sitefleet.exceptions import CrossSiteWrite, SiteRequired
from sitefleet.scoping import SiteManager, cross_site
from sitefleet.scoping.crossing import is_crossing
from tests.attacks import rooms as pages
from tests.attacks.doors import ASGI, WSGI
from tests.attacks.telling import nothing_is_left
from tests.databases import sqlite_file
from tests.rooms.furnished import furnish, lines
from tests.rooms.models import Booking, Building, Person, Room, Tag

BOTH = pytest.mark.parametrize("door", [WSGI, ASGI], indirect=True, ids=["wsgi", "asgi"])
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
NOBODYS = 987654


@pytest.fixture(autouse=True)
def plain_managers(monkeypatch):
    """Let managers know no site, as those of other people do not: the guard is on its own."""
    monkeypatch.setattr(SiteManager, "get_queryset", Manager.get_queryset)


@pytest.fixture
def door(switched_on, request):
    """One door where it does not matter: what is tried here is tried behind it."""
    return getattr(request, "param", WSGI)()


@pytest.fixture
def persons(sites):
    """Those who belong to no site, and what is shared by all."""
    with cross_site("rows of a test"):
        return Person.objects.create(name="everybody"), Tag.objects.create(name="all", site=None)


@pytest.fixture
def rows(sites, persons):
    """Rows of all kinds on each site."""
    return [furnish(site, *persons) for site in sites]


@pytest.fixture
def attacker(visit, sites, anna):
    """A visitor of the second site, who owns the platform."""
    get_user_model().objects.filter(pk=anna.pk).update(is_superuser=True, is_staff=True)
    visitor = visit(sites.two)
    visitor.log_in()
    return visitor


def send(visitor, method, path, data=None, *, form=False):
    """Send JSON, or a form, with the token of the site."""
    if form:
        return visitor.post(path, data or {})
    visitor.ask("/form/")
    headers = {
        "origin": f"https://{visitor.host}",
        "x-csrftoken": visitor.cookies[visitor.name_of("csrftoken")],
        "content-type": "application/json",
    }
    return visitor.ask(path, method=method, headers=headers, body=json.dumps(data or {}).encode())


# --- row 20: the key of a row of another site --------------------------------------------------


@pytest.mark.parametrize("pattern", [str(each.pattern) for each in pages.OF_ONE])
def test_row_20_the_key_of_a_row_of_another_site_is_the_key_of_none(attacker, rows, pattern):
    theirs, before = rows[0].room.pk, lines()
    for method in METHODS:
        answers = [
            send(
                attacker,
                method,
                f"/{pattern.replace('<int:pk>', str(pk))}",
                {"name": "taken"},
                form=method == "POST" and "api" not in pattern,
            )
            for pk in (theirs, NOBODYS)
        ]
        assert answers[0].status == answers[1].status
        assert answers[0].status in {404, 405} or method == "OPTIONS"
        assert answers[0].text.replace(str(theirs), "") == answers[1].text.replace(str(NOBODYS), "")
        assert "One-" not in answers[0].text
    assert lines() == before


def test_row_20_the_pages_are_there_for_the_rows_of_the_site(attacker, rows):
    mine = rows[1].room.pk
    for pattern in pages.OF_ONE:
        path = str(pattern.pattern).replace("<int:pk>", str(mine))
        answer = attacker.get(f"/{path}")
        assert (answer.status, "Two-room" in answer.text) == (200, True)
    assert attacker.post(f"/rooms/{mine}/delete/").status == 302
    assert attacker.get(f"/rooms/{mine}/").status == 404


@pytest.mark.parametrize("name", ["building", "tags", "neighbours"])
def test_row_20_no_form_refers_to_a_row_of_another_site(attacker, rows, name):
    found = {"building": "building", "tags": "tag", "neighbours": "room"}[name]
    theirs, before = getattr(rows[0], found).pk, lines()
    page = attacker.get("/rooms/new/").text
    assert "Two-" in page
    assert "One-" not in page
    good = {"name": "x", "building": rows[1].building.pk, "tags": rows[1].tag.pk}
    good["neighbours"] = rows[1].room.pk
    answers = [
        attacker.post(path, MultiValueDict({}) | {**good, name: pk})
        for path in ("/rooms/new/", f"/rooms/{rows[1].room.pk}/change/")
        for pk in (theirs, NOBODYS)
    ]
    assert {answer.status for answer in answers} == {400}
    assert not any("One-" in answer.text for answer in answers)
    assert lines() == before


def test_row_20_no_api_refers_to_a_row_of_another_site(attacker, rows):
    before = lines()
    mine = f"/rooms/api/{rows[1].room.pk}/"
    for changes in ({"building": rows[0].building.pk}, {"tags": [rows[0].tag.pk]}):
        answers = [
            send(attacker, "POST", "/rooms/api/", {"name": "x", **changes}),
            send(attacker, "PATCH", mine, changes),
        ]
        assert [answer.status for answer in answers] == [400, 400]
        assert all("does not exist" in answer.text for answer in answers)
    assert lines() == before


# --- row 21: the forgotten filter --------------------------------------------------------------


@BOTH
def test_row_21_a_report_without_any_filter_is_that_of_the_site_alone(visit, sites, persons):
    furnish(sites.two, *persons)
    paths = [f"/{each.pattern}" for each in pages.OF_ALL]

    def look():
        texts = [visit(sites.two).get(path).text for path in paths]
        return [re.sub("<lastBuildDate>.*?<", "<", text) for text in texts]

    alone = look()
    furnish(sites.one, *persons)
    furnish(sites.below, *persons)
    assert look() == alone
    report = json.loads(alone[paths.index("/rooms/report/")])
    assert (report["count"], report["aggregate"]["n"], report["annotated"]) == (2, 2, 1)
    assert report["names"] == report["page"] == report["either"] == ["Two-room", "Two-hall"]
    assert report["union"] == ["Two-building", "Two-hall", "Two-room"]
    assert sorted(report["through"]) == ["Two-tag", "all"]
    for key in ("join", "reverse", "related", "subquery"):
        assert set(report[key]) == {"Two-room"}, key
    assert report["exists"] == [False, True]


@BOTH
def test_row_21_a_stream_is_of_the_site_alone(visit, rows, sites, door):
    visitor = visit(sites.two)
    assert visitor.get(f"/rooms/{door.streams}stream/").text == "Two-room\nTwo-hall\n"


def test_row_21_sql_past_the_guard_needs_a_site(rows, rf):
    """With one it is not looked into any further: that is for row-level security."""
    with pytest.raises(SiteRequired):
        pages.raw(rf.get("/"))


ATTACKS = {
    "change all": {"model": "room", "method": "update", "values": {"name": "taken"}},
    "delete all": {"model": "room", "method": "delete"},
    "change by key": {"filter": {"pk": 0}, "method": "update", "values": {"name": "taken"}},
    "delete by key": {"filter": {"pk": 0}, "method": "delete"},
    "change by name": {
        "filter": {"building__name": "One-building"},
        "method": "update",
        "values": {"name": "taken"},
    },
    "delete children": {"model": "hall", "method": "delete"},
    "change children": {"model": "hall", "method": "update", "values": {"name": "taken"}},
    "make there": {"method": "create", "values": {"name": "new", "site_id": "one"}},
    "move all there": {"method": "update", "values": {"site_id": "one"}},
    "refer there": {"method": "create", "values": {"name": "new", "building_id": "theirs"}},
    "let all refer there": {"method": "update", "values": {"building_id": "theirs"}},
    "make over it": {"method": "create", "values": {"id": 0, "name": "taken"}},
    "change or make": {
        "filter": {"pk": 0},
        "method": "update_or_create",
        "values": {"pk": 0, "defaults": {"name": "taken"}},
    },
    "key of a room there": {"model": "key", "method": "create", "values": {"room_id": 0}},
    "share it": {"method": "update", "values": {"site_id": None}},
}


def test_row_21_nothing_that_is_written_reaches_rows_of_another_site(attacker, rows):
    theirs, site = rows[0], rows[0].site
    names = {0: theirs.room.pk, "theirs": theirs.building.pk, "one": site.pk}

    def fill(value):
        if isinstance(value, dict):
            return {key: fill(each) for key, each in value.items()}
        known = type(value) in (int, str) and value in names
        return names[value] if known else value

    with override_site(site):
        before = snapshot()
    statuses = set()
    for attack, wanted in ATTACKS.items():
        with transaction.atomic():
            body = {"model": "room", **fill(wanted)}
            statuses.add(send(attacker, "POST", "/rooms/attack/", body).status)
            with override_site(site):
                assert snapshot() == before, attack
            with cross_site("a look"):
                there = Room.objects.filter(building=theirs.building)
                assert not there.exclude(site=site).exists(), attack
                assert theirs.room.keys.count() == 1, attack
            transaction.set_rollback(True)
    assert statuses == {200, 500}


def snapshot():
    return [
        serializers.serialize("json", model._base_manager.order_by("pk"))
        for model in (Room, Building, Booking, Tag)
    ]


# --- row 22: what is left over -----------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("end", ["fail", "{}stream", "stay"])
def test_row_22_a_crossing_that_is_never_left_lets_nobody_else_cross(visit, rows, sites, door, end):
    door.leaves_early, door.closes = "stream" in end, "stream" not in end
    visitor = visit(sites.two)
    try:
        answer = visitor.get(f"/rooms/crossing/{end.format(door.streams)}/")
        assert answer.status == (500 if end == "fail" else 200)
        assert nothing_is_left()
        assert not is_crossing()
        door.leaves_early, door.closes = False, True
        for name, site in sites._asdict().items():
            shown = visit(site).get("/rooms/").json()["rows"]
            assert shown == [f"{name.title()}-room", f"{name.title()}-hall"]
        with pytest.raises(SiteRequired):
            Room.objects.count()
    finally:
        while pages.entered:
            pages.entered.pop().__exit__(None, None, None)


# --- row 25: what a connection keeps -----------------------------------------------------------


def test_row_25_rows_that_are_being_read_stay_those_of_the_site_they_were_asked_for(rows, sites):
    with override_site(sites.one):
        iterator = Room.objects.order_by("pk").iterator(chunk_size=1)
        first = next(iterator).name
    with override_site(sites.two):
        assert [first, *(room.name for room in iterator)] == ["One-room", "One-hall"]
        assert [room.name for room in Room.objects.order_by("pk")] == ["Two-room", "Two-hall"]


def test_row_25_a_transaction_that_is_undone_leaves_no_site_on_its_connection(rows, sites):
    with override_site(sites.one), transaction.atomic():
        assert Room.objects.update(size=9) == 2
        transaction.set_rollback(True)
    with override_site(sites.two):
        assert set(Room.objects.values_list("size", flat=True)) == {1, 2}
    with pytest.raises(SiteRequired):
        Room.objects.update(size=9)


# --- row 26: who owns the platform --------------------------------------------------------------


def test_row_26_no_right_shows_more_rows_than_the_site_has(attacker, rows):
    for path in ("/rooms/", "/rooms/api/", "/rooms/report/"):
        text = attacker.get(path).text
        assert "Two-room" in text
        assert "One-" not in text


def test_row_26_nobody_says_of_which_site_a_row_is(attacker, rows, sites):
    said = {"site": sites.one.pk, "site_id": sites.one.pk}
    form = {"name": "by form", "building": rows[1].building.pk, "tags": rows[1].tag.pk}
    form["neighbours"] = rows[1].room.pk
    assert attacker.post("/rooms/new/", {**form, **said}).status == 302
    mine = {"name": "by api", "building": rows[1].building.pk, **said}
    assert send(attacker, "POST", "/rooms/api/", mine).status == 201
    answer = send(attacker, "PATCH", f"/rooms/api/{rows[1].room.pk}/", said)
    assert answer.json()["site"] == sites.two.pk
    with override_site(sites.two):
        assert Room.objects.filter(name__startswith="by ").count() == 2


def test_row_26_what_another_site_has_taken_is_free_here(attacker, rows, sites):
    wanted = {"model": "booking", "method": "create", "values": {"code": "One-booking"}}
    assert send(attacker, "POST", "/rooms/attack/", wanted).status == 200
    assert attacker.get("/rooms/by-name/?name=One-room").status == 404
    with override_site(sites.two):
        Booking(code="One-building", day="9").full_clean(exclude=["venue", "room"])


# --- row 32: two databases -----------------------------------------------------------------------


@pytest.fixture
def other_database(rows, sites, persons, tmp_path):
    """Another database, in which the same keys are those of rows of other sites."""
    database = sqlite_file(tmp_path / "other.sqlite3")
    before = connections.settings["default"]
    connections.settings["other"] = {**before, **database}
    try:
        connections["other"].connect()  # Django lets tests make none to what they have not named
        with connections["other"].schema_editor() as editor:
            for model in (Site, Person, Tag, Building, Room):
                editor.create_model(model)
        Site.objects.using("other").bulk_create(sites)  # no signals: it is not the one of sites
        with cross_site("rows of a test"):
            for row, name, site in ((0, "other two", sites.two), (1, "other one", sites.one)):
                building = Building(pk=rows[row].building.pk, name=name, site=site)
                building.save(using="other")
        yield
    finally:
        connections["other"].close()
        del connections["other"], connections.settings["other"]


def test_row_32_the_same_key_is_of_another_site_in_another_database(other_database, rows, sites):
    with override_site(sites.two):
        found = Building.objects.using("other")
        assert [building.name for building in found.all()] == ["other two"]
        assert found.filter(pk=rows[1].building.pk).first() is None
        assert found.filter(pk=rows[1].building.pk).update(name="taken") == 0
        assert Building.objects.get(pk=rows[1].building.pk).name == "Two-building"
        assert not Building.objects.filter(pk=rows[0].building.pk).exists()


def test_row_32_a_row_of_one_database_vouches_for_none_of_another(other_database, rows, sites):
    with override_site(sites.two):
        building = Building.objects.get()
        with pytest.raises(CrossSiteWrite):
            Room(name="x", building=building).save(using="other")
        with pytest.raises(CrossSiteWrite):
            Room(name="x", building_id=building.pk).save(using="other")
        Room(name="x", building_id=rows[0].building.pk).save(using="other")


# --- row 33: dumps -------------------------------------------------------------------------------


def dump(*labels):
    out = StringIO()
    call_command("dumpdata", *labels, stdout=out)
    return json.loads(out.getvalue())


def load(tmp_path, objects):
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(objects))
    with transaction.atomic():
        call_command("loaddata", str(path), verbosity=0)


def test_row_33_a_dump_holds_rows_of_the_site_alone(rows, sites):
    with override_site(sites.two):
        text = json.dumps(dump("rooms.Room", "rooms.Hall", "rooms.Building", "rooms.Booking"))
    assert "Two-room" in text
    assert "One-" not in text
    with pytest.raises(CommandError, match=r"rooms\.Room.* was refused"):
        dump("rooms.Room")


def test_row_33_a_dump_of_one_site_is_not_loaded_into_another(rows, sites, tmp_path):
    with override_site(sites.one):
        objects = dump("rooms.Building")
    objects[0]["fields"]["name"] = "taken"
    before = lines()
    with override_site(sites.two), pytest.raises(CrossSiteWrite):
        load(tmp_path, objects)
    assert lines() == before


def test_row_33_a_dump_that_lies_takes_no_row_over(rows, sites, tmp_path):
    theirs, before = rows[0], lines()
    lies = [
        ("rooms.building", theirs.building.pk, {"name": "taken", "site": sites.two.pk}),
        ("rooms.building", None, {"name": "new", "site": sites.one.pk}),
        ("rooms.room", None, {"name": "new", "site": sites.two.pk, "building": 1}),
        ("rooms.key", theirs.key.pk + NOBODYS, {"number": 1, "room": theirs.room.pk}),
        ("rooms.hall", theirs.hall.pk, {"seats": 1}),
    ]
    lies[2][2]["building"] = theirs.building.pk
    for model, pk, fields in lies:
        with override_site(sites.two), pytest.raises((CrossSiteWrite, IntegrityError)):
            load(tmp_path, [{"model": model, "pk": pk, "fields": fields}])
        assert lines() == before
    connection.check_constraints()
