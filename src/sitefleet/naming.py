"""What sites may be called: names, slugs, path prefixes, themes, URLconfs, in normal form."""

from __future__ import annotations

import re

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.utils.translation import gettext_lazy as _

from sitefleet import hosts
from sitefleet.conf import get_conf
from sitefleet.exceptions import InvalidHost
from sitefleet.suffixes import is_public_suffix

HOST_LENGTH = hosts.MAX_NAME + len(":65535")
SLUG_LENGTH = hosts.MAX_LABEL
PREFIX_LENGTH = 100
THEME_LENGTH = 63
URLCONF_LENGTH = 200

validate_slug = RegexValidator(
    r"^(?![0-9]+\Z)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z",
    _("A slug has small letters, digits and inner hyphens, at most 63, and is no number."),
)
_THEME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_SEGMENT = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._~-]+")


def clean_domain(text: str, *, wildcard: bool = False) -> str:
    """Return the name of a site in normal form. Raises ValidationError that says what is wrong."""
    try:
        name = hosts.normalize_name(text, wildcard=wildcard)
    except InvalidHost as error:
        raise ValidationError(str(error), code="invalid") from None
    parent = hosts.split(name.removeprefix("*."))[0]
    if is_public_suffix(parent) and parent not in get_conf().OWN_SUFFIXES:
        message = _(
            "%(name)s is a public suffix: strangers register names below it. (If it is your own,"
            " put it into OWN_SUFFIXES.)"
        )
        raise ValidationError(message, code="public_suffix", params={"name": parent})
    return name


def clean_path_prefix(text: str) -> str:
    """Return a path prefix as ``/de`` or ``/de/berlin``, empty for none. Raises ValidationError."""
    segments = text.strip().strip("/").split("/") if text.strip().strip("/") else []
    prefix = "".join(f"/{segment}" for segment in segments)
    if not all(_SEGMENT.fullmatch(segment) for segment in segments):
        raise ValidationError(_("A path prefix looks like /de or /de/berlin."), code="invalid")
    if len(prefix) > PREFIX_LENGTH:
        message = _("A path prefix is not longer than %(limit)s characters.")
        raise ValidationError(message, code="too_long", params={"limit": PREFIX_LENGTH})
    return prefix


def validate_theme(name: str) -> None:
    """Raise ValidationError for what cannot be the name of a theme: it is the name of a folder."""
    if name and not _THEME.fullmatch(name):
        message = _("The name of a theme has letters, digits, hyphens and underscores.")
        raise ValidationError({"theme": ValidationError(message, code="invalid")})


def validate_urlconf(name: str) -> None:
    """Raise ValidationError for a module that URLCONFS does not list."""
    known = get_conf().URLCONFS
    if name and name not in known:
        message = _("%(name)s is not in URLCONFS, which has: %(known)s.")
        params = {"name": name, "known": ", ".join(known) or "-"}
        raise ValidationError({"urlconf": ValidationError(message, code="unknown", params=params)})
