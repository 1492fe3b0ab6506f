"""Sites with rows of all kinds, and what can be seen of them."""

import io
import json

from django.apps import apps
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from sitefleet import override_site
from sitefleet.registry import add_site
from sitefleet.scoping import cross_site
from sitefleet.scoping.transfer.export import Exporter
from sitefleet.scoping.transfer.fileformat import read, write
from sitefleet.scoping.transfer.finding import find_graph
from sitefleet.scoping.transfer.importing import import_site
from sitefleet.scoping.transfer.media import walk
from sitefleet.scoping.transfer.options import ImportOptions
from tests.news.models import Article
from tests.rooms.models import Booking, Building, Hall, Key, Notice, Person, Room, Tag


def exported(site, **options):
    stream = io.BytesIO()
    write(Exporter(site, **options).records(), stream)
    return stream.getvalue()


def imported(data, **wishes):
    return import_site(read(io.BytesIO(data)), ImportOptions(**wishes))


def records_in(data):
    return [json.loads(line) for line in data.splitlines()]


def whole(records):
    """Return records as a file, its digest made anew, as an attacker would."""
    stream = io.BytesIO()
    write([record for record in records if "digest" not in record], stream)
    return stream.getvalue()


def fill(site, person):
    """Give a site a row of each kind."""
    with override_site(site):
        building = Building.objects.create(name=f"{site.name} house")
        tag = Tag.objects.create(name=site.name)
        rooms = [
            Room.objects.create(name=f"{site.name} {number}", building=building, owner=person)
            for number in range(3)
        ]
        hall = Hall.objects.create(name=f"{site.name} hall", seats=9, tag=tag)
        rooms[0].neighbours.add(rooms[1], hall)
        rooms[0].guests.add(person)
        rooms[1].tags.add(tag, Tag.objects.get(name="of all"))
        Key.objects.create(room=hall, spare=rooms[2], number=7)
        Notice.objects.create(text=f"{site.name} notice", room=rooms[0])
        Booking.objects.create(code=site.name, room=rooms[2], day="monday")
        Article.objects.create(site=site, title=f"{site.name} news")
        for name in ("maps/plan.txt", "logo.txt"):
            default_storage.save(name, ContentFile(f"{name} of {site.name}".encode()))
    return site


def make_world():
    person = Person.objects.create(name="Ann")
    with cross_site("of all"):
        Tag.objects.create(name="of all", site=None)
    one = fill(add_site("one", name="One", domain="one.example.org"), person)
    two = fill(add_site("two", name="Two", domain="two.example.org"), person)
    with override_site(one):
        both = Notice.objects.create(text="both")
    with cross_site("of two sites"):
        both.sites.add(two)
    return one, two


def portrait(site):
    """All that can be seen of a site, but its name and its keys."""
    with override_site(site):
        rooms = Room.objects.filter(site=site)  # for tests without the guard
        return {
            "rooms": sorted(
                (
                    room.name,
                    room.size,
                    room.building.name if room.building else "",
                    room.owner_id or 0,
                    room.tag.name if room.tag else "",
                    sorted(other.name for other in room.neighbours.all()),
                    sorted(guest.pk for guest in room.guests.all()),
                    sorted(tag.name for tag in room.tags.all()),
                )
                for room in rooms
            ),
            "halls": [(hall.name, hall.seats) for hall in Hall.objects.filter(site=site)],
            "keys": [(k.room.name, k.spare.name) for k in Key.objects.filter(room__in=rooms)],
            "notices": sorted(
                (n.text, n.room.name if n.room else "") for n in Notice.objects.all()
            ),
            "bookings": sorted((b.room.name, b.day) for b in Booking.objects.filter(venue=site)),
            "articles": [article.title for article in Article.objects.filter(site=site)],
            "files": {name: default_storage.open(name).read() for name in walk(default_storage)},
        }


def everything_of(site):
    """The rows of a site, with their keys."""
    graph = find_graph()
    with override_site(site):
        return {
            node.label: list(graph.rows(node, site.pk).order_by("pk").values())
            for node in graph.nodes.values()
        }


def files_of(storage):
    """The names of all files of a storage."""
    return sorted(walk(storage))


def without_keys(data):
    """What an export says, with keys as the place in which they came first."""
    names, places, told = {}, {}, []

    def place(model, key):
        key = model._meta.concrete_model, key
        return key if key[1] is None else places.setdefault(key, len(places))

    for record in records_in(data):
        if "row" in record:
            fields = [
                apps.get_model(record["row"])._meta.get_field(name) for name in names[record["row"]]
            ]
            values = [
                place(field.related_model or field.model, value)
                if field.primary_key or field.remote_field
                else value
                for field, value in zip(fields, record["values"], strict=True)
            ]
            told.append((record["row"], values))
        elif "format" in record:
            names = {label: facts["fields"] for label, facts in record["models"].items()}
            site = {name: value for name, value in record["site"].items() if name != "id"}
            told.append((site, record["models"]))
        elif "ref" not in record and "digest" not in record:
            told.append(record)
    return told
