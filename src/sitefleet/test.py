"""For your tests: clients that ask a site.

::

    def test_front_page(db):
        site = add_site("gh", domain="example.gh")
        assert client_for(site).get("/").status_code == 200

Nothing else is needed: ``ACCEPTED_HOST`` survives Django's test set-up, and what a test changes in
its transaction is forgotten with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.sites.models import Site
from django.test import AsyncClient, Client
from django.test.client import ClientMixin

from sitefleet.addresses import site_id
from sitefleet.cookie_names import sent_names
from sitefleet.current import override_site
from sitefleet.exceptions import SiteError
from sitefleet.lookup import forget_pinned
from sitefleet.presented import shown
from sitefleet.resolver import resolver

if TYPE_CHECKING:
    from http.cookies import SimpleCookie

    from django.contrib.sessions.backends.base import SessionBase


class Address:
    """Where a client asks: the host of a site and, below a path prefix, its path and session."""

    def __init__(self, site: Site | int) -> None:
        # Asked anew: an instance may come from before an override_settings().
        view = shown(resolver.site(site_id(site, "A client")))
        if view is None or not view.host:
            message = f"Site {site!r} has no host in this environment, so no client can ask it."
            raise SiteError(message)
        self.host = view.host
        self.path_prefix = view.path_prefix
        self.below = view.pk if view.path_prefix else None

    def full_path(self, path: Any) -> str:
        """Return a path within the site with its prefix; as in a Location it has it already."""
        text, prefix = str(path), self.path_prefix
        return text if f"{text}/".startswith(f"{prefix}/") else f"{prefix}{text}"

    def session_cookies(self) -> set[str]:
        """Return the names that the session cookie of the site has by HTTP and by HTTPS."""
        name = settings.SESSION_COOKIE_NAME
        return {sent_names(self.below, secure=secure)[name] for secure in (False, True)}

    def send_session(self, cookies: SimpleCookie) -> None:
        """Send the session of ``client.login()`` under the names that the site has for it."""
        if settings.SESSION_COOKIE_NAME in cookies:
            for name in self.session_cookies():
                cookies[name] = cookies[settings.SESSION_COOKIE_NAME].value

    def take_session(self, response: Any, cookies: SimpleCookie) -> None:
        """Let ``client.session`` find the session of the site."""
        for name in self.session_cookies() & response.cookies.keys():
            cookies[settings.SESSION_COOKIE_NAME] = response.cookies[name].value


class _AtSite(ClientMixin):
    """What Django's test clients do to a session by themselves they do under the site."""

    site: Site | int

    async def _at_site(self) -> override_site:
        site = await sync_to_async(resolver.site)(site_id(self.site, "A client"))
        return override_site(site)  # itself: async code could not look an id up

    @property
    def session(self) -> SessionBase:
        with override_site(self.site):
            return super().session

    async def asession(self) -> SessionBase:
        with await self._at_site():
            return await super().asession()

    def login(self, **credentials: Any) -> bool:
        with override_site(self.site):
            return super().login(**credentials)

    async def alogin(self, **credentials: Any) -> bool:
        with await self._at_site():
            return await super().alogin(**credentials)

    def force_login(self, user: Any, backend: str | None = None) -> None:
        with override_site(self.site):
            super().force_login(user, backend)

    async def aforce_login(self, user: Any, backend: str | None = None) -> None:
        with await self._at_site():
            await super().aforce_login(user, backend)

    def logout(self) -> None:
        with override_site(self.site):
            super().logout()

    async def alogout(self) -> None:
        with await self._at_site():
            await super().alogout()


class SiteClient(_AtSite, Client):
    """Django's test client, asking the host of ``site``, below its path prefix."""

    def __init__(self, site: Site | int, **kwargs: Any) -> None:
        self.site = site
        self.address = Address(site)
        super().__init__(HTTP_HOST=self.address.host, **kwargs)

    def generic(self, method: str, path: Any, *args: Any, **kwargs: Any) -> Any:
        """Send a request to ``path`` within the site."""
        self.address.send_session(self.cookies)
        response = super().generic(method, self.address.full_path(path), *args, **kwargs)
        self.address.take_session(response, self.cookies)
        return response


class AsyncSiteClient(_AtSite, AsyncClient):
    """`SiteClient` for async tests."""

    def __init__(self, site: Site | int, **kwargs: Any) -> None:
        self.site = site
        self.address: Address | None = None
        super().__init__(**kwargs)

    async def generic(self, method: str, path: Any, *args: Any, **kwargs: Any) -> Any:
        """Send a request to ``path`` within the site."""
        if self.address is None:  # looked up here, as it may query and async code must not
            self.address = await sync_to_async(Address)(self.site)
        self.address.send_session(self.cookies)
        return await super().generic(method, self.address.full_path(path), *args, **kwargs)

    async def request(self, **request: Any) -> Any:
        """Send a request with this host: Django's client would add it to ``testserver``."""
        address = cast("Address", self.address)
        headers = [header for header in request.get("headers", []) if header[0] != b"host"]
        request["headers"] = [*headers, (b"host", address.host.encode("ascii"))]
        response = await super().request(**request)
        address.take_session(response, self.cookies)
        return response


def client_for(site: Site | int, **kwargs: Any) -> SiteClient:
    """Return a test client for a site. Raises SiteError when it has no host here."""
    return SiteClient(site, **kwargs)


def async_client_for(site: Site | int, **kwargs: Any) -> AsyncSiteClient:
    """Return a test client for a site, for async tests; its host is looked up when it asks.

    The first request raises SiteError when the site has no host here.
    """
    return AsyncSiteClient(site, **kwargs)


def forget_sites() -> None:
    """Let this process forget all it remembers of sites: after a test that commits."""
    forget_pinned()
    resolver.reset()
    Site.objects.clear_cache()
