"""For your tests: clients that ask a site.

::

    def test_front_page(db):
        site = add_site("gh", domain="example.gh")
        assert client_for(site).get("/").status_code == 200

Nothing else is needed: ``ACCEPTED_HOST`` survives Django's test set-up, and what a test changes in
its transaction is forgotten with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.test import AsyncClient, Client

from sitefleet.exceptions import SiteError
from sitefleet.lookup import forget_pinned
from sitefleet.presented import shown
from sitefleet.resolver import resolver

if TYPE_CHECKING:
    from django.contrib.sites.models import Site

    from sitefleet.presented import Shown


class SiteClient(Client):
    """Django's test client, asking the host of ``site``, below its path prefix."""

    def __init__(self, site: Site | int, **kwargs: Any) -> None:
        self.address = _address(site)
        super().__init__(HTTP_HOST=self.address.host, **kwargs)

    def generic(self, method: str, path: Any, *args: Any, **kwargs: Any) -> Any:
        """Send a request to ``path`` within the site."""
        return super().generic(method, f"{self.address.path_prefix}{path}", *args, **kwargs)


class AsyncSiteClient(AsyncClient):
    """`SiteClient` for async tests."""

    def __init__(self, site: Site | int, **kwargs: Any) -> None:
        self.address = _address(site)
        super().__init__(**kwargs)

    def generic(self, method: str, path: Any, *args: Any, **kwargs: Any) -> Any:
        """Send a request to ``path`` within the site."""
        return super().generic(method, f"{self.address.path_prefix}{path}", *args, **kwargs)

    async def request(self, **request: Any) -> Any:
        """Send a request with this host: Django's client would add it to ``testserver``."""
        headers = [header for header in request.get("headers", []) if header[0] != b"host"]
        request["headers"] = [*headers, (b"host", self.address.host.encode("ascii"))]
        return await super().request(**request)


def client_for(site: Site | int, **kwargs: Any) -> SiteClient:
    """Return a test client for a site. Raises SiteError when it has no host here."""
    return SiteClient(site, **kwargs)


def async_client_for(site: Site | int, **kwargs: Any) -> AsyncSiteClient:
    """Return a test client for a site, for async tests. May query, so call it from sync code."""
    return AsyncSiteClient(site, **kwargs)


def forget_sites() -> None:
    """Let this process forget all it remembers of sites: after a test that commits."""
    forget_pinned()
    resolver.reset()


def _address(site: Site | int) -> Shown:
    view = None if isinstance(site, int) else shown(site)
    if view is None or not view.host:
        view = shown(resolver.site(site if isinstance(site, int) else site.pk))
    if view is None or not view.host:
        message = f"Site {site!r} has no host in this environment, so no client can ask it."
        raise SiteError(message)
    return view
