"""A site by what people type, its id, slug, domain or alias; and by what a request asks for."""

from __future__ import annotations

import logging
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.contrib.sites.models import Site
from django.db import DatabaseError
from django.db.models import Q

from sitefleet import hosts
from sitefleet.conf import ID_LENGTH, get_conf, process_site_id
from sitefleet.current import AcceptedHost
from sitefleet.environments import get_environment
from sitefleet.exceptions import InvalidHost, NoCurrentSite, UnknownSite
from sitefleet.pipeline import UNKNOWN, Match, bare_id, bare_slug, present_bare
from sitefleet.resolver import resolver
from sitefleet.site_id import configured_site_id
from sitefleet.states import State

logger = logging.getLogger("sitefleet")

#: Names that are compared in search of a near match; more would take too long to wait for.
NEAR_MATCH_LIMIT = 20_000


def get_site(key: str | int, *, source: str = "") -> Site:
    """Return the site with this id, slug, domain, alias or host, presented as everywhere.

    A number is an id, since no slug is a number. Raises UnknownSite, which names near matches and
    ``source``, the place where the key came from.
    """
    text = str(key).strip()
    found = Site.objects.select_related("siteconfig")
    exact = Q(pk=int(text)) if _is_id(text) else Q(siteconfig__slug=text.lower())
    site = found.filter(exact).first() or found.filter(_named(text)).first()
    if site is None:
        raise UnknownSite(text, _near(text), source)
    config = getattr(site, "siteconfig", None)
    return config.presented_site() if config is not None else present_bare(site)


def default_site_id() -> int | None:
    """Return the site of this process: that of ``SITEFLEET_SITE``, else ``SITE_ID``, else None.

    ``SITE_ID`` in the environment goes before that in the settings.

    Raises UnknownSite when ``SITEFLEET_SITE`` names no site, NoCurrentSite when the database does
    not answer: ``SITE_ID`` may be another site than the one that was asked for. Raises
    InvalidSetting when ``SITE_ID`` in the environment is no id.
    """
    key = get_conf().SITE
    if not key:
        own = process_site_id()
        return configured_site_id() if own is None else own
    try:
        return _pinned_id(key)
    except DatabaseError as error:
        detail = f"SITEFLEET_SITE={key} could not be looked up: {error}."
        raise NoCurrentSite(detail) from error


@lru_cache(maxsize=8)
def _pinned_id(key: str) -> int:
    return int(get_site(key, source="SITEFLEET_SITE").pk)


def forget_pinned() -> None:
    """Look the pinned site up again: for tests, where ids change their meaning."""
    _pinned_id.cache_clear()


def find_match(host: str, path: str) -> Match | None:
    """Return the match of a Host header and a path; None where the host leads to no site.

    That of the pinned site, else what the resolver has, else that of a listed host. Raises
    InvalidHost, and UnknownSite when ``SITEFLEET_SITE`` names no site.
    """
    if get_conf().SITE:
        return forced_match(host)
    entry = resolver.find(host)
    return listed_match(host) if entry is UNKNOWN else entry.at(path)


def forced_match(host: str) -> Match:
    """Return the match of the pinned site for any Host header, as `Match.how` says.

    For development, Divio's "force the site with an environment variable". Raises InvalidHost,
    UnknownSite.
    """
    name = hosts.split(hosts.normalize_header(host))[0]
    key = get_conf().SITE
    return _match_of(get_site(key, source="SITEFLEET_SITE"), name, "forced by SITEFLEET_SITE", key)


def listed_match(host: str) -> Match | None:
    """Return the match of a host that no site has, but that ``ALLOWED_HOSTS`` lists as it is.

    Such a host is served with the default site of the process: Django's test set-up lists
    ``testserver`` there, and an operator may list the address that a health check asks. Patterns
    (``*``, ``.example.org``) say nothing of a site. None where there is no default site.
    """
    name = hosts.split(hosts.normalize_header(host))[0]
    entries: list[Any] = settings.ALLOWED_HOSTS
    listed = {str(entry) for entry in entries if not isinstance(entry, AcceptedHost)}
    pk = default_site_id() if name in listed else None
    return None if pk is None else _match_of(get_site(pk), name, "listed in ALLOWED_HOSTS", name)


def _match_of(site: Site, host: str, how: str, name: str) -> Match:
    config = getattr(site, "siteconfig", None)
    state = config.state if config is not None else State.ACTIVE.value
    return Match(
        site=site,
        slug=config.slug if config is not None else bare_slug(site.pk),
        state=state,
        how=how,
        name=name,
        host=host,
        path_prefix="",
        redirect="",
        plain=state == State.ACTIVE,
        frame=(site.pk, host, None, site),
    )


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= ID_LENGTH


def _named(text: str) -> Q:
    try:
        host = hosts.normalize_name(text)
    except InvalidHost:
        return Q(pk__in=())
    # No slug is empty.
    slug = get_environment().slug_in(host) or ""
    name = hosts.split(host)[0]
    return (
        Q(siteconfig__slug=slug)
        | Q(pk=bare_id(slug or text) or 0, siteconfig__isnull=True)
        | Q(domain__in=(host, name), siteconfig__domain__isnull=True)
        | Q(siteconfig__domain__in=(host, name), siteconfig__path_prefix="")
        | Q(pk__in=Site.objects.filter(fleet_aliases__name__in=(host, name)).values("pk"))
    )


def _near(text: str) -> list[str]:
    known: set[str] = set()
    rows = Site.objects.values_list("siteconfig__slug", "siteconfig__domain", "domain")
    for row in rows[:NEAR_MATCH_LIMIT]:
        known.update(name for name in row if name)
    return get_close_matches(text.lower(), sorted(known), 3)
