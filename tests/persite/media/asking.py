"""A project that serves media, and how the tests ask it."""

from urllib.parse import quote, unquote

from asgiref.sync import async_to_sync
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.http import HttpResponse
from django.test import Client
from django.urls import path

from sitefleet import override_site
from sitefleet.persite.storage import sendfile, serve_media
from tests.asgi import ask

SITE_STORAGE = "sitefleet.persite.storage.SiteStorage"
DJANGO = "django.core.files.storage."
REMOTE = "tests.persite.remote_storage.RemoteStorage"
STATIC = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
ONE, TWO = "one.example.org", "two.example.org"


def invoice(request, name):
    """A view of a project, which has found out who asks."""
    return sendfile(request, name, storage=request.GET.get("storage", "default"), **named(request))


def named(request):
    filename = request.GET.get("filename", "")
    return {"filename": filename, "as_attachment": "attach" in request.GET}


class URLs:
    urlpatterns = [
        path("media/<path:name>", serve_media),
        path("memory/<path:name>", serve_media, {"storage": "memory"}),
        path("remote/<path:name>", serve_media, {"storage": "remote"}),
        path("shared/<path:name>", serve_media, {"storage": "shared"}),
        path("invoice/<path:name>", invoice),
    ]


def save(site, name="a.txt", content=b"content", storage="default"):
    with override_site(site):
        saved = storages[storage].save(name, ContentFile(content))
        return f"/media/{storages[storage].folder}/{quote(saved)}"


def get(url, host=ONE, **options):
    return read(Client().get(url, headers={"host": host, **options}))


def ask_asgi(host, url, **options):
    return async_to_sync(ask)(host, unquote(url), **options)


def read(response):
    """Take the body out of a response, and close it, as a server does."""
    response.body = b"".join(response) if response.streaming else response.content
    response.close()
    return response


def get_request():
    request = HttpResponse()
    request.method, request.META = "GET", {}
    return request


TRAVERSALS = [
    "sites/{own}/../{other}/a.txt",
    "sites/{own}/%2e%2e/{other}/a.txt",
    "sites/{own}/%2E%2E%2F{other}/a.txt",
    "sites/{own}/..%2f{other}/a.txt",
    "sites/{own}/..%5c{other}%5ca.txt",
    "sites/{own}/%252e%252e/{other}/a.txt",
    "sites/{own}//../{other}/a.txt",
    "sites/{own}/./../{other}/a.txt",
    "sites/{own}/d/../a.txt",
    "sites/{own}//a.txt",
    "sites/{own}/./a.txt",
    "sites/{own}/d%5c..%5ca.txt",
    "sites/{own}/d%5ca.txt",
    "a.txt",
    "d/a.txt",
    "sites/{own}/a.txt%00",
    "sites/{own}/a.txt%00.html",
    "sites/{own}/a.txt/",
    "sites/{own}/a.txt/b",
    "sites/{own}/",
    "sites/{own}",
    "sites/{own}/d",
    "sites/{own}/d/",
    "sites/{own}/nothing.txt",
    "sites/{own}/" + "x" * 300,
    "sites/{own}/%ED%A0%80",
    "sites/{own}/sites/{own}/a.txt",
    "sites/{own}0/a.txt",
    "sites/0{own}/a.txt",
    "sites/{other}/a.txt",
    "sites/{own}/../../secret.txt",
    "../secret.txt",
    "secret.txt",
    "/{root}/secret.txt",
    "sites/{own}/{root}/sites/{own}/a.txt",
    "sites",
]
