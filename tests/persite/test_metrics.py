"""Requests are counted by site, and what clients or admins make up never becomes a label."""

import os
import subprocess
import sys

import pytest
from asgiref.sync import async_to_sync
from django.contrib.sites.models import Site
from django.http import HttpResponse, StreamingHttpResponse
from django.test import Client, override_settings
from django.urls import path
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
from prometheus_client.parser import text_string_to_metric_families as parse

from sitefleet.models import SiteConfig
from sitefleet.persite import metrics
from sitefleet.persite.metrics import MetricsMiddleware, SiteMetrics, exposition
from sitefleet.registry import add_alias, add_site, set_state
from sitefleet.test import client_for
from tests import urls, views
from tests.asgi import ask

OURS = "sitefleet.persite.metrics.MetricsMiddleware"


@pytest.fixture
def registry(monkeypatch):
    """A registry of its own for each test."""
    registry = CollectorRegistry()
    monkeypatch.setattr(MetricsMiddleware, "metrics", SiteMetrics(registry))
    return registry


@pytest.fixture
def counted(registry, settings):
    """What was counted, as `counted()`: requests by site, method and status."""
    settings.MIDDLEWARE = [OURS, *settings.MIDDLEWARE]
    settings.ROOT_URLCONF = MetricUrls

    def read():
        names = ("site", "method", "status")
        return {
            tuple(sample.labels[name] for name in names): sample.value
            for family in registry.collect()
            for sample in family.samples
            if sample.name == "sitefleet_requests_total"
        }

    return read


def slow(request):
    def body():
        yield "begun"
        raise RuntimeError("after the response has begun")

    return StreamingHttpResponse(body())


def status(request, code):
    return HttpResponse("", status=code)


async def async_status(request, code):
    return HttpResponse("", status=code)


class MetricUrls:
    urlpatterns = [
        path("status/<int:code>/", status),
        path("async-status/<int:code>/", async_status),
        path("slow/", slow),
        path("metrics/", exposition),
        *urls.urlpatterns,
    ]


ONE, TWO = "one.example.org", "two.example.org"


# --- what is counted -------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["status", "async-status"])
def test_requests_are_counted_by_site_method_and_status(site, other_site, counted, where):
    for code in (200, 204, 302, 404, 500, 503):
        client_for(site).get(f"/{where}/{code}/")
    client_for(other_site).post(f"/{where}/200/")
    assert counted() == {
        ("one", "GET", "2xx"): 2,
        ("one", "GET", "3xx"): 1,
        ("one", "GET", "4xx"): 1,
        ("one", "GET", "5xx"): 2,
        ("two", "POST", "2xx"): 1,
    }


@pytest.mark.parametrize("where", ["status", "async-status"])
def test_requests_are_counted_under_asgi(site, other_site, counted, where):
    for host in (ONE, ONE, TWO):
        async_to_sync(ask)(host, f"/{where}/200/")
    assert counted() == {("one", "GET", "2xx"): 2, ("two", "GET", "2xx"): 1}


@pytest.mark.parametrize("where", ["/fail/", "/async-fail/"])
@pytest.mark.parametrize("propagate", [False, True])
def test_a_view_that_fails_is_an_error(site, counted, settings, where, propagate):
    settings.DEBUG_PROPAGATE_EXCEPTIONS = propagate
    with pytest.raises(RuntimeError, match="on purpose"):
        client_for(site).get(where)
    assert counted() == {("one", "GET", "5xx"): 1}


async def fail(request):
    raise RuntimeError(request.method)


async def test_an_async_view_that_fails_is_an_error(rf, counted):
    with pytest.raises(RuntimeError, match="PUT"):
        await MetricsMiddleware(fail)(rf.put("/"))
    assert counted() == {("-", "PUT", "5xx"): 1}


def test_a_client_that_leaves_is_counted_as_such(site, counted, monkeypatch):
    monkeypatch.setattr(views, "closed", {})
    answer = async_to_sync(ask)(
        ONE, "/wait/", until=lambda _: views.closed.get("/wait/") == "waiting"
    )
    assert answer.status == 0
    assert counted() == {("one", "GET", "cancelled"): 1}


def test_time_is_measured_until_the_response_begins(site, registry, counted):
    response = client_for(site).get("/slow/")
    labels = {"site": "one"}
    assert registry.get_sample_value("sitefleet_request_seconds_count", labels) == 1
    with pytest.raises(RuntimeError):
        b"".join(response)
    assert registry.get_sample_value("sitefleet_request_seconds_count", labels) == 1
    assert 0 < registry.get_sample_value("sitefleet_request_seconds_sum", labels) < 5


def test_what_sitefleet_answers_itself_has_no_site(site, counted):
    add_alias(site, "old.example")
    set_state(add_site("away", domain="away.example.org"), "maintenance")
    for host, code in [("evil.test", 404), ("old.example", 301), ("away.example.org", 503)]:
        assert Client().get("/", headers={"host": host}).status_code == code
    assert counted() == {
        ("-", "GET", "4xx"): 1,
        ("-", "GET", "3xx"): 1,
        ("-", "GET", "5xx"): 1,
    }


def test_behind_the_door_only_requests_of_sites_are_counted(site, counted, settings):
    first, second, *rest = settings.MIDDLEWARE
    settings.MIDDLEWARE = [second, first, *rest]
    Client().get("/", headers={"host": "evil.test"})
    client_for(site).get("/status/200/")
    assert counted() == {("one", "GET", "2xx"): 1}


