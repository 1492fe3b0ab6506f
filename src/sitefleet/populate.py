"""Sites from settings: ``SITEFLEET["SITES"]`` into the database, as often as you like."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from django.contrib.sites.models import Site
from django.core.exceptions import ValidationError
from django.db import router, transaction

from sitefleet.conf import get_conf
from sitefleet.declared import clean_settings
from sitefleet.models import Alias, SiteConfig, registry_lock
from sitefleet.naming import (
    clean_domain,
    clean_path_prefix,
    validate_slug,
    validate_theme,
    validate_urlconf,
)
from sitefleet.registry import add_site, change_site, configure_site, get_config, placeholder
from sitefleet.resolver import resolver
from sitefleet.states import clean_mode, clean_serving

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

KEYS: dict[str, Any] = {
    "id": int,
    "domain": str,
    "name": str,
    "aliases": (list, tuple),
    "path_prefix": str,
    "theme": str,
    "urlconf": str,
    "settings": dict,
    "mode": str,
    "serving": dict,
}
ADDRESS = ("name", "domain", "path_prefix")
OPTIONS = ("theme", "urlconf", "settings", "mode", "serving")
CLEAN: dict[str, Any] = {
    "domain": clean_domain,
    "path_prefix": clean_path_prefix,
    "theme": validate_theme,
    "urlconf": validate_urlconf,
    "settings": clean_settings,
    "mode": clean_mode,
    "serving": clean_serving,
}


@dataclass(slots=True)
class Report:
    """What `populate` did, by slug."""

    created: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    missing_in_settings: list[str] = field(default_factory=list)


def populate(*, dry_run: bool = False) -> Report:
    """Create or update the sites of the settings, by ``id`` where it is given, else by slug.

    Only what differs is changed, and nothing is removed: sites and aliases that the settings do
    not name stay. One locked transaction. Raises ValidationError, and then nothing is changed.
    """
    report = Report()
    using = router.db_for_write(SiteConfig)
    wanted = get_conf().SITES
    problems = list(find_problems(wanted))
    if problems:
        raise ValidationError(problems)
    with registry_lock(using):
        # Ids that are given go first, before one that the database gives takes their place.
        for slug, spec in sorted(wanted.items(), key=lambda item: "id" not in item[1]):
            _ensure_own_id(slug, spec.get("id"), wanted)
            getattr(report, _put(slug, spec)).append(slug)
        known = SiteConfig.objects.exclude(slug__in=wanted).order_by("slug")
        report.missing_in_settings = list(known.values_list("slug", flat=True))
        if dry_run:
            transaction.set_rollback(True, using=using)
    resolver.expire(using)
    return report


def find_problems(sites: Mapping[Any, Any]) -> Iterator[str]:
    """Yield what is wrong with ``SITEFLEET["SITES"]``, without looking at the database."""
    names: dict[tuple[str, str], str] = {}
    ids: dict[int, str] = {}
    for slug, spec in sites.items():
        where = f"SITEFLEET['SITES'][{slug!r}]"
        if not isinstance(spec, dict):
            yield f"{where} is not a dictionary."
            continue
        try:
            validate_slug(slug)
        except ValidationError as error:
            yield f"{where}: {' '.join(error.messages)}"
        yield from _unusable_values(where, spec)
        pk = spec.get("id")
        if isinstance(pk, int) and ids.setdefault(pk, slug) != slug:
            yield f"{where}: the id {pk} is that of {ids[pk]!r} too."
        for name in _all_names(spec):
            if names.setdefault(name, slug) != slug:
                yield f"{where}: {name[0]}{name[1]} is a name of {names[name]!r} too."


def _unusable_values(where: str, spec: dict[Any, Any]) -> Iterator[str]:
    for key, value in spec.items():
        if key not in KEYS:
            near = get_close_matches(str(key), KEYS, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(KEYS)}."
            yield f"{where} has no key {key!r}: {hint}"
        elif not isinstance(value, KEYS[key]) or isinstance(value, bool):
            yield f"{where}: {key!r} cannot be {value!r}."
    for alias in _aliases(spec):
        if not isinstance(alias, str) and not _is_alias_dict(alias):
            form = "{'name': ..., 'redirect': True}"
            yield f"{where}: an alias is a name or {form}, not {alias!r}."
    try:
        _clean_all(spec)
    except ValidationError as error:
        yield f"{where}: {' '.join(error.messages)}"


def _clean_all(spec: dict[Any, Any]) -> None:
    """Raise ValidationError for a value that cannot be had."""
    for key, clean in CLEAN.items():
        if spec.get(key) and isinstance(spec[key], KEYS[key]):
            clean(spec[key])
    for name in _alias_names(spec):
        clean_domain(name, wildcard=True)


def _ensure_own_id(slug: str, pk: int | None, wanted: Mapping[str, Any]) -> None:
    """Raise ValidationError when an id is that of a site which the settings name otherwise."""
    owner = SiteConfig.objects.filter(pk=pk).exclude(slug=slug).first()
    if pk is not None and owner is not None and owner.slug in wanted:
        message = f"SITEFLEET['SITES'][{slug!r}]: the id {pk} is that of {owner.slug!r}."
        raise ValidationError(message)


def _put(slug: str, spec: dict[str, Any]) -> str:
    """Create or update one site; return the list of the report that it goes to."""
    given = {key: spec[key] for key in ADDRESS if key in spec}
    options = {key: spec[key] for key in OPTIONS if key in spec}
    site = _find(slug, spec.get("id"))
    if site is None:
        site = add_site(slug, pk=spec.get("id"), **given)
        configure_site(site, **options)
        _add_aliases(site, spec)
        return "created"
    before = _snapshot(site)
    change_site(site, slug=slug, **given)
    configure_site(site, **options)
    _add_aliases(site, spec)
    return "unchanged" if _snapshot(site) == before else "updated"


def _find(slug: str, pk: int | None) -> Site | None:
    if placeholder(pk) is not None:
        return None  # `add_site` takes it over.
    condition = {"siteconfig__slug": slug} if pk is None else {"pk": pk}
    return Site.objects.filter(**condition).first()


def _snapshot(site: Site) -> tuple[Any, ...]:
    config = get_config(site)
    row = config.site
    aliases = row.fleet_aliases.order_by("pk").values_list("name", "redirect")
    address = row.domain, row.name, config.slug, config.domain, config.path_prefix
    return *address, config.options(), config.mode, config.serving, list(aliases)


def _add_aliases(site: Site, spec: dict[str, Any]) -> None:
    for alias in _aliases(spec):
        given = alias if isinstance(alias, dict) else {"name": alias}
        name = clean_domain(given["name"], wildcard=True)
        redirect = given.get("redirect", True)
        known = Alias.objects.filter(site_id=site.pk, name=name).first()
        if known is None:
            Alias(site_id=site.pk, name=name, redirect=redirect).save()
        elif known.redirect != redirect:
            known.redirect = redirect
            known.save()


def _aliases(spec: dict[Any, Any]) -> list[Any]:
    aliases = spec.get("aliases", [])
    return list(aliases) if isinstance(aliases, (list, tuple)) else []


def _is_alias_dict(alias: Any) -> bool:
    return (
        isinstance(alias, dict)
        and alias.keys() <= {"name", "redirect"}
        and isinstance(alias.get("name"), str)
        and isinstance(alias.get("redirect", True), bool)
    )


def _alias_names(spec: dict[Any, Any]) -> Iterator[str]:
    for alias in _aliases(spec):
        name = alias.get("name") if isinstance(alias, dict) else alias
        if isinstance(name, str):
            yield name


def _all_names(spec: dict[Any, Any]) -> Iterator[tuple[str, str]]:
    """Yield the addresses of a site in normal form; what has none is reported elsewhere."""
    domain, prefix = spec.get("domain"), spec.get("path_prefix", "")
    with suppress(ValidationError):
        if isinstance(domain, str) and domain:
            yield clean_domain(domain), clean_path_prefix(str(prefix))
        for name in _alias_names(spec):
            yield clean_domain(name, wildcard=True), ""
