from django.contrib.sites.managers import CurrentSiteManager
from django.contrib.sites.models import Site
from django.db import models
from django.urls import reverse
from django.utils import timezone

from sitefleet.scoping import SharedSiteModel, SiteModel


class Article(models.Model):
    site = models.ForeignKey(Site, on_delete=models.CASCADE, editable=False)
    title = models.CharField(max_length=120)
    summary = models.TextField()
    body = models.TextField()
    published = models.DateField(default=timezone.localdate)

    objects = models.Manager()
    on_site = CurrentSiteManager()  # Django's own; it follows the current site

    class Meta:
        ordering = ("-published", "-pk")

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("article", args=[self.pk])


class Office(SiteModel):
    """Belongs to the site that is current when it is made: nobody has to say so, or to filter."""

    city = models.CharField(max_length=60)
    street = models.CharField(max_length=120)

    class Meta:
        ordering = ("city",)

    def __str__(self) -> str:
        return self.city


class Hotline(SharedSiteModel):
    """Belongs to one site, or is shared by all: then ``site`` is None."""

    name = models.CharField(max_length=60)
    phone = models.CharField(max_length=30)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name
