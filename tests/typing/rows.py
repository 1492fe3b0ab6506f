"""Rows that belong to a site as users write them. Never run: mypy reads it, strictly."""

from typing import assert_type

from django.contrib.auth.models import AbstractUser
from django.contrib.sites.models import Site
from django.db import models
from django.db.models import QuerySet

from sitefleet.exceptions import CrossSiteWrite, SiteError, SiteRequired
from sitefleet.scoping import (
    SharedSiteModel,
    SiteField,
    SiteManager,
    SiteModel,
    SitesField,
    SitesModel,
    SiteUniqueConstraint,
    cross_site,
)
from tests.rooms.models import Booking, Notice, Room, Tag


class Office(SiteModel):
    """A model of one's own."""

    city = models.CharField(max_length=60)

    class Meta(SiteModel.Meta):
        app_label = "typing"
        constraints = (SiteUniqueConstraint(fields=["site", "city"], name="one_in_a_city"),)


class Hotline(SharedSiteModel):
    """One that may be of all sites."""

    class Meta(SharedSiteModel.Meta):
        app_label = "typing"


class Leaflet(SitesModel):
    """One of some sites."""

    class Meta(SitesModel.Meta):
        app_label = "typing"


class Shelf(models.Model):
    """One that has a field of another name, options of a foreign key and a second manager."""

    venue = SiteField(Site, models.CASCADE, null=True, related_name="shelves")
    branches = SitesField(related_name="+")

    objects = models.Manager["Shelf"]()
    here = SiteManager["Shelf"]()

    class Meta:
        app_label = "typing"

    def __str__(self) -> str:
        return self.venue.name if self.venue else ""


def reading(room: Room, tag: Tag, notice: Notice, booking: Booking) -> None:
    assert_type(Room.objects.get(), Room)
    assert_type(Room.objects.filter(size__gt=1).first(), Room | None)
    assert_type(Booking.here.all(), QuerySet[Booking, Booking])
    assert_type(Booking.here.get(), Booking)
    assert_type(room.site, Site)
    assert_type(tag.site, Site | None)
    assert_type(tag.site_id, int | None)
    assert_type(notice.sites.get(), Site)
    assert_type(booking.venue, Site)


def writing(site: Site) -> None:
    Office.objects.create(city="Accra")
    Office.objects.create(city="Accra", site=site)
    Office(city="Accra", site_id=site.pk).save()
    Hotline.objects.create(site=None)


def crossing(user: AbstractUser) -> None:
    with cross_site("yearly report of all sites"):
        pass
    with cross_site("a repair", by=user) as nothing:
        assert_type(nothing, None)
    assert_type(yearly(2026), int)


@cross_site("yearly report of all sites")
def yearly(year: int) -> int:
    return Room.objects.filter(size=year).count()


@cross_site("yearly report of all sites")
async def later(year: int) -> int:
    async with cross_site("and inside"):
        return await Room.objects.filter(size=year).acount()


async def waiting() -> None:
    assert_type(await later(2026), int)


def failing() -> None:
    try:
        Room.objects.get()
    except SiteRequired as error:
        as_usual(error)
    except CrossSiteWrite as error:
        as_usual(error)


def as_usual(error: SiteError) -> str:
    return str(error)
