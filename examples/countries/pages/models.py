from django.contrib.sites.managers import CurrentSiteManager
from django.contrib.sites.models import Site
from django.db import models
from django.urls import reverse
from django.utils import timezone


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
