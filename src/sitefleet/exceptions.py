"""What can go wrong, as a tree; each docstring says what happened and what to do.

::

    SiteError
    ├── NoCurrentSite      code asked for the current site and there is none
    │   └── SiteRequired   a statement on rows that belong to sites names none
    ├── CrossSiteWrite     a row of one site would have changed that of another
    ├── TransferRefused    a site was not exported, imported, cloned or deleted
    ├── UnknownSite        no site has this id, slug or domain
    ├── TaskRefused        a task came for a site that has no tasks run, or for none
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
        super().__init__(detail)  # what it was made with: so it survives pickle and task results

    def __str__(self) -> str:
        text = " ".join((type(self).__doc__ or "").split())
        return " ".join(filter(None, (self.args[0], text)))


class SiteRequired(NoCurrentSite):
    """A statement on rows that belong to sites needs a site.

    Ways out: run it for one, by ``with override_site(site):``, ``--site=SLUG`` or a request; or, if
    rows of all sites are meant, say so by ``with cross_site("reason"):``.
    """

    def __init__(self, detail: str = "", more: str = "") -> None:
        super().__init__(detail)
        self.args = (detail, more)
        self.more = more  # a way out that this statement has

    def __str__(self) -> str:
        return " ".join(filter(None, (super().__str__(), self.more)))


class CrossSiteWrite(SiteError):
    """Rows of other sites are not written to, nor referred to.

    Ways out: enter the site that the row belongs to, by ``with override_site(site):``; or, if it
    is meant to be changed from here, say so by ``with cross_site("reason"):``.
    """

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail)

    def __str__(self) -> str:
        text = " ".join((type(self).__doc__ or "").split())
        return " ".join(filter(None, (self.args[0], text)))


class TransferRefused(SiteError):
    """A site was not exported, imported, cloned or deleted, and nothing was changed.

    The message says what stands in the way, and the option that lets it pass where there is one.
    """


class UnknownSite(SiteError):
    """No site has this id, slug or domain."""

    def __init__(self, key: str, near: list[str] | None = None, source: str = "") -> None:
        super().__init__(key, near, source)
        self.key = key
        self.near = near or []
        self.source = source

    def __str__(self) -> str:
        hint = f" Did you mean {' or '.join(self.near)}?" if self.near else ""
        origin = f" (from {self.source})" if self.source else ""
        return (
            f"No site has the id, slug or domain {self.key!r}{origin}.{hint}"
            " `manage.py sites list` shows all."
        )


class TaskRefused(SiteError):
    """A task was not run: its site is archived, suspended or gone, or it came without one.

    Tasks run for sites that are active or in maintenance. Enqueue it again when the site is.
    """


class InvalidHost(SiteError, ValueError):
    """A host or domain name is malformed."""

    def __init__(self, value: str, reason: str) -> None:
        super().__init__(value, reason)
        self.value = value
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.value!r} is not a valid host name: {self.reason}"


class InvalidSetting(SiteError):
    """A value in ``settings.SITEFLEET`` cannot be used; ``manage.py check`` lists all of them."""
