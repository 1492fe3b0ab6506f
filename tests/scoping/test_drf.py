"""An API on one site has no row of another: class-level querysets, references, pages."""

import json

import pytest

from sitefleet import override_site
from sitefleet.scoping import cross_site
from sitefleet.test import client_for
from tests.rooms.models import Booking, Building, Room, Tag

pytest.importorskip("rest_framework")

MODELS = {"rooms": Room, "buildings": Building, "bookings": Booking, "tags": Tag}


@pytest.fixture
def api(site, other_site, settings):
    """The client of the second site, and what is on the first and on the second."""
    settings.ROOT_URLCONF = "tests.scoping.api"
    made = []
    for each in (site, other_site):
        with override_site(each):
            building = Building.objects.create(name=f"house {each.name}")
            tag = Tag.objects.create(name=f"tag {each.name}")
            room = Room.objects.create(name=f"room {each.name}", building=building)
            room.tags.add(tag)
            booking = Booking.objects.create(code=each.name, room=room)
            made.append({"rooms": room, "buildings": building, "bookings": booking, "tags": tag})
    return client_for(other_site), *made


def everything():
    with cross_site("test"):
        return {model: list(model.objects.order_by("pk").values()) for model in MODELS.values()}


def send(client, method, url, data=None):
    return client.generic(method, url, json.dumps(data or {}), content_type="application/json")


def test_lists_and_pages_are_of_the_site(api):
    client, _, mine = api
    for name in MODELS:
        answer = client.get(f"/api/{name}/").json()
        assert answer["count"] == 1
        assert [item["id"] for item in answer["results"]] == [mine[name].pk]
        assert "One" not in str(answer)
        assert client.get(f"/api/{name}/?limit=1&offset=1").json()["results"] == []


def test_what_is_of_another_site_is_404(api):
    client, theirs, mine = api
    before = everything()
    data = {"name": "x", "code": "x"}
    for name in MODELS:
        for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE"):
            answer = send(client, method, f"/api/{name}/{theirs[name].pk}/", data)
            assert answer.status_code == 404, (method, name)
        assert client.get(f"/api/{name}/{mine[name].pk}/").status_code == 200
    assert everything() == before


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a_reference_to_another_site_is_an_error_of_the_request(api, method):
    client, theirs, mine = api
    before = everything()
    for name, field, key in (
        ("rooms", "building", theirs["buildings"].pk),
        ("rooms", "tags", [theirs["tags"].pk]),
        ("bookings", "room", theirs["rooms"].name),
    ):
        url = f"/api/{name}/" + ("" if method == "POST" else f"{mine[name].pk}/")
        answer = send(client, method, url, {"name": "x", "code": "x", field: key})
        assert answer.status_code == 400
        assert field in answer.json()
    assert everything() == before


def test_new_rows_are_of_the_site(api, other_site):
    client, _, mine = api
    data = {"name": "new", "building": mine["buildings"].pk, "tags": [mine["tags"].pk]}
    answer = send(client, "POST", "/api/rooms/", data)
    assert answer.status_code == 201
    with override_site(other_site):
        assert Room.objects.get(pk=answer.json()["id"]).site_id == other_site.pk


def test_what_is_unique_on_the_site_is_an_error_of_the_request(api):
    client, _, mine = api
    data = {"code": "Two", "day": "2", "room": "room Two"}
    before = everything()
    answer = send(client, "POST", "/api/bookings/", data)
    assert answer.status_code == 400
    assert "code" in answer.json()
    assert send(client, "POST", "/api/bookings/", data | {"code": "One"}).status_code == 201
    own = f"/api/bookings/{mine['bookings'].pk}/"
    assert send(client, "PATCH", own, {"code": "Two", "day": "3"}).status_code == 200
    assert send(client, "PATCH", own, {"code": "One"}).status_code == 400
    assert len(everything()[Booking]) == len(before[Booking]) + 1
