"""Models whose rows belong to a site, and their manager."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from django.db import models
from django.db.models.sql.where import AND
from django.utils.translation import pgettext_lazy

from sitefleet.scoping.conditions import OfCurrentSite
from sitefleet.scoping.fields import SiteField, SitesField
from sitefleet.scoping.scopes import scopes

if TYPE_CHECKING:
    from django.contrib.sites.models import Site
    from django.db.models import QuerySet

M = TypeVar("M", bound=models.Model)


class SiteManager(models.Manager[M]):
    """The rows of the site that is current when the statement runs, whenever the queryset is made.

    The guard adds that condition to every statement, whatever the manager; with the guard off this
    one does so.
    """

    def get_queryset(self) -> QuerySet[M]:
        """Return the rows of the current site; shared ones too."""
        queryset = super().get_queryset()
        # Not twice: in HAVING, where `|` may put it, the rows would be grouped by it too.
        scope = None if scopes.guarded else scopes.of(self.model)
        if scope is not None:  # None for the models in migrations
            alias = queryset.query.get_initial_alias()
            queryset.query.where.add(OfCurrentSite(scope, alias), AND)
        return queryset


class SiteModel(models.Model):
    """A row belongs to one site, which is the current one where none is given."""

    site = SiteField(verbose_name=pgettext_lazy("sitefleet", "site"))

    objects: ClassVar[SiteManager[Self]] = SiteManager()

    class Meta:
        abstract = True


class SharedSiteModel(models.Model):
    """A row belongs to one site, or is shared by all of them: ``site`` is None.

    Shared rows are read on every site, and changed under `cross_site` alone.
    """

    site = SiteField(verbose_name=pgettext_lazy("sitefleet", "site"), null=True, blank=True)

    objects: ClassVar[SiteManager[Self]] = SiteManager()

    class Meta:
        abstract = True


class SitesModel(models.Model):
    """A row belongs to some sites, to the current one where it is made."""

    sites: models.ManyToManyField[Site, Any] = SitesField(
        verbose_name=pgettext_lazy("sitefleet", "sites")
    )

    objects: ClassVar[SiteManager[Self]] = SiteManager()

    class Meta:
        abstract = True
