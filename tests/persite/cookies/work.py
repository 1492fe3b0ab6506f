"""Views that have every cookie of Django set, read and deleted."""

from django.contrib import messages
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.middleware.csrf import get_token
from django.test import Client
from django.urls import include, path
from django.utils.decorators import sync_and_async_middleware

import tests.settings

FIRST = "sitefleet.middleware.SiteMiddleware"
OURS = "sitefleet.persite.cookies.CookieMiddleware"
MIDDLEWARE = [FIRST, OURS, *tests.settings.MIDDLEWARE[1:]]
DJANGOS = ["sessionid", "csrftoken", "messages", "django_language"]
ONE = "one.example.org"


def seen(request):
    """Tell which cookies code sees."""
    return JsonResponse(dict(request.COOKIES))


async def aseen(request):
    await request.session.aset("a", 1)
    get_token(request)
    response = JsonResponse(dict(request.COOKIES))
    response.set_cookie("theirs", "1")
    return response


def use(request):
    """Have every cookie of Django set, and one of a third party."""
    request.session["a"] = 1
    get_token(request)
    messages.info(request, 'heard; and "quoted"')
    response = HttpResponse("used")
    if "stream" in request.path:
        response = StreamingHttpResponse(iter([b"used"]))
    response.set_cookie("django_language", "de")
    response.set_cookie("theirs", "1")
    response.set_cookie("deep", "1", domain="elsewhere.example.org")
    return response


def drop(request):
    request.session.flush()
    response = HttpResponse("dropped")
    for name in ("csrftoken", "django_language", "messages", "theirs"):
        response.delete_cookie(name)
    return response


class Urls:
    urlpatterns = [
        path("seen/", seen),
        path("aseen/", aseen),
        path("use/", use),
        path("stream/", use),
        path("drop/", drop),
        path("", include("tests.urls")),
    ]


@sync_and_async_middleware
def setting_middleware(get_response):
    """A third party's middleware that sets a cookie of Django's."""

    def middleware(request):
        response = get_response(request)
        response.set_cookie("django_language", "fr")
        return response

    return middleware


def get(where, host=ONE, *, secure=True, cookie=""):
    headers = {"host": host} | ({"cookie": cookie} if cookie else {})
    return Client().get(where, headers=headers, secure=secure)


def domains(response):
    return {name: morsel["domain"] for name, morsel in response.cookies.items()}
