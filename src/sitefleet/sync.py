"""``Site.domain`` for this environment: written by one explicit step, and back.

Nothing in sitefleet needs it: resolution uses the rule alone, and sites that are handed out show
this environment's host. It is for other people's code that reads rows of ``Site`` by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.contrib.sites.models import Site
from django.db import router

from sitefleet.environments import Environment, get_environment
from sitefleet.models import SiteConfig, registry_lock
from sitefleet.registry import NO_DOMAIN, columns_for
from sitefleet.resolver import resolver
from sitefleet.site_rows import add_missing_configs

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH = 1000


@dataclass(frozen=True, slots=True)
class Change:
    """What `sync` does to one site."""

    pk: int
    slug: str
    before: str
    after: str
    kept: str | None


def sync(
    *,
    production: bool = False,
    dry_run: bool = False,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[Change]:
    """Write the hosts of this environment, or the production names, into ``Site.domain``.

    One transaction, locked against a second run; the second run finds nothing to do. Returns the
    changes, made or (``dry_run``) not. Raises ValidationError when a host does not fit the column.
    """
    environment = get_environment()
    target = Environment(environment.scheme) if production else environment
    using = router.db_for_write(SiteConfig)
    with registry_lock(using):
        if not dry_run:
            add_missing_configs(using)
        changes = find_changes(environment, target)
        if not dry_run:
            _write(changes, progress)
    resolver.expire(using)
    return changes


def find_changes(
    environment: Environment, target: Environment, *, limit: int | None = None
) -> list[Change]:
    """Return what differs from what the columns hold in the ``target`` environment.

    ``limit`` is how many sites are looked at; None: all.
    """
    changes = []
    configs = SiteConfig.objects.select_related("site").order_by("slug")[:limit]
    for config in configs.iterator(BATCH):
        domain = config.production_domain
        if config.domain is None and not environment.is_live and _is_local(config, environment):
            domain = ""
        after, kept = columns_for(config.slug, domain, config.path_prefix, target)
        before = config.site.domain
        if (before, config.domain) != (after, kept):
            changes.append(Change(config.pk, config.slug, before, after, kept))
    return changes


def _is_local(config: SiteConfig, environment: Environment) -> bool:
    """Tell whether the column holds this environment's host, not a domain: made here by others."""
    return config.site.domain == environment.host_of(config.slug, "")


def _write(changes: list[Change], progress: Callable[[int, int], None]) -> None:
    # First out of each other's way: the column is unique, and names may move between sites.
    moving = [change for change in changes if change.before != change.after]
    total = len(moving) + len(changes)
    for start in range(0, len(moving), BATCH):
        batch = moving[start : start + BATCH]
        rows = [Site(pk=change.pk, domain=f"moving-{change.pk}.{NO_DOMAIN}") for change in batch]
        Site.objects.bulk_update(rows, ["domain"])
        progress(start + len(batch), total)
    for start in range(0, len(changes), BATCH):
        batch = changes[start : start + BATCH]
        Site.objects.bulk_update(
            [Site(pk=change.pk, domain=change.after) for change in batch], ["domain"]
        )
        SiteConfig.objects.bulk_update(
            [SiteConfig(pk=change.pk, domain=change.kept) for change in batch], ["domain"]
        )
        progress(len(moving) + start + len(batch), total)
