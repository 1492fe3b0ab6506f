"""Row 31: each log line tells its site, asks nobody for it, and a row forges no line."""

import copy
import io
import logging
import logging.config
import logging.handlers
import queue
import subprocess
import sys
import threading
from unittest import mock

import pytest
import structlog
from asgiref.sync import async_to_sync
from django.contrib.sites.models import Site
from django.http import HttpResponse, StreamingHttpResponse
from django.test import override_settings
from django.urls import path
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from sitefleet import activate, carry_site, deactivate, override_site
from sitefleet.current import current_state
from sitefleet.lookup import get_site
from sitefleet.models import SiteConfig
from sitefleet.persite import logging as island
from sitefleet.persite.logging import FILTER, SiteFilter, add_site
from sitefleet.presented import present
from sitefleet.registry import change_site
from sitefleet.resolver import resolver
from sitefleet.test import client_for
from tests.asgi import ask
from tests.persite.island_checks import run_checks_of

FORMAT = "%(site_id)d %(site_slug)s %(message)s"


@pytest.fixture
def lines():
    """What a handler with the filter has written, as `lines()`."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter(FORMAT))
    handler.addFilter(SiteFilter())
    logger = logging.getLogger("tests.persite")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield lambda: stream.getvalue().splitlines()
    logger.removeHandler(handler)


def log(text="hello"):
    logging.getLogger("tests.persite").info(text)


# --- the site of now ----------------------------------------------------------------------------


def test_without_a_site_there_is_none_in_the_line(lines):
    log()
    assert lines() == ["0 - hello"]


def test_a_site_that_was_entered_is_in_the_line(site, other_site, lines):
    with override_site(get_site("one")):
        log()
        with override_site(other_site):
            log()
        log()
    log()
    assert lines() == [
        f"{site.pk} one hello",
        f"{other_site.pk} two hello",
        f"{site.pk} one hello",
        "0 - hello",
    ]


def test_a_site_that_was_entered_by_its_id_is_known_once_somebody_has_asked(
    site, lines, django_assert_num_queries
):
    Site.objects.clear_cache()
    with django_assert_num_queries(0), override_site(site.pk):
        log()
    with override_site(site.pk):
        resolver.site(site.pk)
        with django_assert_num_queries(0):
            log()
    activate(site.pk)
    log()
    deactivate()
    assert lines() == [f"{site.pk} - hello", f"{site.pk} one hello", f"{site.pk} one hello"]


def test_a_site_of_which_only_the_row_is_known_has_no_slug(site, lines, django_assert_num_queries):
    row = Site.objects.get(pk=site.pk)
    Site.objects.clear_cache()
    with django_assert_num_queries(0), override_site(row):
        log()
    assert lines() == [f"{site.pk} - hello"]


def test_a_site_that_was_activated_in_a_request_is_in_the_line(site, other_site, lines):
    frame = resolver.find("one.example.org").root.frame
    token = current_state.set(frame)
    try:
        activate(resolver.site(other_site.pk))
        log()
    finally:
        current_state.reset(token)
    assert lines() == [f"{other_site.pk} two hello"]


def view(request):
    log()
    return HttpResponse("")


async def async_view(request):
    return view(request)


def stream(request):
    def body():
        log()
        yield ""

    return StreamingHttpResponse(body())


class LogUrls:
    urlpatterns = [
        path("log/", view),
        path("async-log/", async_view),
        path("stream/", stream),
    ]


@pytest.mark.parametrize("where", ["/log/", "/async-log/", "/stream/"])
@override_settings(ROOT_URLCONF=LogUrls)
def test_lines_of_a_request_have_its_site(fleet, lines, where):
    for served in fleet:
        b"".join(client_for(served).get(where))
    assert lines() == [f"{one.pk} {slug} hello" for one, slug in zip(fleet, SLUGS, strict=True)]


@pytest.mark.parametrize("where", ["/log/", "/async-log/"])
@override_settings(ROOT_URLCONF=LogUrls)
def test_lines_of_a_request_have_its_site_under_asgi(fleet, lines, where):
    for address in ("one.example.org", "two.example.org"):
        async_to_sync(ask)(address, where)
    assert lines() == [
        f"{one.pk} {slug} hello" for one, slug in zip(fleet[:2], SLUGS[:2], strict=True)
    ]


SLUGS = ["one", "two", "de"]


def test_threads_have_no_site_unless_they_carry_one(site, lines):
    with override_site(resolver.site(site.pk)):
        for target in (log, carry_site(log)):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()
    assert lines()[1] == f"{site.pk} one hello"
    assert lines()[0] in {"0 - hello", lines()[1]}, "free-threaded Python hands the context on"


def test_what_a_queue_has_taken_in_keeps_its_site(site, lines):
    records = queue.SimpleQueue()
    handler = logging.handlers.QueueHandler(records)
    handler.addFilter(SiteFilter())
    logger = logging.getLogger("tests.queued")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    with override_site(get_site("one")):
        logger.info("hello")
    logger.removeHandler(handler)
    listener = logging.handlers.QueueListener(
        records, logging.getLogger("tests.persite").handlers[0]
    )
    listener.handle(listener.dequeue(block=False))
    assert lines() == [f"{site.pk} one hello"]


@pytest.mark.parametrize("state", [(1, None, None, None), (1, "h", None, object()), (None,) * 4])
def test_no_state_is_too_odd(state):
    token = current_state.set(state)
    try:
        event = add_site(None, "info", {})
    finally:
        current_state.reset(token)
    assert event == {"site_id": state[0] or 0, "site_slug": "-"}


def test_lines_of_the_resolver_itself_cannot_make_it_ask_again(site, lines, monkeypatch):
    logger = logging.getLogger("tests.persite")
    monkeypatch.setattr("sitefleet.resolver.logger", logger)
    logger.setLevel(logging.DEBUG)

    def refuse(connection):
        message = "not now"
        raise RuntimeError(message)

    monkeypatch.setattr("sitefleet.resolver.read_generation", refuse)
    with override_site(site.pk):
        resolver.refresh()
        resolver._look()
    assert lines()[-1].endswith("could not be read: not now")


def test_the_filter_works_before_there_are_apps():
    code = (
        "import logging, django\n"
        "from django.conf import settings\n"
        f"config = {{'version': 1, 'filters': {{'site': {{'()': '{FILTER}'}}}},\n"
        f"    'formatters': {{'f': {{'format': '{FORMAT}'}}}},\n"
        "    'handlers': {'h': {'class': 'logging.StreamHandler', 'filters': ['site'],\n"
        "        'formatter': 'f'}}, 'root': {'handlers': ['h']}}\n"
        "settings.configure(LOGGING=config, INSTALLED_APPS=['django.contrib.sites', 'sitefleet'])\n"
        "import logging.config\n"
        "logging.config.dictConfig(config)\n"
        "logging.warning('early')\n"
        "from sitefleet import override_site\n"
        "with override_site(3):\n"
        "    logging.warning('early')\n"
        "django.setup()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines() == ["0 - early", "3 - early"]


# --- row 31 -------------------------------------------------------------------------------------

EVIL = [
    "a\nERROR forged",
    "a\r\nb",
    "a\u202eb",
    "a\x1b[31mb",
    'a" b',
    "a\u2028b",
    "{x} %(y)s",
    "x" * 99,
]


@pytest.mark.parametrize("slug", EVIL)
def test_a_slug_that_came_by_raw_sql_forges_no_line(site, lines, slug):
    SiteConfig.objects.filter(pk=site.pk).update(slug=slug)
    Site.objects.filter(pk=site.pk).update(name=slug, domain=f"{slug}.example")
    with override_site(resolver.site(site.pk)):
        log()
    (line,) = lines()
    number, shown, text = line.split(" ")
    assert (number, text) == (str(site.pk), "hello")
    assert set(shown) <= set("abcdefghijklmnopqrstuvwxyz0123456789-?")
    assert len(shown) <= 63


@hypothesis_settings(max_examples=100, deadline=None)
@given(st.text())
def test_no_slug_forges_a_line(slug):
    with override_site(present(Site(pk=1), "h", "", slug)):
        event = add_site(None, "info", {})
    assert event["site_slug"].isascii()
    assert not set(event["site_slug"]) & set(" \n\r\t\"'{}%\x1b")


def test_a_renamed_site_has_its_new_slug(site, lines):
    change_site(site, slug="new")
    with override_site(resolver.site(site.pk)):
        log()
    assert lines() == [f"{site.pk} new hello"]


# --- structlog ----------------------------------------------------------------------------------


def test_structlog_tells_the_site_too(site):
    written = structlog.testing.CapturingLogger()
    logger = structlog.wrap_logger(
        written, processors=[add_site, structlog.processors.JSONRenderer(sort_keys=True)]
    )
    with override_site(get_site("one")):
        logger.info("hello")
    logger.info("hello")
    assert [call.args[0] for call in written.calls] == [
        f'{{"event": "hello", "site_id": {site.pk}, "site_slug": "one"}}',
        '{"event": "hello", "site_id": 0, "site_slug": "-"}',
    ]


# --- the check ----------------------------------------------------------------------------------

GOOD = {
    "version": 1,
    "filters": {"site": {"()": FILTER}, "other": {"name": "x"}},
    "formatters": {"lines": {"format": FORMAT}, "plain": {"format": "%(message)s"}},
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": "lines",
            "filters": ["other", "site"],
        },
        "plain": {"class": "logging.StreamHandler", "formatter": "plain"},
        "bare": {"class": "logging.StreamHandler"},
    },
}


def found_in(config):
    # Not override_settings(): Django 6.1 configures logging anew by that.
    with mock.patch("sitefleet.persite.logging.configured", return_value=config):
        return run_checks_of(island)


def found(**changes):
    config = copy.deepcopy(GOOD)
    for where, value in changes.items():
        first, _, second = where.partition("__")
        config[first][second] = value
    return found_in(config)


class OwnFilter(SiteFilter):
    pass


HANDLER = {"class": "logging.StreamHandler", "formatter": "lines"}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"filters__site": {"()": SiteFilter}},
        {"filters__site": {"()": OwnFilter}},
        {"handlers__console": {**HANDLER, "filters": [SiteFilter()]}},
        {"formatters__lines": {"format": FORMAT, "defaults": {"site_id": 0, "site_slug": ""}},
         "handlers__console": HANDLER},
        {"formatters__plain": {"format": "{message} %(site_id)s", "style": "{"}},
        {"handlers__file": HANDLER,
         "handlers__queue": {"handlers": ["file"], "filters": ["site"]}},
        {"handlers__file": HANDLER, "handlers__memory": {"target": "file", "filters": ["site"]}},
    ],
)  # fmt: skip
def test_handlers_whose_records_have_a_site_are_fine(changes):
    assert found(**changes) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"handlers__console": HANDLER},
        {"handlers__console": {**HANDLER, "filters": ["other"]}},
        {"filters__site": {"()": "project.logging.Missing"}},
        {"formatters__plain": {"format": "{message} {site_slug:>9}", "style": "{"}},
        {"formatters__plain": {"format": "$message ${site_id}", "style": "$"}},
        {"formatters__plain": {"format": "$message $site_id", "style": "$"}},
        {"handlers__file": HANDLER, "handlers__queue": {"handlers": ["file"]}},
    ],
)
def test_a_handler_whose_records_have_no_site_is_reported(changes):
    (message,) = found(**changes)
    assert FILTER in message.hint
    assert "site_" in message.msg


@pytest.mark.parametrize("config", [None, {}, {"version": 1}])
def test_a_project_without_a_configuration_of_logging_is_fine(config):
    assert found_in(config) == []


def test_such_a_handler_loses_its_lines_indeed(site, capsys):
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(logging.Formatter(FORMAT))
    handler.handle(logging.makeLogRecord({"msg": "hello"}))
    assert "Formatting field not found in record" in capsys.readouterr().err
