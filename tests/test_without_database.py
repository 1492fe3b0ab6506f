"""What a visitor and the log see where the database of sites does not answer."""

import asyncio
import logging
from contextlib import contextmanager

import pytest
from django.contrib.sites.models import Site
from django.db import DatabaseError, InterfaceError, OperationalError, connections
from django.db.backends.utils import CursorWrapper
from django.http import HttpResponse
from django.test import AsyncClient, Client, override_settings
from django.urls import path

from sitefleet.persite.websockets.handshakes import examine, read
from sitefleet.registry import set_state
from sitefleet.resolver import resolver
from sitefleet.test import client_for
from tests.databases import sqlite_file, using_database

HOST = "one.example.org"


def rows(request):
    return HttpResponse(f"{Site.objects.count()} sites")


def front(request):
    return HttpResponse("Welcome")


urlpatterns = [path("", front), path("rows/", rows)]
pytestmark = pytest.mark.urls(__name__)


@pytest.fixture
def away(tmp_path, django_db_blocker):
    """A database that nobody can connect to; it is the path of the folder that is missing."""
    folder = tmp_path / "gone"
    with django_db_blocker.unblock(), using_database(**sqlite_file(folder / "file.sqlite3")):
        yield folder


@contextmanager
def broken(error):
    """Let each statement fail."""

    def refuse(*_):
        raise error

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CursorWrapper, "execute", refuse)
        yield patch


def get(path="/", *, strict=True):
    return Client(raise_request_exception=strict).get(path, headers={"host": HOST})


def test_a_process_that_knows_no_site_yet_asks_to_try_again_and_says_why_in_the_log(away, caplog):
    with caplog.at_level(logging.ERROR, "sitefleet"):
        response = get()
    assert response.status_code == 503
    assert response["Retry-After"] == "5"
    assert "no-store" in response["Cache-Control"]
    assert response["Content-Length"] == str(len(response.content))
    page = response.content.decode()
    assert "cannot be shown right now" in page
    assert "database" not in page, "what stands behind a site is not for visitors"
    (record,) = [record for record in caplog.records if record.name == "sitefleet"]
    told = "503 for 'one.example.org', the database does not answer: unable to open database file"
    assert record.getMessage() == told


def test_in_debug_the_page_says_why(away):
    with override_settings(DEBUG=True):
        response = get()
    assert response.status_code == 503
    assert "unable to open database file" in response.content.decode()


def test_under_asgi_it_is_the_same(away):
    async def ask():
        return await AsyncClient().get("/")

    assert asyncio.run(ask()).status_code == 503


@pytest.mark.usefixtures("away")
def test_a_handshake_is_answered_as_a_request_is():
    scope = {"type": "websocket", "path": "/", "headers": [(b"host", HOST.encode())]}
    assert examine(read(scope)).status_code == 503


def test_it_answers_as_soon_as_the_database_does(site, tmp_path):
    with using_database(**sqlite_file(tmp_path / "gone" / "file.sqlite3")):
        assert get().status_code == 503
    assert get().status_code == 200


def test_a_connection_that_has_broken_is_one_that_does_not_answer(site):
    resolver.reset()
    error = InterfaceError("connection already closed")  # which is no DatabaseError
    with broken(error) as patch:
        patch.setattr(connections["default"], "is_usable", lambda: False)
        assert get().status_code == 503
    assert get().status_code == 200


@pytest.mark.parametrize("kind", [OperationalError, DatabaseError, InterfaceError])
def test_any_other_error_of_a_database_that_answers_is_for_who_watches_the_errors(site, kind):
    resolver.reset()
    with broken(kind("disk I/O error")), pytest.raises(kind):
        get()


@override_settings(SITEFLEET={"FRESHNESS": 60.0})
def test_what_a_view_asks_in_vain_is_its_own_error(site):
    assert get("/rows/").status_code == 200
    with broken(OperationalError("gone")) as patch:
        patch.setattr(connections["default"], "is_usable", lambda: False)
        assert get().status_code == 200, "which asks nothing"
        assert get("/rows/", strict=False).status_code == 500


@override_settings(SITEFLEET={"FRESHNESS": 60.0})
def test_whether_somebody_is_of_the_staff_is_asked_in_vain_too(site, django_user_model):
    set_state(site, "maintenance")
    browser = client_for(site)
    browser.force_login(django_user_model.objects.create_superuser("root"))
    assert browser.get("/").status_code == 200
    with broken(OperationalError("gone")) as patch:
        patch.setattr(connections["default"], "is_usable", lambda: False)
        response = browser.get("/")
    assert (response.status_code, response["Retry-After"]) == (503, "5")
