"""``manage.py sites set`` and ``clearcache``: what follows a site."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from sitefleet.declared import declarations, parse
from sitefleet.lookup import get_site
from sitefleet.management.output import one_line
from sitefleet.persite.cache import clear_site_cache
from sitefleet.registry import configure_site, get_config
from sitefleet.themes import theme_names

if TYPE_CHECKING:
    Options = dict[str, Any]

COLUMNS = ("theme", "urlconf")


def set_options(options: Options) -> list[str]:
    """Set the theme, the URLconf or declared settings of a site, by NAME=VALUE; empty unsets."""
    given: dict[str, Any] = {}
    values: dict[str, Any] = {}
    site = get_site(options["site"])
    stored = get_config(site).settings
    for word in options["values"]:
        name, equals, text = word.partition("=")
        if not equals:
            message = f"Write NAME=VALUE, not {word!r}; NAME= takes the value away."
            raise CommandError(message, returncode=2)
        if name in COLUMNS:
            given[name] = text
        else:
            # What is stored under a name that is no longer declared may go, too.
            known = name in stored or name in declarations()
            values[name] = None if known and not text else parse(name, text)
    config = configure_site(site, settings=values, **given)
    facts = [f"{name}={getattr(config, name)}" for name in COLUMNS if getattr(config, name)]
    facts += [f"{name}={one_line(value)}" for name, value in sorted(config.settings.items())]
    lines = [f"{config.site.name} ({config.slug}): {' '.join(facts) or 'nothing of its own'}"]
    if given.get("theme") and config.theme not in theme_names():
        there = ", ".join(theme_names()) or "none"
        lines.append(f"THEME_DIRS have no theme {config.theme!r} yet; themes there: {there}.")
    return lines


def clear_cache(options: Options) -> list[str]:
    """Clear the cache of one site; the others keep theirs."""
    site = get_site(options["site"])
    clear_site_cache(site)
    return [f"The cache of {site.name} is cleared."]
