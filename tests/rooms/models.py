"""One model for each way in which a row can belong to a site, and some that belong to none."""

from __future__ import annotations

from typing import Any

from django.contrib.sites.models import Site
from django.db import models

from sitefleet.scoping import (
    SharedSiteModel,
    SiteField,
    SiteManager,
    SiteModel,
    SitesModel,
    SiteUniqueConstraint,
)


class Person(models.Model):
    """Belongs to no site."""

    name = models.CharField(max_length=50)

    def __str__(self) -> str:
        return self.name


class Tag(SharedSiteModel):
    """Belongs to one site, or is shared by all."""

    name = models.CharField(max_length=50)
    suits: models.ManyToManyField[Room, Any] = models.ManyToManyField(
        "Room", blank=True, related_name="suited"
    )

    def __str__(self) -> str:
        return self.name


class Building(SiteModel):
    """Belongs to one site."""

    name = models.CharField(max_length=50)

    def __str__(self) -> str:
        return self.name


class Room(SiteModel):
    """Belongs to one site, and refers to rows of all kinds."""

    name = models.CharField(max_length=50)
    size = models.IntegerField(default=0)
    building = models.ForeignKey(Building, models.CASCADE, null=True, related_name="rooms")
    owner = models.ForeignKey(Person, models.CASCADE, null=True, related_name="rooms")
    tag = models.ForeignKey(Tag, models.SET_NULL, null=True, related_name="rooms")
    guests = models.ManyToManyField(Person, related_name="visited")
    neighbours = models.ManyToManyField("self")
    tags = models.ManyToManyField(Tag, related_name="tagged")
    residents = models.ManyToManyField(Person, blank=True, through="Stay", related_name="homes")

    def __str__(self) -> str:
        return self.name


class Hall(Room):
    """A room of which the rest is in a table of its own."""

    seats = models.IntegerField(default=0)


class Big(Room):
    """A proxy."""

    class Meta:
        proxy = True


class Stay(models.Model):
    """Is between rows of which one belongs to a site."""

    person = models.ForeignKey(Person, models.CASCADE, related_name="+")
    room = models.ForeignKey(Room, models.CASCADE, related_name="+")
    nights = models.IntegerField(default=1)


class Key(models.Model):
    """Belongs to no site, and refers to a row that does."""

    room = models.ForeignKey(Room, models.CASCADE, related_name="keys")
    spare = models.ForeignKey(Room, models.SET_NULL, null=True, related_name="spares")
    number = models.IntegerField(default=0)


class Notice(SitesModel):
    """Belongs to some sites."""

    text = models.CharField(max_length=50)
    room = models.ForeignKey(Room, models.CASCADE, null=True, related_name="notices")
    readers = models.ManyToManyField(Person, blank=True, related_name="notices")
    boards = models.ManyToManyField(Room, blank=True, related_name="posted")

    def __str__(self) -> str:
        return self.text


class Booking(models.Model):
    """Belongs to a site by a field of another name, and has Django's own manager first."""

    objects = models.Manager()
    here = SiteManager["Booking"]()

    venue = SiteField(Site, models.CASCADE, related_name="bookings")
    code = models.CharField(max_length=20)
    room = models.ForeignKey(Room, models.CASCADE, null=True, related_name="bookings")
    day = models.CharField(max_length=10, default="")

    class Meta:
        constraints = [
            SiteUniqueConstraint(fields=["venue", "code"], name="one_code"),
            models.UniqueConstraint(fields=["venue", "day"], name="one_a_day"),
        ]
