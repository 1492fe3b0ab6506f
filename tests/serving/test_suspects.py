"""Warm-up harms nobody else: a page that ends its process does so once, one that leaves something
active leaves it to nobody."""

import decimal
import json
import os
import sys

import pytest
from django.conf import settings
from django.http import HttpResponse
from django.urls import path
from django.utils import timezone, translation

from sitefleet.exceptions import SiteError
from sitefleet.hosting.processes.run_dir import make_prefix
from sitefleet.hosting.servers.variables import ASKING
from sitefleet.registry import configure_site
from sitefleet.serving import warm
from sitefleet.serving.application import load_asgi, load_wsgi
from sitefleet.serving.fleet import load_fleet
from sitefleet.serving.program import DjangoProgram
from sitefleet.serving.suspects import read_suspects
from sitefleet.serving.warm import warm_for_fork, warm_server
from sitefleet.serving.zygote import said_at

SEEN = []


def page(request):
    SEEN.append(request.get_full_path())
    return HttpResponse("fine")


def noting(request):
    (file,) = settings.RUN_DIR.glob("x.asking.*")
    SEEN.append(json.loads(file.read_bytes())[1:])
    SEEN.append(read_suspects())  # of processes that live there are none
    return HttpResponse("fine")


def leaving(request):
    translation.activate("de")
    timezone.activate("Asia/Tokyo")
    decimal.getcontext().prec = 3
    SEEN.append(len(list(DjangoProgram.find_left_active())))
    return HttpResponse("fine")


def ending(request):
    sys.exit(3)


urlpatterns = [
    path("page/", page),
    path("noting/", noting),
    path("leaving/", leaving),
    path("ending/", ending),
]
pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path, settings):
    monkeypatch.setattr(warm.connections, "close_all", lambda: None)
    monkeypatch.setattr(warm.connections["default"], "close", lambda: None)
    monkeypatch.setenv(ASKING, str(tmp_path / "x.asking"))
    settings.RUN_DIR = tmp_path
    SEEN.clear()
    return tmp_path


def leave(folder, site, path):
    """Leave what a process leaves that ended while it asked for a path."""
    (folder / "x.asking.1").write_text(json.dumps([site.pk, "one", path]))


def told(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "sitefleet"]


def test_while_a_page_is_asked_for_a_file_says_which(site, folder):
    configure_site(site, serving={"warm_up": ["/noting/"]})
    warm_server(load_wsgi())
    assert SEEN == [["one", "/noting/"], []]
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "run",
    [
        lambda _ids: warm_server(load_wsgi()),
        lambda ids: warm_for_fork(load_wsgi(), load_fleet(), ids),
    ],
    ids=["server", "for a fork"],
)
def test_what_ended_a_process_is_left_out_and_told(fleet, folder, caplog, run):
    configure_site(fleet[0], serving={"warm_up": ["/page/?bad", "/page/?own"]})
    configure_site(fleet[1], serving={"warm_up": ["/page/?bad", "/page/?other"]})
    leave(folder, fleet[0], "/page/?bad")
    for _ in range(2):  # it is not forgotten when it was said once
        SEEN.clear()
        run({site.pk for site in fleet})
        assert SEEN == ["/page/?other"]
    assert "Warm-up of one, /page/?bad: a process ended while it asked" in told(caplog)[0]


def test_the_page_that_is_asked_where_no_site_lists_any_ends_one_process_only(site, folder):
    configure_site(site, mode="dedicated")
    leave(folder, site, "/")
    asked = []
    warm_for_fork(lambda *_: asked.append(1), load_fleet(), {site.pk})
    assert asked == []


def test_what_ended_processes_of_an_earlier_server_is_forgotten(site, folder):
    leave(folder, site, "/page/")
    assert make_prefix(folder, "x.asking") == folder / "x.asking"
    assert read_suspects() == []


def test_a_file_that_says_nothing_accuses_nobody(folder):
    for number, text in enumerate(["", "{", "[1]"]):
        (folder / f"x.asking.{number}").write_text(text)
    assert read_suspects() == []


def test_a_page_that_asks_python_to_end_ends_nothing(site, caplog):
    configure_site(site, serving={"warm_up": ["/ending/", "/page/"]})
    warm_server(load_wsgi())
    assert told(caplog) == ["Warm-up of one, /ending/: SystemExit: 3"]
    assert SEEN == ["/page/"]


@pytest.mark.parametrize("load", [load_wsgi, load_asgi])
def test_what_a_page_leaves_active_is_left_to_nobody(site, load):
    configure_site(site, serving={"warm_up": ["/leaving/"]})
    warm_server(load(), asgi=load is load_asgi)
    assert SEEN == [4]  # the site, too, within the request
    assert list(DjangoProgram.find_left_active()) == []


def test_what_the_project_leaves_active_is_told():
    with translation.override("de"), timezone.override("Asia/Tokyo"), decimal.localcontext(prec=3):
        told = DjangoProgram.find_left_active()
    for word in ("'de'", "Asia/Tokyo", "prec=3"):
        assert any(word in line for line in told), told


def test_a_project_whose_import_ended_the_process_is_not_imported_again_at_once(folder):
    loading = folder / "x.loading"
    loading.touch()
    with pytest.raises(SiteError, match="ended while it loaded"), said_at(loading):
        pass
    with said_at(loading):
        assert loading.exists()
    assert not loading.exists()


def test_where_a_page_ended_the_process_the_project_is_loaded_again(site, folder):
    loading = folder / "x.loading"
    loading.touch()
    leave(folder, site, "/page/")
    with said_at(loading):
        pass
    loading.touch()
    os.utime(folder / "x.asking.1", (1, 1))  # this time it was not the page
    with pytest.raises(SiteError), said_at(loading):
        pass
