"""The fields by which a row belongs to a site. In migrations they are Django's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from django.db import models

from sitefleet.current import get_current_site_id
from sitefleet.exceptions import NoCurrentSite

#: What may be set, and what is got: the plugin of django-stubs fills them in.
S = TypeVar("S")
G = TypeVar("G")

if TYPE_CHECKING:
    ManyToManyField = models.ManyToManyField[Any, Any]
else:  # without a subscript before Django has one
    ManyToManyField = models.ManyToManyField

SITES_MODEL = "sites.Site"


def default_site() -> int | None:
    """Return the id of the current site for a new row, None where there is none yet."""
    try:
        return get_current_site_id()
    except NoCurrentSite:
        return None  # the statement is going to say it, unless the row gets one before


class SiteField(models.ForeignKey[S, G]):
    """The site that a row belongs to: a foreign key, filled from the current site.

    With ``null=True`` rows without a site are of all sites: read everywhere, changed on none.
    """

    belongs_to_site = True

    def __init__(
        self, to: Any = SITES_MODEL, on_delete: Any = models.PROTECT, **kwargs: Any
    ) -> None:
        kwargs.setdefault("editable", False)
        kwargs.setdefault("default", default_site)
        super().__init__(to, on_delete, **kwargs)

    def deconstruct(self) -> Any:
        """Return Django's foreign key, so that migrations do not need sitefleet."""
        name, _, args, kwargs = super().deconstruct()
        if kwargs.get("default") is default_site:
            del kwargs["default"]
        return name, "django.db.models.ForeignKey", args, kwargs


class SitesField(ManyToManyField):
    """The sites that a row belongs to: a new row belongs to the current site.

    It is read and changed on each of its sites; which they are, is changed under `cross_site`.
    """

    belongs_to_site = True

    def __init__(self, to: Any = SITES_MODEL, **kwargs: Any) -> None:
        kwargs.setdefault("editable", False)
        super().__init__(to, **kwargs)

    def deconstruct(self) -> Any:
        """Return Django's field, so that migrations do not need sitefleet."""
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.ManyToManyField", args, kwargs
