"""Forms of the admin, as a browser sends them."""

from django.urls import reverse

from sitefleet.models import Alias
from sitefleet.registry import get_config

LIST = "/admin/sites/site/"


def form_of(site=None, aliases=(), **changes):
    """Return what the browser sends for a form with these aliases, old and new."""
    data = {"name": "New", "slug": "new", "domain": "", "path_prefix": "", "state": "active"}
    if site is not None:
        config = get_config(site)
        data |= {"name": config.site.name, "slug": config.slug, "state": config.state}
        data |= {"domain": config.production_domain, "path_prefix": config.path_prefix}
    data |= changes
    old = [alias for alias in aliases if isinstance(alias, Alias)]
    data["fleet_aliases-TOTAL_FORMS"] = len(aliases)
    data["fleet_aliases-INITIAL_FORMS"] = len(old)
    for number, alias in enumerate(aliases):
        known = isinstance(alias, Alias)
        data[f"fleet_aliases-{number}-name"] = alias.name if known else alias
        data[f"fleet_aliases-{number}-redirect"] = "on"
        if known:
            data[f"fleet_aliases-{number}-id"] = alias.pk
            data[f"fleet_aliases-{number}-site"] = alias.site_id
    return data


def change_url(site):
    return reverse("admin:sites_site_change", args=[site.pk])
