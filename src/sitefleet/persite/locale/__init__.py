"""Language and time zone of the site: ``LANGUAGE_CODE`` and ``TIME_ZONE``, where declared.

``SiteLocaleMiddleware`` activates them for a request, `site_locale` for any other code. With
Django's ``LocaleMiddleware`` behind it the visitor's choice wins, and the site's language is the
one of visitors who have none.
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, cast

from django.core.signals import setting_changed
from django.utils import translation

from sitefleet.current import override_site
from sitefleet.generators import drive_body, is_produced
from sitefleet.hybrid import HybridMiddleware
from sitefleet.persite.locale import checks
from sitefleet.persite.locale.in_force import LANGUAGE, Locale, LocaleSteps, declared, look, of_site

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator

    from django.contrib.sites.models import Site
    from django.http import HttpRequest, StreamingHttpResponse
    from django.http.response import HttpResponseBase


def connect() -> None:
    """Find out what is declared, also when a test declares something else."""
    look()
    setting_changed.connect(_setting_changed, dispatch_uid="sitefleet.persite.locale")
    checks.register()


def _setting_changed(setting: str, **_: Any) -> None:
    if setting == "SITEFLEET":
        look()


class SiteLocaleMiddleware(HybridMiddleware):
    """Answer in the language and the time zone of the site, streaming bodies too.

    Stands right behind ``SiteMiddleware``. Like Django's ``LocaleMiddleware`` it sets
    ``request.LANGUAGE_CODE`` and the header ``Content-Language``.
    """

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Answer a request."""
        if not declared:
            return cast("HttpResponseBase", self.get_response(request))
        if self.is_async:
            return self._call_async(request)
        with _locale_for(request):
            return _finish(self.get_response(request))

    async def _call_async(self, request: HttpRequest) -> HttpResponseBase:
        with _locale_for(request):
            return _finish(await self.get_response(request))


@contextmanager
def site_locale(site: Site | int | None = None) -> Iterator[None]:
    """Put language and time zone of ``site`` in force, without one those of the current site.

    For commands, tasks and mails. The current site stays the one it is; where the site has no
    language or time zone of its own it is the project's, and where LANGUAGE_CODE or TIME_ZONE is
    not declared nothing is changed. Raises what `sitefleet.options.entered_site` raises.
    """
    with nullcontext() if site is None else override_site(site):
        locale = of_site()
    with locale:
        yield


def _locale_for(request: Any) -> Locale:
    locale = of_site()
    if locale.language is not None:
        request.LANGUAGE_CODE = locale.language.to_language()
    return locale


def _finish(response: HttpResponseBase) -> HttpResponseBase:
    if LANGUAGE in declared and "Content-Language" not in response.headers:
        language = translation.get_language()
        if language is not None:  # a view may have switched translations off
            response.headers["Content-Language"] = language
    if is_produced(response):  # later, when this is over
        drive_body(cast("StreamingHttpResponse", response), LocaleSteps())
    return response
