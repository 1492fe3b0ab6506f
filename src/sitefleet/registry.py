"""Changes of the fleet: add and rename sites, aliases, states. Each is one locked transaction."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from django.contrib.sites.models import Site
from django.core.exceptions import ValidationError
from django.core.management.color import no_style
from django.db import DatabaseError, connections, router, transaction
from django.utils.translation import gettext as _

from sitefleet import hosts
from sitefleet.current import override_site
from sitefleet.environments import Environment, get_environment
from sitefleet.models import Alias, SiteConfig, ensure_free, registry_lock, sites_named
from sitefleet.naming import clean_domain, clean_path_prefix, validate_slug
from sitefleet.presented import present
from sitefleet.resolver import resolver
from sitefleet.site_rows import add_missing_configs, make_slug
from sitefleet.states import State, clean_mode, merge_serving

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.db.models import QuerySet

#: What stands in Django's unique, never empty column for a site that has no domain (RFC 2606).
NO_DOMAIN = "invalid"


def columns_for(
    slug: str, domain: str, path_prefix: str, environment: Environment
) -> tuple[str, str | None]:
    """Return what ``Site.domain`` and ``SiteConfig.domain`` hold for a site in an environment.

    Raises ValidationError when Django's column is too short for it.
    """
    if not environment.is_live:
        column, kept = environment.host_of(slug, domain), domain
    elif path_prefix or not domain:
        column, kept = (f"{domain}{path_prefix}" if domain else f"{slug}.{NO_DOMAIN}"), domain
    else:
        column, kept = domain, None
    longest = Site._meta.get_field("domain").max_length or 0
    if len(column) > longest:
        message = _("%(column)s is longer than the %(longest)s characters that Site.domain holds.")
        params = {"column": column, "longest": longest}
        raise ValidationError(message, code="too_long", params=params)
    return column, kept


def add_site(  # noqa: PLR0913 - what there is to say of a site, by keyword
    slug: str = "",
    *,
    name: str = "",
    domain: str = "",
    path_prefix: str = "",
    pk: int | None = None,
    state: str = State.ACTIVE,
) -> Site:
    """Add a site. The slug comes from the domain when it is not given, the name from either.

    The placeholder ``example.com`` that Django's ``migrate`` makes becomes the first site.
    Raises ValidationError.
    """
    domain, path_prefix = _clean_or_none(domain), clean_path_prefix(path_prefix)
    with registry_lock():
        site = placeholder(pk)
        if site is None and pk is not None and Site.objects.filter(pk=pk).exists():
            raise ValidationError(_("The id %(pk)s is taken."), params={"pk": pk})
        site = site or Site(pk=pk)
        slug = slug.strip().lower() or (make_slug(domain, for_site=site.pk) if domain else "")
        _check_address(slug, domain, path_prefix, site.pk)
        column, kept = columns_for(slug, domain, path_prefix, get_environment())
        site.domain, site.name = column, (name or domain or slug)[: _name_length()]
        # Made ahead of the row of the site, so that nobody else makes one for it.
        found = getattr(site, "siteconfig", None)
        config = found or SiteConfig(site=site)
        _save_as_is(site, slug)
        if pk is not None:
            _mend_sequence(router.db_for_write(Site))
        config.slug, config.domain, config.path_prefix = slug, kept, path_prefix
        config.state = state
        config.site = site
        config.save(force_insert=found is None)
    return config.presented_site()


def change_site(
    site: Site,
    *,
    slug: str | None = None,
    name: str | None = None,
    domain: str | None = None,
    path_prefix: str | None = None,
) -> SiteConfig:
    """Change what is given of a site, and nothing when nothing differs. Raises ValidationError."""
    if name is not None and not name.strip():
        raise ValidationError(_("A site needs a name."))
    with registry_lock():
        config = get_config(site)
        row, environment = config.site, get_environment()
        column, kept = row.domain, config.domain
        new_slug = config.slug if slug is None else slug.strip().lower()
        new_domain = config.production_domain if domain is None else _clean_or_none(domain)
        prefix = config.path_prefix if path_prefix is None else clean_path_prefix(path_prefix)
        if environment.is_live or not (slug is None and domain is None and path_prefix is None):
            _check_address(new_slug, new_domain, prefix, row.pk)
            column, kept = columns_for(new_slug, new_domain, prefix, environment)
        wanted = (new_slug, kept, prefix)
        if wanted != (config.slug, config.domain, config.path_prefix):
            config.slug, config.domain, config.path_prefix = wanted
            config.save()
        new_name = row.name if name is None else name[: _name_length()]
        if (column, new_name) != (row.domain, row.name):
            row.domain, row.name = column, new_name
            _save_as_is(row, config.slug)
    return config


def configure_site(  # noqa: PLR0913 - what there is to say of a site, by keyword
    site: Site,
    *,
    theme: str | None = None,
    urlconf: str | None = None,
    settings: Mapping[str, Any] | None = None,
    mode: str | None = None,
    serving: Mapping[str, Any] | None = None,
) -> SiteConfig:
    """Change what follows a site, of what is given, and nothing when nothing differs.

    ``settings`` are values of SITE_SETTINGS by name, ``serving`` options of its processes: those
    that are named change, None takes the site's own value away. ``mode`` is ``shared``,
    ``dedicated``, or empty for that of the project. Raises ValidationError.
    """
    with registry_lock():
        config = get_config(site)
        before = config.options(), config.mode, config.serving
        config.mode = config.mode if mode is None else clean_mode(mode)
        if serving:
            config.serving = merge_serving(config.serving, serving)
        config.theme = config.theme if theme is None else theme
        config.urlconf = config.urlconf if urlconf is None else urlconf
        merged = config.settings | dict(settings or {})
        config.settings = {name: value for name, value in merged.items() if value is not None}
        config.clean()
        if (config.options(), config.mode, config.serving) != before:
            config.save()
    return config


def set_state(site: Site, state: str) -> SiteConfig:
    """Set the state of a site. Raises ValueError for a state that is none."""
    with registry_lock():
        config = get_config(site)
        if config.state != State(state):
            config.state = State(state)
            config.save()
    return config


def add_alias(site: Site, name: str, *, redirect: bool = True) -> Alias:
    """Give a site a further name. Raises ValidationError."""
    alias = Alias(site_id=site.pk, name=name, redirect=redirect)
    alias.save()
    return alias


def promote_alias(alias: Alias) -> SiteConfig:
    """Make an alias the domain of its site; the domain becomes an alias that redirects.

    Raises ValidationError for a wildcard, TypeError for what is no Alias.
    """
    if not isinstance(alias, Alias):
        message = f"promote_alias() takes an Alias, not {alias!r}; find_alias() finds one by name."
        raise TypeError(message)
    if alias.name.startswith("*."):
        raise ValidationError(_("A wildcard cannot be the domain of a site."))
    with registry_lock():
        config = get_config(alias.site)
        old = config.production_domain
        name = alias.name
        alias.delete()
        config = change_site(alias.site, domain=name)
        if old and not sites_named(old).exists():
            Alias(site_id=config.pk, name=old, redirect=True).save()
    return config


def find_alias(name: str) -> Alias | None:
    """Return the alias of this name, or None. Raises InvalidHost."""
    normal = hosts.normalize_name(name, wildcard=True)
    return Alias.objects.filter(name=normal).select_related("site").first()


def get_config(site: Site) -> SiteConfig:
    """Return the SiteConfig of a site as it is in the database now, made when it has none."""
    config = SiteConfig.objects.select_related("site").filter(pk=site.pk).first()
    if config is None:
        row = Site.objects.get(pk=site.pk)
        config = SiteConfig.objects.create(site=row, slug=make_slug(row.domain))
    return config


def all_configs() -> QuerySet[SiteConfig]:
    """Return all sites in the order in which people list them; each gets a SiteConfig first."""
    add_missing_configs(router.db_for_write(SiteConfig))
    return SiteConfig.objects.select_related("site").order_by("slug")


def placeholder(pk: int | None = None) -> Site | None:
    """Return Django's ``example.com`` while it is all there is, untouched and without content.

    With ``pk`` only where that is its primary key.
    """
    sites = list(Site.objects.select_related("siteconfig").order_by("pk")[:2])
    if len(sites) != 1 or pk not in (None, sites[0].pk):
        return None
    config = getattr(sites[0], "siteconfig", None)
    slug, domain = (config.slug, config.production_domain) if config else ("", sites[0].domain)
    untouched = (domain, sites[0].name) == ("example.com", "example.com")
    free = untouched and slug in ("", "example-com") and not _has_content(sites[0])
    return sites[0] if free else None


def _has_content(site: Site) -> bool:
    """Tell whether any row refers to a site: then it is somebody's, whatever it is called."""
    relations: Any = Site._meta.get_fields(include_hidden=True)  # related_name="+" hides them
    for relation in relations:
        if not relation.auto_created or relation.concrete:
            continue  # a field of its own
        model: Any = relation.related_model
        if model in (SiteConfig, Alias):
            continue
        # Entered, since a statement on rows that belong to sites is for the current one.
        with (
            override_site(site.pk),
            suppress(DatabaseError),
            transaction.atomic(using=router.db_for_read(model)),
        ):
            if model._base_manager.filter(**{relation.field.name: site}).exists():
                return True
    return False


def _clean_or_none(domain: str) -> str:
    return clean_domain(domain) if domain.strip() else ""


def _check_address(slug: str, domain: str, path_prefix: str, site: int | None) -> None:
    """Raise ValidationError unless a site (its primary key, or None) can have this address."""
    validate_slug(slug)
    if SiteConfig.objects.filter(slug=slug).exclude(pk=site).exists():
        raise ValidationError(_("The slug %(slug)s is taken."), params={"slug": slug})
    if path_prefix and not domain:
        raise ValidationError(_("A site below a path prefix needs a domain."))
    if domain:
        ensure_free(domain, site=site or 0, path_prefix=path_prefix)


def _save_as_is(site: Site, slug: str) -> None:
    """Save a row whose domain was worked out here, past what is asked of other people's."""
    present(site, "", "", slug)
    site.save()
    resolver.expire()


def _mend_sequence(using: str) -> None:
    """Move the sequence past an id that was given: PostgreSQL does not see those."""
    connection = connections[using]
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), [Site]):
            cursor.execute(statement)


def _name_length() -> int:
    return Site._meta.get_field("name").max_length or 50
