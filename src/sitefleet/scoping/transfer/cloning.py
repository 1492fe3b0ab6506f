"""A site beside itself: an export that goes into an import, with no file between them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sitefleet.scoping.transfer.export import Exporter
from sitefleet.scoping.transfer.importing import import_site

if TYPE_CHECKING:
    from django.contrib.sites.models import Site

    from sitefleet.scoping.transfer.wishes import Progress, Report, Wishes


def clone_site(
    site: Site,
    wishes: Wishes,
    *,
    with_media: bool = True,
    progress: Progress | None = None,
) -> Report:
    """Make a new site with copies of the rows and files of ``site``, and the same accounts.

    ``wishes`` give its slug and domain. Raises what `import_site` raises.
    """
    wishes = replace(wishes, same_fleet=True, domain=wishes.domain or "")
    exporter = Exporter(site, exclude=wishes.exclude, with_media=with_media)
    return import_site(exporter.records(), wishes, progress)
