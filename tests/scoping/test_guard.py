"""Every statement on rows of sites is for a site."""

from __future__ import annotations

import pytest
from django.contrib.sites.models import Site
from django.db import transaction

from sitefleet import override_site
from sitefleet.exceptions import CrossSiteWrite, SiteRequired
from sitefleet.scoping import cross_site
from tests.rooms.models import Booking, Hall, Key, Notice, Person, Room, Tag

pytestmark = pytest.mark.django_db


@pytest.fixture
def sites(settings):
    settings.SITE_ID = None
    return Site.objects.create(domain="a.test", name="A"), Site.objects.create(
        domain="b.test", name="B"
    )


def test_smoke(sites):
    a, b = sites
    lazily = Room.objects.all()
    with pytest.raises(SiteRequired):
        list(lazily)
    for site in sites:
        with override_site(site):
            room = Room.objects.create(name=site.name)
            tag = Tag.objects.create(name=site.name)
            room.tags.add(tag)
            person = Person.objects.create(name=site.name)
            room.guests.add(person)
            Hall.objects.create(name=f"H{site.name}", seats=4)
            Key.objects.create(room=room)
            Notice.objects.create(text=site.name)
            Booking.objects.create(code=site.name, room=room)
    with cross_site("shared"):
        Tag.objects.create(name="all", site=None)
    with override_site(a):
        assert [r.name for r in lazily.all()] == ["A", "HA"]
        assert [r.name for r in Tag.objects.order_by("name")] == ["A", "all"]
        assert [n.text for n in Notice.objects.all()] == ["A"]
        assert [k.room.name for k in Key.objects.select_related("room")] == ["A"]
        assert Key.objects.count() == 2
        assert Person.objects.filter(visited__isnull=False).count() == 1
        assert [h.name for h in Hall.objects.all()] == ["HA"]
        assert Booking.objects.update(day="1") == 1
        assert Hall.objects.update(name="x", seats=3) == 1
        assert Hall.objects.get().name == "x"
        with pytest.raises(CrossSiteWrite), transaction.atomic():
            Booking.objects.update(venue=b)
        other = Room._base_manager.using("default")
        with cross_site("look"):
            theirs = Room.objects.get(name="B")
        with pytest.raises(CrossSiteWrite), transaction.atomic():
            theirs.save()
        with pytest.raises(CrossSiteWrite), transaction.atomic():
            theirs.delete()
        with pytest.raises(CrossSiteWrite), transaction.atomic():
            Booking.objects.create(code="3", room=theirs)
        with pytest.raises(CrossSiteWrite), transaction.atomic():
            Booking.objects.create(code="3", room_id=theirs.pk)
        with pytest.raises(CrossSiteWrite), transaction.atomic():
            Booking.objects.update(room=theirs)
        with pytest.raises(CrossSiteWrite), transaction.atomic():
            mine = Booking.objects.get()
            mine.room_id = theirs.pk
            mine.save()
        Room.objects.filter(name="A").delete()
        assert Key.objects.count() == 1
    Room.objects.filter(site=b).count()
    with cross_site("x"):
        assert Room.objects.count() == 3
