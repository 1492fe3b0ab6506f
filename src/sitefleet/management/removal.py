"""``manage.py sites remove``: a site, and all that belongs to it by Django's cascade."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING

from django.contrib.sites.models import Site
from django.core.management.base import CommandError
from django.db import router
from django.db.models import ProtectedError, RestrictedError
from django.db.models.deletion import Collector

from sitefleet.current import override_site
from sitefleet.management import USAGE_ERROR
from sitefleet.management.output import printable, table

if TYPE_CHECKING:
    from sitefleet.models import SiteConfig


def rows_of(site: Site) -> str:
    """Return a table of what goes with a site: models, and how many rows.

    Raises CommandError when a model protects rows that belong to the site.
    """
    collector = Collector(using=router.db_for_write(Site), origin=site)
    with override_site(site):  # whose rows they are
        try:
            collector.collect([site])
        except (ProtectedError, RestrictedError) as error:
            message = (
                f"{site.name} cannot be removed. {error.args[0]}"
                " `sites delete` takes the rows that belong to a site with it."
            )
            raise CommandError(printable(message)) from error
        counts = Counter({model._meta.label: len(rows) for model, rows in collector.data.items()})
        for query in collector.fast_deletes:
            counts[query.model._meta.label] += query.count()
    rows = [(label, str(count)) for label, count in sorted(counts.items()) if count]
    return table(("model", "rows"), rows)


def confirm(config: SiteConfig) -> None:
    """Let whoever sits at the terminal type the slug. Raises CommandError unless they do."""
    ask_for_slug(config, rows_of(config.site))


def ask_for_slug(config: SiteConfig, rows: str) -> None:
    """Show what would go, and let the slug be typed. Raises CommandError unless it is."""
    if not sys.stdin.isatty():
        message = "Without a terminal say --no-input; --dry-run shows what would go."
        raise CommandError(message, returncode=USAGE_ERROR)
    sys.stderr.write(printable(f"This goes with {config.site.name}:\n{rows}\n"))
    sys.stderr.write(f"Type the slug, {config.slug}, to remove it for good: ")
    sys.stderr.flush()
    try:
        typed = sys.stdin.readline()
    except KeyboardInterrupt:
        typed = ""
    if typed.strip() != config.slug:
        message = "That is not its slug: nothing was removed."
        raise CommandError(message)
