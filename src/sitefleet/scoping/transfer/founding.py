"""The site itself of what comes in: its row, its address, its configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError

from sitefleet.declared import declarations
from sitefleet.exceptions import TransferRefused
from sitefleet.registry import add_alias, add_site, configure_site, get_config
from sitefleet.scoping.transfer.fileformat import is_text

if TYPE_CHECKING:
    from django.contrib.sites.models import Site

    from sitefleet.scoping.transfer.options import ImportOptions

TEXTS = ("slug", "name", "domain", "path_prefix", "theme", "urlconf")


def found_site(facts: Any, wishes: ImportOptions) -> tuple[int, Site]:
    """Make the site that a file tells of; return its id there, and the site.

    Raises TransferRefused where the file does not tell, ValidationError for what cannot be.
    """
    good = isinstance(facts, dict) and all(is_text(facts.get(name)) for name in TEXTS)
    if not good or type(facts.get("id")) is not int:
        message = "The file does not say what site it is."
        raise TransferRefused(message)
    try:
        site = _addressed(facts, wishes)
    except ValidationError as error:
        if wishes.same_fleet or (wishes.slug and wishes.domain):
            raise
        hint = "That is how the file has it: --slug and --domain give the new site others."
        raise ValidationError([*error.messages, hint]) from None
    _configure(site, facts, wishes)
    return facts["id"], get_config(site).site


def _addressed(facts: dict[str, Any], wishes: ImportOptions) -> Site:
    same, prefix, aliases = wishes.domain is None, wishes.path_prefix, facts.get("aliases", [])
    if not isinstance(aliases, list):
        message = "The file has aliases that are none."
        raise TransferRefused(message)
    if prefix is None:
        prefix = facts["path_prefix"] if same else ""
    site = add_site(
        wishes.slug or facts["slug"],
        name=wishes.name or facts["name"],
        domain=facts["domain"] if wishes.domain is None else wishes.domain,
        path_prefix=prefix,
        state=wishes.state,
    )
    for alias in aliases if same else ():
        if not isinstance(alias, dict) or not isinstance(alias.get("name"), str):
            message = "The file has an alias without a name."
            raise TransferRefused(message)
        add_alias(site, alias["name"], redirect=alias.get("redirect") is not False)
    return site


def _configure(site: Site, facts: dict[str, Any], wishes: ImportOptions) -> None:
    values = facts.get("settings")
    if not isinstance(values, dict):
        message = "The file has settings that are none."
        raise TransferRefused(message)
    if wishes.skip_unknown:
        values = {name: value for name, value in values.items() if name in declarations()}
    configure_site(site, theme=facts["theme"], urlconf=facts["urlconf"], settings=values)
