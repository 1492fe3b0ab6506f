"""CSRF: which pages may post to a site. Its own, on any of its hosts, and none of another site.

Put ``sitefleet.persite.csrf.CsrfViewMiddleware`` into ``MIDDLEWARE`` in place of Django's. To
Django's, all that ``CSRF_TRUSTED_ORIGINS`` names is trusted by all sites; and who can set cookies
for a parent domain, as every site below it can, has a token that fits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core import checks
from django.core.exceptions import DisallowedHost
from django.middleware import csrf

from sitefleet import hosts
from sitefleet.current import active_site_id
from sitefleet.origins import is_own

if TYPE_CHECKING:
    from django.http import HttpRequest

_KEPT: Any = vars(csrf.CsrfViewMiddleware)
DJANGO_MIDDLEWARE = "django.middleware.csrf.CsrfViewMiddleware"


class CsrfViewMiddleware(csrf.CsrfViewMiddleware):
    """Django's, with origins that follow the site.

    Trusted are the host of the request, and the hosts that lead to the current site and to no
    other, and serve it. Refused are hosts of other sites, whatever ``CSRF_TRUSTED_ORIGINS`` says.
    It decides on origins that are no host of the fleet.
    """

    # Django's keep these as long as the process lives, whatever the settings say since.
    csrf_trusted_origins_hosts = property(_KEPT["csrf_trusted_origins_hosts"].func)
    allowed_origins_exact = property(_KEPT["allowed_origins_exact"].func)
    allowed_origin_subdomains = property(_KEPT["allowed_origin_subdomains"].func)

    def _origin_verified(self, request: HttpRequest) -> bool:
        own = _is_own(request, request.META["HTTP_ORIGIN"])
        if own is None:
            own = bool(super()._origin_verified(request))  # type: ignore[misc]  # the stubs lack it
        return own

    def _check_referer(self, request: HttpRequest) -> None:
        # Django asks this of HTTPS requests that tell no origin.
        referer = request.META.get("HTTP_REFERER", "")
        own = _is_own(request, referer)
        if own is None:
            super()._check_referer(request)  # type: ignore[misc]
        elif not own:
            raise csrf.RejectRequest(csrf.REASON_BAD_REFERER % referer)


def _is_own(request: HttpRequest, url: str) -> bool | None:
    return is_own(url, active_site_id(), _host_of(request), secure=request.is_secure())


def _host_of(request: HttpRequest) -> str:
    try:
        return hosts.normalize_header(request.get_host())
    except DisallowedHost:
        return ""  # as with no SiteMiddleware: all hosts of the fleet are those of others


def connect() -> None:
    """Register the system check."""
    checks.register(check_middleware, checks.Tags.security)


def check_middleware(**_: Any) -> list[checks.CheckMessage]:
    """Look whether one site can post to another."""
    if DJANGO_MIDDLEWARE not in settings.MIDDLEWARE or not settings.CSRF_TRUSTED_ORIGINS:
        return []
    ours = f"{__name__}.{CsrfViewMiddleware.__name__}"
    return [
        checks.Warning(
            "All sites trust the origins in CSRF_TRUSTED_ORIGINS: where that is the host of a"
            " site, its pages can post to the others.",
            hint=f'Put "{ours}" into MIDDLEWARE in place of "{DJANGO_MIDDLEWARE}".',
            id="sitefleet.W360",
        )
    ]
