"""Stories, their authors and what is said about them; and countries, which belong to no site."""

from __future__ import annotations

from django.conf import settings
from django.contrib.sites.models import Site
from django.db import models

if settings.ROWS == "own":
    from sitefleet.scoping import SiteModel as OfSite
else:

    class OfSite(models.Model):
        """What somebody writes who has never heard of us."""

        site = models.ForeignKey(Site, models.PROTECT, editable=False)

        class Meta:
            abstract = True


class Author(OfSite):
    """Whoever has written stories."""

    name = models.CharField(max_length=100)


class Story(OfSite):
    """What most queries are about."""

    title = models.CharField(max_length=100)
    body = models.TextField()
    section = models.IntegerField()
    published = models.IntegerField()
    author = models.ForeignKey(Author, models.CASCADE)

    class Meta:
        indexes = [models.Index(fields=["site", "-published"], name="rows_of_a_site")]


class Comment(OfSite):
    """What is said about a story."""

    story = models.ForeignKey(Story, models.CASCADE, related_name="comments")
    text = models.CharField(max_length=100)


class Country(models.Model):
    """Belongs to no site."""

    name = models.CharField(max_length=100)
