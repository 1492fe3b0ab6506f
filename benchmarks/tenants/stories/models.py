"""One table that is served, and one that gets a further field."""

from __future__ import annotations

from django.apps import apps
from django.conf import settings
from django.db import models

if settings.SCHEMAS:  # the tenant is in the name of the table

    class OfSite(models.Model):
        """Says nothing."""

        class Meta:
            abstract = True

elif apps.is_installed("sitefleet"):
    from sitefleet.scoping import SiteModel as OfSite
else:

    class OfSite(models.Model):
        """Says it by a foreign key."""

        site = models.ForeignKey("sites.Site", models.PROTECT)

        class Meta:
            abstract = True


class Story(OfSite):
    """What the view shows."""

    title = models.CharField(max_length=100)


class Section(OfSite):
    """What gets a further field."""

    name = models.CharField(max_length=100)
    colour = models.CharField(max_length=20, default="red")
