"""The files of the projects that `tests.acceptance.fleets` makes."""

SETTINGS = '''
"""The settings of a fleet of a test."""
import json
import os
from pathlib import Path

from sitefleet import ACCEPTED_HOST

BASE_DIR = Path(__file__).parent.parent
EXTRA = json.loads((BASE_DIR / "extra.json").read_text())
DEBUG = EXTRA.get("DEBUG", False)
SECRET_KEY = "of a test"
ALLOWED_HOSTS = [ACCEPTED_HOST]
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.sites",
    "sitefleet",
]
MIDDLEWARE = ["sitefleet.middleware.SiteMiddleware", "django.middleware.common.CommonMiddleware"]
ROOT_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"
ASGI_APPLICATION = "project.asgi.application"
DATABASES = EXTRA.get("DATABASES") or {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": BASE_DIR / "db.sqlite3",
        "OPTIONS": {"transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode=WAL"},
    }
}
CACHES = {"default": {"BACKEND": "sitefleet.persite.cache.LocMemCache"}}
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
SITEFLEET = {
    "SCHEME": "http",
    "SERVING": EXTRA.get("SERVING", {}),
    **EXTRA.get("SITEFLEET", {}),
}
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "loggers": {"django": {"handlers": ["console"], "level": "ERROR", "propagate": False}},
}
for _name, _value in EXTRA.get("SETTINGS", {}).items():
    globals()[_name] = _value
'''

URLS = '''
"""Views that tell who answers, and that misbehave when they are asked to."""
import asyncio
import os
import time

from asgiref.sync import sync_to_async
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path

from sitefleet import get_current_site
from sitefleet.presented import shown

VERSION = 1
KEPT = []
TOLD = {"SERVER_NAME", "SERVER_PORT", "REMOTE_ADDR", "REMOTE_PORT", "HTTP_X_FORWARDED_PORT"}


def home(request):
    return JsonResponse(
        {
            "site": request.site.siteconfig.slug,
            "pid": os.getpid(),
            "host": request.get_host(),
            "secure": request.is_secure(),
            "version": VERSION,
            "flavour": os.environ.get("FLAVOUR", ""),
            "SITE_ID": os.environ.get("SITE_ID", ""),
            "path": request.path,
        }
    )


def echo(request):
    return JsonResponse(
        {
            "headers": dict(request.headers),
            "address": request.META.get("REMOTE_ADDR", ""),
            "meta": {name: value for name, value in request.META.items() if name in TOLD},
            "port": request.get_port(),
            "secure": request.is_secure(),
            "method": request.method,
            "body": request.body.decode("latin-1"),
            "query": request.META.get("QUERY_STRING", ""),
        }
    )


def slow(request):
    if "text" in request.GET:
        print(request.GET["text"], flush=True)  # so that a test knows that it is under way
    time.sleep(float(request.GET.get("seconds", 1)))
    return home(request)


def stream(request):
    pause, lines = float(request.GET.get("pause", 0.1)), int(request.GET.get("lines", 5))

    def parts():
        for number in range(lines):
            yield f"{get_current_site().siteconfig.slug} {number}\\n".encode()
            time.sleep(pause)

    async def async_parts():
        for number in range(lines):
            site = await sync_to_async(get_current_site)()
            yield f"{shown(site).slug} {number}\\n".encode()
            await asyncio.sleep(pause)

    body = async_parts() if hasattr(request, "scope") else parts()
    return StreamingHttpResponse(body, content_type="text/plain")


def crash(request):
    os._exit(7)


def hang(request):
    time.sleep(3600)


def grow(request):
    KEPT.append(bytearray(os.urandom(1024)) * 1024 * int(request.GET.get("megabytes", 50)))
    return home(request)


def error(request):
    raise ValueError("this view raises")


def say(request):
    slug, text = request.site.siteconfig.slug, request.GET.get("text", "hello")
    print(f"site {slug} says {text}", flush=True)
    return HttpResponse("said")


urlpatterns = [
    path("", home),
    path("echo/", echo),
    path("slow/", slow),
    path("stream/", stream),
    path("crash/", crash),
    path("hang/", hang),
    path("grow/", grow),
    path("error/", error),
    path("say/", say),
]
'''

ASGI = '''
"""Django, and a WebSocket that answers each text, and `scope` with what it was told."""
import json
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

from django.core.asgi import get_asgi_application

from sitefleet.persite.websockets import SiteWebSocketMiddleware
from sitefleet.presented import shown

django = get_asgi_application()


async def sockets(scope, receive, send):
    slug = shown(scope["site"]).slug
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        told = {name: scope[name] for name in ("server", "client", "scheme")}
        told["headers"] = {name.decode(): value.decode() for name, value in scope["headers"]}
        said = json.dumps(told) if event.get("text") == "scope" else event.get("text")
        await send({"type": "websocket.send", "text": f"{slug}:{said}"})


sockets = SiteWebSocketMiddleware(sockets)


async def application(scope, receive, send):
    await (sockets if scope["type"] == "websocket" else django)(scope, receive, send)
'''

WSGI = """
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
"""

MANAGE = """
import os
import sys

from sitefleet.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    execute_from_command_line(sys.argv)
"""
