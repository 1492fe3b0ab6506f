"""Warm-up: marked, under the site's own host, told where it fails, and never fatal."""

import asyncio
import logging
import os
import time

import pytest
from django.core.handlers.asgi import ASGIRequest
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpResponse
from django.test import override_settings
from django.urls import path

from sitefleet import get_current_site
from sitefleet.hosting.servers.variables import FORKS
from sitefleet.models import SiteConfig
from sitefleet.registry import configure_site, set_state
from sitefleet.serving import choosing, warm
from sitefleet.serving.application import load_asgi, load_wsgi
from sitefleet.serving.fleet import load_fleet
from sitefleet.serving.warm import is_warm_up, warm_for_fork, warm_server

ASKED = []


def page(request):
    ASKED.append((get_current_site().name, request.get_full_path(), request.scheme))
    assert is_warm_up(request)
    assert request.get_host() == request.site.domain
    return HttpResponse("fine")


def bad(request):
    raise ZeroDivisionError


def away(request):
    ASKED.append("away")
    return HttpResponse(status=302, headers={"Location": "https://two.example.org/page/"})


def moved(request):
    return HttpResponse(status=302, headers={"Location": "../page/?moved"})


def slow(request):
    try:
        time.sleep(30)
    except Exception:  # noqa: BLE001 - a view that catches what it can
        return HttpResponse("late")


urlpatterns = [
    path("page/", page),
    path("bad/", bad),
    path("away/", away),
    path("moved/", moved),
    path("slow/", slow),
]
pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]
SERVERS = {"wsgi": (load_wsgi, False), "asgi": (load_asgi, True)}


@pytest.fixture(autouse=True)
def asked(monkeypatch):
    # The connection of a test is to stay open.
    monkeypatch.setattr(warm.connections, "close_all", lambda: None)
    monkeypatch.setattr(warm.connections["default"], "close", lambda: None)
    ASKED.clear()
    return ASKED


@pytest.fixture(params=list(SERVERS))
def server(request):
    load, asgi = SERVERS[request.param]
    return lambda: warm_server(load(), asgi=asgi)


def told(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "sitefleet"]


def test_paths_are_asked_under_the_host_of_their_site(fleet, server, asked, caplog):
    configure_site(fleet[0], serving={"warm_up": ["/page/"]})
    configure_site(fleet[2], serving={"warm_up": ["/page/?x=%C3%BC"]})
    server()
    assert asked == [("One", "/page/", "https"), ("DE", "/de/page/?x=%C3%BC", "https")]
    assert told(caplog) == []


def test_what_fails_is_told_and_the_rest_is_asked(site, server, asked, caplog):
    configure_site(site, serving={"warm_up": ["/bad/", "/none/", "/page/"]})
    server()
    assert told(caplog) == [
        "Warm-up of one, /bad/: status 500.",
        "Warm-up of one, /none/: status 404.",
    ]
    assert len(asked) == 1


def test_redirects_are_followed_on_the_same_host_only(fleet, server, asked):
    configure_site(fleet[0], serving={"warm_up": ["/away/", "/moved/"]})
    server()
    assert asked == ["away", ("One", "/page/?moved", "https")]


def test_a_path_that_hangs_is_given_up(site, asked, caplog, monkeypatch):
    monkeypatch.setattr(warm, "LONGEST_PATH", 0.02)
    configure_site(site, serving={"warm_up": ["/slow/", "/page/"]})
    warm_server(load_wsgi())
    assert told(caplog) == ["Warm-up of one, /slow/: no answer in 0 seconds."]
    assert len(asked) == 1


def test_all_of_it_ends_in_time(site, asked, caplog, monkeypatch):
    monkeypatch.setattr(warm, "LONGEST", 0.0)
    configure_site(site, serving={"warm_up": ["/page/"]})
    warm_server(load_wsgi())
    assert asked == []
    assert told(caplog)[0].endswith("was ended. Left out are one /page/.")


def test_a_site_that_is_asleep_is_not_asked(site, asked):
    configure_site(site, serving={"warm_up": ["/page/"]})
    set_state(site, "suspended")
    warm_server(load_wsgi())
    assert asked == []


def test_a_process_of_one_site_asks_its_own_paths(fleet, asked, monkeypatch):
    for site in fleet[:2]:
        configure_site(site, mode="dedicated", serving={"warm_up": ["/page/"]})
    monkeypatch.setenv("SITE_ID", str(fleet[1].pk))
    warm_server(load_wsgi())
    assert asked == [("Two", "/page/", "https")]


@pytest.mark.parametrize(("driver", "names"), [("gunicorn", ["One"]), ("uwsgi", ["One", "Two"])])
def test_a_shared_server_asks_the_sites_that_it_answers_for(fleet, asked, settings, driver, names):
    settings.SITEFLEET = {"SERVING": {"driver": driver}}
    paths = {"warm_up": ["/page/"]}
    configure_site(fleet[0], serving=paths)
    # uWSGI does not speak ASGI.
    configure_site(fleet[1], mode="dedicated", serving={**paths, "interface": "asgi"})
    warm_server(load_wsgi())
    assert [name for name, _, _ in asked] == names


