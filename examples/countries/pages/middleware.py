from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import translation

from pages.sites import slug_of


class SiteLanguageMiddleware:
    """Answer in the language of the site."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        language = settings.SITE_LANGUAGES.get(slug_of(request.site), settings.LANGUAGE_CODE)
        with translation.override(language):
            return self.get_response(request)
