"""sitefleet: one Django project, a fleet of sites.

The public names here need no models, so they can be imported anywhere, in settings too.
"""

from sitefleet.current import (
    AcceptedHost,
    activate,
    carry_site,
    deactivate,
    get_current_site,
    get_current_site_id,
    override_site,
)

__all__ = [
    "ACCEPTED_HOST",
    "activate",
    "carry_site",
    "deactivate",
    "get_current_site",
    "get_current_site_id",
    "override_site",
]

#: The entry for ``ALLOWED_HOSTS``: lets through the host that leads to a site, and no other.
ACCEPTED_HOST = AcceptedHost("<the host that sitefleet has accepted>")