def test_a_server_that_forks_asks_the_sites_that_it_forks(fleet, asked, monkeypatch):
    for site in fleet:
        configure_site(site, mode="dedicated", serving={"warm_up": ["/page/"]})
    monkeypatch.setenv(FORKS, f"{fleet[0].pk},{fleet[1].pk}")
    warm_server(load_wsgi())
    assert [name for name, _, _ in asked] == ["One", "Two"]
    assert FORKS not in os.environ, "it says nothing to who is started from here"


def test_default_paths_are_asked_of_shared_sites_too(fleet, asked, settings):
    settings.SITEFLEET = {"SERVING": {"options": {"warm_up": ["/page/"]}}}
    warm_server(load_wsgi())
    assert [name for name, _, _ in asked] == ["One", "Two", "DE"]


def test_before_a_fork_the_paths_of_each_site_are_asked_under_its_own_host(fleet, asked):
    for site in fleet:
        configure_site(site, mode="dedicated", serving={"warm_up": ["/page/", f"/page/?{site.pk}"]})
    one, two = fleet[0].pk, fleet[1].pk
    warm_for_fork(load_wsgi(), load_fleet(), {one, two})
    assert [(name, where) for name, where, _ in asked] == [
        ("One", "/page/"),
        ("One", f"/page/?{one}"),
        ("Two", "/page/"),
        ("Two", f"/page/?{two}"),
    ]


def test_of_many_sites_with_the_paths_of_the_project_one_of_each_kind_is_asked(
    fleet, asked, settings, monkeypatch
):
    monkeypatch.setattr(choosing, "MANY", 2)
    settings.SITEFLEET = {"SERVING": {"options": {"warm_up": ["/page/"]}, "mode": "dedicated"}}

    def names():
        asked.clear()
        warm_for_fork(load_wsgi(), load_fleet(), {site.pk for site in fleet})
        return [name for name, _, _ in asked]

    assert names() == ["One"]
    SiteConfig.objects.filter(site=fleet[2]).update(theme="blue")
    assert names() == ["One", "DE"]
    configure_site(fleet[1], serving={"warm_up": ["/page/?own"]})
    assert names() == ["Two", "One", "DE"], "that is not many any more"


def test_no_more_than_so_many_sites_are_asked_and_the_others_are_told(
    fleet, asked, caplog, monkeypatch
):
    monkeypatch.setattr(choosing, "MOST_SITES", 1)
    for site in fleet:
        configure_site(site, serving={"warm_up": ["/page/"]})
    warm_server(load_wsgi())
    assert [name for name, _, _ in asked] == ["One"]
    assert told(caplog) == ["Warm-up is for 1 sites at most. Left out are two, de."]


def test_where_no_site_lists_a_path_one_page_is_asked_and_may_be_missing(
    fleet, asked, other_site, caplog
):
    for site in fleet[:2]:
        configure_site(site, mode="dedicated")
    seen = []
    application = load_wsgi()
    ids = {site.pk for site in fleet}
    warm_for_fork(lambda *args: seen.append(args) or application(*args), load_fleet(), ids)
    assert len(seen) == 1
    assert caplog.messages == []


def test_what_is_missing_is_told_once_and_what_is_broken_with_its_traceback(site, server, caplog):
    configure_site(site, serving={"warm_up": ["/bad/", "/none/"]})
    server()
    theirs = [one.levelname for one in caplog.records if one.name == "django.request"]
    assert theirs == ["ERROR"]
    assert logging.getLogger("django.request").filters == []


@override_settings(SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https"))
def test_where_a_proxy_says_the_scheme_the_warm_up_says_it_too(site, server, asked):
    configure_site(site, serving={"warm_up": ["/page/"]})
    server()
    assert asked == [("One", "/page/", "https")]


def test_a_urlconf_that_cannot_be_loaded_stops_nothing(site, settings, caplog):
    application = load_wsgi()
    settings.ROOT_URLCONF = "tests.no_such_module"
    warm_server(application)
    assert "Warm-up of URLconfs" in told(caplog)[0]


def test_a_database_that_is_gone_stops_nothing(site, monkeypatch, caplog):
    def gone():
        raise OSError("gone")

    monkeypatch.setattr(warm, "load_fleet", gone)
    warm_server(load_wsgi())
    assert told(caplog) == ["Not warmed up: OSError: gone"]


def test_within_an_event_loop_an_asgi_application_is_asked_too(site, asked, monkeypatch):
    async def receive_nothing(scope, receive, send):
        ASKED.append(scope["sitefleet.warm_up"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    configure_site(site, serving={"warm_up": ["/page/"]})
    found = load_fleet()
    monkeypatch.setattr(warm, "load_fleet", lambda: found)

    async def serve():
        warm_server(receive_nothing, asgi=True)

    asyncio.run(serve())
    assert asked == [True]


def test_no_client_can_set_the_mark(rf):
    headers = {"HTTP_SITEFLEET.WARM_UP": "1", "HTTP_SITEFLEET_WARM_UP": "1"}
    assert not is_warm_up(WSGIRequest(rf.get("/", **headers).environ))
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "headers": [(b"sitefleet.warm_up", b"1")],
    }
    assert not is_warm_up(ASGIRequest(scope, None))
