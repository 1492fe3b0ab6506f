"""Changes of the site table, as other programs make them while a fleet is served."""

from __future__ import annotations

import time
from typing import Any

from django.db import transaction

from sitefleet.models import SiteConfig
from sitefleet.registry import add_site


def add(domain: str, mode: str) -> float:
    """Add a site; return when that was done, by the clock of the machine."""
    with transaction.atomic():
        site = add_site(domain=domain)
        SiteConfig.objects.filter(site=site).update(mode=mode)
    return time.monotonic()


def configure(number: int, **values: Any) -> float:
    """Change columns of a site; return when that was done, by the clock of the machine."""
    config = SiteConfig.objects.get(site_id=number)
    for name, value in values.items():
        setattr(config, name, value)
    config.save()
    return time.monotonic()
