"""Rows belong to a site, and forgetting that is harmless.

Models of your own are `SiteModel`, or have a `SiteField`; those of other people are named in
``SITEFLEET["SCOPED_MODELS"]``. The guard lets no statement on their rows run that is for no site;
`cross_site` is the way out.
"""

from sitefleet.scoping.constraints import SiteUniqueConstraint
from sitefleet.scoping.crossing import cross_site
from sitefleet.scoping.fields import SiteField, SitesField
from sitefleet.scoping.models import SharedSiteModel, SiteManager, SiteModel, SitesModel

__all__ = [
    "SharedSiteModel",
    "SiteField",
    "SiteManager",
    "SiteModel",
    "SiteUniqueConstraint",
    "SitesField",
    "SitesModel",
    "cross_site",
]