def test_a_site_of_django_alone_has_no_slug(rf, registry):
    request = rf.get("/")
    request.site = Site(pk=3, domain="x")
    MetricsMiddleware(lambda _: HttpResponse())(request)
    assert registry.get_sample_value("sitefleet_request_seconds_count", {"site": "-"}) == 1


# --- bounds ----------------------------------------------------------------------------------


def test_methods_that_clients_make_up_are_one_label(site, counted):
    for number in range(50):
        Client().generic(f"M{number}", "/status/200/", headers={"host": ONE})
    assert counted() == {("one", "other", "2xx"): 50}


def test_hosts_that_clients_make_up_are_no_labels(site, counted):
    add_alias(site, "*.wild.example", redirect=False)
    for number in range(20):
        Client().get("/status/200/", headers={"host": f"h{number}.wild.example"})
        Client().get("/status/200/", headers={"host": f"h{number}.evil.test"})
    assert counted() == {("one", "GET", "2xx"): 20, ("-", "GET", "4xx"): 20}


@pytest.mark.django_db
def test_sites_are_told_apart_up_to_a_limit_and_new_names_count_too(settings, counted):
    settings.SITEFLEET = {**settings.SITEFLEET, "METRICS_SITES": 2}
    sites = [add_site(f"s{n}", domain=f"s{n}.example.org") for n in range(4)]
    for one in [*sites, *sites]:
        client_for(one).get("/status/200/")
    SiteConfig.objects.filter(pk=sites[0].pk).update(slug="renamed")
    client_for(sites[0]).get("/status/200/")
    Client().get("/", headers={"host": "evil.test"})
    assert counted() == {
        ("s0", "GET", "2xx"): 2,
        ("s1", "GET", "2xx"): 2,
        ("_other", "GET", "2xx"): 5,
        ("-", "GET", "4xx"): 1,
    }


# --- the view --------------------------------------------------------------------------------


@pytest.fixture(params=["", "text/plain", "application/openmetrics-text; version=1.0.0"])
def shown(request, rf, registry):
    """What the view shows, as `shown()`: the value of each sample, by its name and its site."""
    accept = request.param
    parser = parse_open if "openmetrics" in accept else parse

    def read():
        response = exposition(rf.get("/metrics/", headers={"accept": accept}), registry=registry)
        return {
            (sample.name, sample.labels["site"]): sample.value
            for family in parser(response.text)
            for sample in family.samples
        }

    return read


@pytest.mark.parametrize("slug", ["one", 'a"b', "a\nb", "a\\", 'x"} 1\nforged{y="', "a\u202eb"])
def test_what_is_shown_can_be_read_whatever_stands_in_a_row(site, counted, shown, slug):
    SiteConfig.objects.filter(pk=site.pk).update(slug=slug)
    client_for(site).get("/status/200/")
    samples = shown()
    assert samples["sitefleet_requests_total", slug] == 1
    assert samples["sitefleet_request_seconds_count", slug] == 1
    assert {label for _, label in samples} == {slug}


def test_what_is_shown_is_never_cached_and_not_changed_by_posts(site, counted):
    response = client_for(site).get("/metrics/")
    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/plain; version=")
    assert "no-store" in response["Cache-Control"]
    assert "python_info" in response.text, "the registry of the process, unless told otherwise"
    assert client_for(site).post("/metrics/").status_code == 405
    assert async_to_sync(ask)(ONE, "/metrics/").status == 200


def test_a_subclass_may_have_a_registry_of_its_own(rf, registry):
    own = CollectorRegistry()

    class Own(MetricsMiddleware):
        metrics = SiteMetrics(own)

    Own(lambda _: HttpResponse())(rf.get("/"))
    name = "sitefleet_request_seconds_count"
    assert own.get_sample_value(name, {"site": "-"}) == 1
    assert registry.get_sample_value(name, {"site": "-"}) is None


COUNT = """
import os
import django
from django.conf import settings
settings.configure(INSTALLED_APPS=["django.contrib.sites"])
django.setup()
from django.http import HttpResponse
from django.test import RequestFactory
from sitefleet.persite.metrics import MetricsMiddleware, exposition
request = RequestFactory().get("/")
child = os.fork()
MetricsMiddleware(lambda _: HttpResponse())(request)
if child:
    os.waitpid(child, 0)
    print(exposition(request).text)
"""


@pytest.mark.acceptance
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_the_processes_of_a_server_are_shown_together(tmp_path):
    environment = {**os.environ, metrics.MULTIPROCESS: str(tmp_path)}
    shown = subprocess.check_output([sys.executable, "-c", COUNT], env=environment, text=True)
    families = {family.name: family for family in parse(shown)}
    assert families["sitefleet_requests"].samples[0].value == 2


def test_where_processes_write_files_the_files_are_shown(tmp_path, monkeypatch, rf):
    monkeypatch.setenv(metrics.MULTIPROCESS, str(tmp_path))
    assert exposition(rf.get("/")).content == b""


@override_settings(SITEFLEET={"METRICS_SITES": 0})
def test_a_limit_that_is_none_stops_the_server_at_start():
    with pytest.raises(Exception, match="METRICS_SITES"):
        MetricsMiddleware(lambda _: HttpResponse())
