"""Tags for templates: ``{% load sitefleet %}``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import template

from sitefleet import addresses

if TYPE_CHECKING:
    from django.contrib.sites.models import Site

register = template.Library()


@register.simple_tag
def site_url(site: Site | int, /, *view: Any, **kwargs: Any) -> str:
    """Return the absolute URL of a view on a site, as ``{% url %}`` does for this one.

    ``{% site_url site "news" pk=1 %}``, or with ``as name``; without a view, of its front page.
    Raises NoReverseMatch, and what `sitefleet.addresses.site_url` raises.
    """
    if not view:
        return addresses.site_url(site)
    name, *args = view
    return addresses.site_reverse(site, name, args=args, kwargs=kwargs)
