"""The absolute address of a site in this environment, for links, mails and commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.urls import get_script_prefix, reverse

from sitefleet.current import override_site
from sitefleet.environments import get_environment
from sitefleet.exceptions import SiteError
from sitefleet.prefixes import mounted_prefix
from sitefleet.presented import shown
from sitefleet.resolver import resolver

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from django.contrib.sites.models import Site


def site_url(site: Site | int, path: str = "/") -> str:
    """Return the absolute URL of ``path`` on ``site``, with this environment's scheme and host.

    ``path`` is a path within the site, as ``reverse()`` gives it: the path prefix of the site that
    is being served is taken off, that of ``site`` put on, so the answer is the same inside and
    outside of requests. No query for the current site, and for any other none but the first time.

    Raises SiteError when the site has no host in this environment, ValueError for a path that
    does not start with just one slash, TypeError for a name, Site.DoesNotExist for a primary key
    that is none.
    """
    if not path.startswith("/") or path.startswith("//"):
        message = f"site_url() takes a path that starts with one slash, not {path!r}."
        raise ValueError(message)
    pk = site_id(site, "site_url()")
    view = None if isinstance(site, int) else shown(site)
    if view is None:
        view = shown(resolver.site(pk))
    if view is None or not view.host:
        key = view.slug if view else site
        message = (
            f"Site {key} has no production domain; `manage.py sites rename {key} DOMAIN`"
            " gives it one."
        )
        raise SiteError(message)
    outside, inside = _split_mount(path)
    return f"{get_environment().scheme}://{view.host}{outside}{view.path_prefix}{inside}"


def site_reverse(  # noqa: PLR0913, PLR0917 - Django's reverse() for a site: its arguments
    site: Site | int,
    viewname: str | Callable[..., Any],
    urlconf: str | None = None,
    args: Sequence[Any] | None = None,
    kwargs: dict[str, Any] | None = None,
    current_app: str | None = None,
    *,
    query: Mapping[str, Any] | None = None,
    fragment: str | None = None,
) -> str:
    """Return the absolute URL of a view on ``site``: Django's ``reverse()`` for any site.

    With the URLconf of ``site``, its path prefix and its host in this environment, wherever it is
    called: in a request of another site, a task, a command, a thread. The language is the active
    one, as for ``reverse()``.

    Raises NoReverseMatch when that URLconf has no such view, InvalidSetting when it is not one of
    ``URLCONFS``, and what `site_url` raises.
    """
    site_id(site, "site_reverse()")
    with override_site(site):
        # Given, since a URLconf may be pinned for the request that is being served.
        path = reverse(
            viewname,
            urlconf or settings.ROOT_URLCONF,
            args,
            kwargs,
            current_app,
            query=query,
            fragment=fragment,
        )
    return site_url(site, path)


def site_id(site: Site | int, taker: str) -> int:
    """Return the primary key of what ``taker`` was given. Raises TypeError for a name."""
    if isinstance(site, str):
        message = f"{taker} takes a site or its id; get_site({site!r}) finds one by name."
        raise TypeError(message)
    return site if isinstance(site, int) else site.pk


def _split_mount(path: str) -> tuple[str, str]:
    """Split a path into what the server mounts the project at, and the path within the site."""
    script = get_script_prefix()
    if not path.startswith(script):
        return "", path
    outside = script[: len(script) - len(mounted_prefix()) - 1]
    return outside, path[len(script) - 1 :]
