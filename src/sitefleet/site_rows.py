"""Django's ``Site`` rows, whoever saves them: in normal form, unique, each with a SiteConfig."""

from __future__ import annotations

import logging
import re
from contextlib import suppress
from secrets import randbits
from typing import TYPE_CHECKING, Any

from django.contrib.sites.models import Site
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models.signals import post_delete, post_save, pre_save

from sitefleet import hosts
from sitefleet.environments import get_environment
from sitefleet.generation import GENERATION_BITS, TOKEN_ROW, Generation
from sitefleet.models import Alias, SiteConfig, ensure_free, registry_lock
from sitefleet.naming import SLUG_LENGTH, clean_domain
from sitefleet.presented import present, shown
from sitefleet.resolver import resolver

if TYPE_CHECKING:
    from collections.abc import Iterable

logger = logging.getLogger("sitefleet")


def connect() -> None:
    """Listen to what is saved and deleted through the ORM."""
    pre_save.connect(_before_site, sender=Site, dispatch_uid="sitefleet.before_site")
    post_save.connect(_after_site, sender=Site, dispatch_uid="sitefleet.after_site")
    post_save.connect(_loaded, sender=Generation, dispatch_uid="sitefleet.loaded")
    for model in (Site, SiteConfig, Alias):
        for signal in (post_save, post_delete):
            signal.connect(_changed, sender=model, dispatch_uid=f"sitefleet.{model.__name__}")


def make_slug(domain: str, *, for_site: int | None = None, using: str | None = None) -> str:
    """Return a free slug for a domain: its labels without ``www.``, joined by hyphens.

    A host of this environment gives the slug that it was made of.
    """
    others = SiteConfig.objects.using(using).exclude(pk=for_site)
    domain = domain.lower()
    name = get_environment().slug_in(domain) or hosts.split(domain)[0].removeprefix("www.")
    base = re.sub("[^a-z0-9]+", "-", name).strip("-")[:SLUG_LENGTH].strip("-") or "site"
    base = f"site-{base}" if base.isdigit() else base
    slug, number = base, 1
    while others.filter(slug=slug).exists():
        number += 1
        slug = f"{base[: SLUG_LENGTH - len(str(number)) - 1]}-{number}"
    return slug


def add_missing_configs(using: str) -> int:
    """Give a SiteConfig to each site that has none; return how many had none.

    The domain of such a site is brought into normal form, where that can be had: so far nobody
    looked whether it was, and no host leads to another spelling.
    """
    with transaction.atomic(using=using):
        bare = list(Site.objects.using(using).filter(siteconfig__isnull=True).order_by("pk"))
        for site in bare:
            slug = make_slug(site.domain, using=using)
            SiteConfig.objects.using(using).create(site=site, slug=slug)
            with suppress(ValidationError):
                normal = clean_domain(site.domain)
                if normal != site.domain:
                    ensure_free(normal, site=site.pk)
                    Site.objects.using(using).filter(pk=site.pk).update(domain=normal)
                    logger.info("The domain of site %s reads %s now.", site.pk, normal)
    return len(bare)


def _before_site(
    instance: Site,
    raw: bool,  # noqa: FBT001 - signal
    using: str,
    update_fields: Iterable[str] | None,
    **_: Any,
) -> None:
    if raw or resolver.paused or (update_fields is not None and "domain" not in update_fields):
        return
    view = shown(instance)
    if view is not None and instance.domain in (view.host, view.row_domain):
        instance.domain = view.row_domain
        return
    # In a transaction, such as the admin's, the name is ours from here on. Without one a name that
    # becomes an alias at the same moment slips through; `add_site` and `change_site` have one.
    with registry_lock(using):
        _follow(instance, using)


def _follow(instance: Site, using: str) -> None:
    """See to a domain that somebody else has put into Django's column. Raises ValidationError."""
    before = Site.objects.using(using).filter(pk=instance.pk).values_list("domain", flat=True)
    if instance.domain in before:
        return  # Whatever it is, nobody has changed it.
    config = SiteConfig.objects.using(using).filter(pk=instance.pk).first()
    instance.domain = _clean(instance, config.path_prefix if config else "")
    if config is None or config.domain is None or not get_environment().is_live:
        return
    if config.path_prefix:
        config.domain = instance.domain
        instance.domain += config.path_prefix
    else:
        config.domain = None
    config.save(using=using)


def _clean(site: Site, path_prefix: str) -> str:
    """Return the domain of a site that is being saved. Raises ValidationError."""
    try:
        domain = clean_domain(site.domain)
        ensure_free(domain, site=site.pk or 0, path_prefix=path_prefix)
    except ValidationError as error:
        raise ValidationError({"domain": error.messages}) from None
    return domain


def _after_site(
    instance: Site,
    created: bool,  # noqa: FBT001 - signal
    raw: bool,  # noqa: FBT001 - signal
    using: str,
    **_: Any,
) -> None:
    view = shown(instance)
    if view is not None and instance.domain == view.row_domain:
        present(instance, view.host, view.path_prefix, view.slug, view.options)
    at_hand = SiteConfig._meta.get_field("site").remote_field.is_cached(instance)
    if created and not raw and not resolver.paused and not at_hand:
        SiteConfig.objects.using(using).get_or_create(
            site=instance,
            defaults={"slug": (view and view.slug) or make_slug(instance.domain, using=using)},
        )


def _loaded(raw: bool, using: str, **_: Any) -> None:  # noqa: FBT001 - signal
    """Change the token that a fixture brings back: by now it stands for other data."""
    if raw:
        new = Generation.objects.using(using).filter(pk=TOKEN_ROW)
        new.update(token=randbits(GENERATION_BITS))


def _changed(using: str, **_: Any) -> None:
    resolver.expire(using)
