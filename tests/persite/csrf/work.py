"""Pages to post to, and how a sibling posts."""

from asgiref.sync import async_to_sync
from django.http import HttpResponse
from django.test import Client
from django.urls import path
from django.views.decorators.csrf import csrf_exempt, csrf_protect

import tests.settings
from tests.asgi import ask

OURS = "sitefleet.persite.csrf.CsrfViewMiddleware"
DJANGOS = "django.middleware.csrf.CsrfViewMiddleware"
TOKEN = "t" * 32
ONE, TWO = "t1.plat.test", "t2.plat.test"
WILDCARD = ["https://*.plat.test", "http://*.plat.test"]


def posted(request):
    return HttpResponse("posted")


async def aposted(request):
    return HttpResponse("posted")


class Urls:
    urlpatterns = [
        path("posted/", posted),
        path("aposted/", aposted),
        path("protected/", csrf_protect(posted)),
        path("exempt/", csrf_exempt(posted)),
        path("own/", csrf_exempt(csrf_protect(posted))),
    ]


def with_middleware(name):
    return [name if each == DJANGOS else each for each in tests.settings.MIDDLEWARE]


def post(host, origin=None, *, secure=True, path="/posted/", referer=None, **extra):
    """Post with a token that fits the cookie, as a sibling can bring about; return the status."""
    client = Client(enforce_csrf_checks=True)
    client.cookies["csrftoken"] = TOKEN
    headers = {"host": host, "x-csrftoken": TOKEN}
    headers |= {"origin": origin} if origin is not None else {}
    headers |= {"referer": referer} if referer is not None else {}
    return client.post(path, headers=headers, secure=secure, **extra).status_code


def post_async(host, origin, *, path="/aposted/", extra=()):
    headers = [(b"cookie", f"csrftoken={TOKEN}".encode()), (b"x-csrftoken", TOKEN.encode())]
    headers += [(b"origin", origin.encode()), *extra]
    answer = async_to_sync(ask)(host, path, method="POST", headers=headers)
    return answer.status
