"""``manage.py sites serving``: whether a site has processes of its own, and how they run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError

from sitefleet.conf import get_conf
from sitefleet.hosting.planning.options import OTHER_NAMES, InvalidOptions, parse_option
from sitefleet.hosting.planning.settings import read_serving
from sitefleet.lookup import get_site
from sitefleet.management.output import as_json, one_line, table
from sitefleet.registry import configure_site, get_config
from sitefleet.serving.fleet import mode_of, options_of
from sitefleet.states import usable_serving

if TYPE_CHECKING:
    from sitefleet.models import SiteConfig

#: On the command line: no mode of its own.
DEFAULT = "default"


def set_serving(options: dict[str, Any]) -> list[str]:
    """Set the mode and options of a site by NAME=VALUE, empty unsets; without any, show them."""
    site = get_site(options["site"])
    given: dict[str, Any] = {}
    for word in options["values"]:
        name, equals, text = word.partition("=")
        if not equals:
            message = f"Write NAME=VALUE, not {word!r}; NAME= takes the value away."
            raise CommandError(message, returncode=2)
        own = OTHER_NAMES.get(name, name)
        if own in given:
            raise CommandError(f"{own} is given twice.", returncode=2)
        given[own] = _parse(own, text) if text.strip() else None
    mode = "" if options["mode"] == DEFAULT else options["mode"]
    config = get_config(site)
    if given or mode is not None:
        config = configure_site(site, mode=mode, serving=given)
    facts = facts_of(config)
    if options["json"]:
        return [as_json({"id": config.pk, "slug": config.slug, **facts})]
    whose = "its own" if config.mode == facts["mode"] else "the project's"
    own = usable_serving(config.serving)
    rows = [
        [name, one_line(_shown(value)), "its own" if name in own else "the project's"]
        for name, value in facts["options"].items()
    ]
    return [
        f"{config.site.name} ({config.slug})",
        table(("option", "value", "whose"), [["mode", facts["mode"], whose], *rows]),
    ]


def facts_of(config: SiteConfig) -> dict[str, Any]:
    """Return how a site is served: what is its own, and what comes of it."""
    serving = read_serving(get_conf().SERVING)
    mode = mode_of(config.mode, serving.mode)
    own = usable_serving(config.serving)
    return {
        "mode": mode,
        "own_mode": config.mode,
        "serving": own,
        "options": options_of(serving, mode, own).as_json(),
    }


def mode_of_site(config: SiteConfig) -> str:
    """Return the mode of a site: its own, else that of the project."""
    return mode_of(config.mode, read_serving(get_conf().SERVING).mode)


def _parse(name: str, text: str) -> Any:
    try:
        value = parse_option(name, text)
    except InvalidOptions as error:
        raise ValidationError(error.problems) from None
    if name == "environment" and not all("=" in word for word in text.split()):
        message = 'Write environment="NAME=VALUE NAME=VALUE"; values have no spaces here.'
        raise ValidationError(message)
    return value


def _shown(value: Any) -> Any:
    if isinstance(value, dict):
        value = [f"{name}={text}" for name, text in value.items()]
    return " ".join(value) or "none" if isinstance(value, list) else value
