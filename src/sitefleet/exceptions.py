"""What can go wrong, as a tree; each docstring says what happened and what to do.

::

    SiteError
    ├── NoCurrentSite      code asked for the current site and there is none
    ├── UnknownSite        no site has this id, slug or domain
    ├── InvalidHost        a host or domain name is malformed
    └── InvalidSetting     a value in ``settings.SITEFLEET`` cannot be used

Names that clash with those of another site are Django's ``ValidationError``, so that forms and
the admin show them beside the field. This module imports no Django: hosting tools use it too.
"""

from __future__ import annotations


class SiteError(Exception):
    """Base of every error that sitefleet raises."""


class NoCurrentSite(SiteError):
    """There is no current site here.

    Ways out: serve the code through ``SiteMiddleware``; wrap it in ``with override_site(site):``;
    hand ``carry_site(function)`` to a thread; run the command with ``--site=SLUG`` or for many
    sites with ``manage.py forsites``; set ``SITEFLEET_SITE`` in the environment; or give a default
    site by ``SITE_ID`` in the settings.
    """

    def __init__(self, detail: str = "") -> None:
        text = " ".join((type(self).__doc__ or "").split())
        super().__init__(f"{detail} {text}" if detail else text)


class UnknownSite(SiteError):
    """No site has this id, slug or domain."""

    def __init__(self, key: str, near: list[str] | None = None, source: str = "") -> None:
        self.key = key
        self.near = near or []
        hint = f" Did you mean {' or '.join(self.near)}?" if self.near else ""
        origin = f" (from {source})" if source else ""
        super().__init__(
            f"No site has the id, slug or domain {key!r}{origin}.{hint}"
            " `manage.py sites list` shows all."
        )


class InvalidHost(SiteError, ValueError):
    """A host or domain name is malformed."""

    def __init__(self, value: str, reason: str) -> None:
        self.value = value
        self.reason = reason
        super().__init__(f"{value!r} is not a valid host name: {reason}")


class InvalidSetting(SiteError):
    """A value in ``settings.SITEFLEET`` cannot be used; ``manage.py check`` lists all of them."""
