"""A site beside itself: an export that goes into an import, with no file between them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from django.db import OperationalError

from sitefleet.exceptions import TransferRefused
from sitefleet.scoping.transfer.export import Exporter, is_overtaken, repeatable
from sitefleet.scoping.transfer.importing import import_site

if TYPE_CHECKING:
    from django.contrib.sites.models import Site

    from sitefleet.scoping.transfer.options import ImportOptions, ImportReport, Progress

#: Where others change the fleet at the same time.
TRIES = 5


def clone_site(
    site: Site,
    wishes: ImportOptions,
    *,
    with_media: bool = True,
    progress: Progress | None = None,
) -> ImportReport:
    """Make a new site with copies of the rows and files of ``site``, and the same accounts.

    ``wishes`` give its slug and domain. The copy is of one moment, but for its files. Raises what
    `import_site` raises.
    """
    wishes = replace(wishes, same_fleet=True, domain=wishes.domain or "")
    for left in reversed(range(TRIES)):
        exporter = Exporter(site, exclude=wishes.exclude, with_media=with_media)
        try:
            # Read and written in one transaction: so it has to see one moment, too.
            with repeatable(exporter.graph.using):
                return import_site(exporter.records(), wishes, progress)
        except OperationalError as error:
            if not is_overtaken(error):
                raise
            if not left:
                message = "The fleet is being changed by others: try again."
                raise TransferRefused(message) from error
    raise AssertionError  # there is a last try
