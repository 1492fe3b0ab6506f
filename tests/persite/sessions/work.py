"""Views that do things to their session, and an engine of a third party: this module."""

from importlib import import_module

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.conf import settings as django_settings
from django.contrib.auth import (
    aget_user,
    alogin,
    alogout,
    authenticate,
)
from django.contrib.auth import login as auth_login
from django.contrib.auth import logout as auth_logout
from django.contrib.sessions.backends.base import CreateError, SessionBase
from django.contrib.sessions.models import Session
from django.http import JsonResponse
from django.urls import path

from sitefleet import override_site
from sitefleet.persite.sessions import BoundToSite
from sitefleet.test import client_for
from tests.asgi import ask

PLACE = "sitefleet.persite.sessions"
ENGINES = ["db", "cache", "cached_db", "file", "signed_cookies"]
#: Signed cookies keep nothing that could be deleted, extended or probed.
with_storage = pytest.mark.parametrize("engine", ENGINES[:-1], indirect=True)
THIRD_PARTY = __name__


class SessionStore(BoundToSite, SessionBase):
    """A third party's engine: a dictionary, with the mixin; this module is the engine."""

    kept = {}

    def exists(self, session_key):
        return super().exists(session_key)

    def create(self):
        self._session_key = self._get_new_session_key()
        self.save(must_create=True)
        self.modified = True

    def save(self, must_create=False):
        if self.session_key is None:
            self.create()
        elif must_create and self.session_key in self.kept:
            raise CreateError
        else:
            self.kept[self.session_key] = dict(self._get_session(no_load=must_create))

    def delete(self, session_key=None):
        self.kept.pop(session_key or self.session_key, None)

    def load(self):
        found = self.kept.get(self.session_key)
        if found is None:
            self._session_key = None
        return found or {}


def _act(request):
    """Do with the session what the path says."""
    session, what = request.session, request.path.strip("/")
    if what == "set":
        session["drawn"] = True
    elif what == "save":
        session.save()
    elif what == "flush":
        session.flush()
    elif what == "cycle":
        session.cycle_key()
    elif what == "extend":
        session.set_expiry(10_000_000)
    elif what == "logout":
        auth_logout(request)
    elif what == "login":
        auth_login(request, authenticate(request, username="eve", password="secret"))


def act(request):
    before = dict(request.session)
    _act(request)
    return JsonResponse({"before": before, "user": request.user.get_username()})


async def aact(request):
    session, what = request.session, request.path.strip("/").removeprefix("a/")
    before = dict(await session.aitems())
    if what == "set":
        await session.aset("drawn", True)
    elif what == "save":
        await session.asave()
    elif what == "flush":
        await session.aflush()
    elif what == "cycle":
        await session.acycle_key()
    elif what == "extend":
        await session.aset_expiry(10_000_000)
    elif what == "logout":
        await alogout(request)
    elif what == "login":
        user = await sync_to_async(authenticate)(request, username="eve", password="secret")
        await alogin(request, user)
    user = await aget_user(request)
    return JsonResponse({"before": before, "user": user.get_username()})


ACTIONS = ["look", "set", "save", "flush", "cycle", "extend", "logout", "login"]


class Urls:
    urlpatterns = [path(f"{what}/", act) for what in ACTIONS]
    urlpatterns += [path(f"a/{what}/", aact) for what in ACTIONS]


def store(site, key=None):
    with override_site(site):
        return new(key)


def new(key=None):
    return import_module(django_settings.SESSION_ENGINE).SessionStore(key)


def kept(site, key):
    """Return all that is kept of a session: what is in it, and when it ends."""
    with override_site(site):
        session = store(site, key)
        rows = list(Session.objects.filter(session_key=key).values())
        return dict(session.items()), rows


def at(site, key, what):
    """Ask a site with a session that may be of another one; return what it saw and its cookie."""
    client = client_for(site)
    client.cookies["sessionid"] = key
    response = client.get(f"/{what}/")
    return response.json(), response.cookies.get("sessionid")


def at_async(site, key, what):
    headers = [(b"cookie", f"sessionid={key}".encode())]
    answer = async_to_sync(ask)(site.domain, f"/a/{what}/", headers=headers)
    return answer.json(), answer["set-cookie"]
