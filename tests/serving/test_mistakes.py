"""A project that cannot be loaded: the mistake is what is served in DEBUG, elsewhere nothing is."""

import asyncio
import io
import logging
import sys

import pytest
from django.test import override_settings
from django.urls import clear_url_caches

from sitefleet.serving.application import load_asgi, load_wsgi
from sitefleet.serving.asking import ask_asgi, ask_wsgi

pytestmark = pytest.mark.django_db  # a request closes old connections
MIDDLEWARE = [
    f"django.middleware.{name}"
    for name in (
        "security.SecurityMiddleware",
        "common.CommonMiddleware",
        "csrf.CsrfViewMiddleware",
        "clickjacking.XFrameOptionsMiddleware",
    )
]


@pytest.fixture
def broken(tmp_path, monkeypatch):
    """A URLconf with a mistake below some middleware, as each of which would catch it."""
    (tmp_path / "broken_urls.py").write_text("import json\n\ndef (\n")
    monkeypatch.syspath_prepend(tmp_path)
    with override_settings(ROOT_URLCONF="broken_urls", MIDDLEWARE=MIDDLEWARE):
        clear_url_caches()
        yield
    clear_url_caches()
    sys.modules.pop("broken_urls", None)


def environ(path="/some/page/"):
    return {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path,
        "SERVER_NAME": "one.localhost",
        "SERVER_PORT": "80",
        "wsgi.input": io.BytesIO(),
        "wsgi.url_scheme": "http",
    }


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize("load", [load_wsgi, load_asgi])
def test_outside_of_debug_it_is_not_loaded(load):
    with pytest.raises(SyntaxError):
        load()


@pytest.mark.usefixtures("broken")
@override_settings(DEBUG=True)
def test_in_debug_the_page_of_django_tells_the_mistake_and_the_log_tells_it_once(caplog):
    application, statuses = load_wsgi(), []
    with caplog.at_level(logging.ERROR, "django.request"):
        body = b"".join(application(environ(), lambda status, _headers: statuses.append(status)))
    assert statuses == ["500 Internal Server Error"]
    assert b"SyntaxError" in body
    assert b"broken_urls.py" in body
    (record,) = caplog.records
    assert record.getMessage() == "The project cannot be loaded: /some/page/"
    assert record.exc_info[0] is SyntaxError
    assert record.exc_info[1].__context__ is None, "one traceback"


@pytest.mark.usefixtures("broken")
@override_settings(DEBUG=True)
async def test_under_asgi_it_is_the_same():
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "headers": [(b"host", b"one.localhost")],
        "query_string": b"",
    }
    events, sent = asyncio.Queue(), []
    events.put_nowait({"type": "http.request", "body": b""})

    async def send(event):
        sent.append(event)

    await load_asgi()(scope, events.get, send)
    assert sent[0]["status"] == 500
    assert b"SyntaxError" in b"".join(event.get("body", b"") for event in sent)


@pytest.mark.usefixtures("broken")
@override_settings(DEBUG=True)
@pytest.mark.parametrize(("load", "ask"), [(load_wsgi, ask_wsgi), (load_asgi, ask_asgi)])
def test_a_warm_up_writes_no_traceback(load, ask, caplog):
    assert ask(load(), "http://one.localhost", "/") == 500
    assert not caplog.records
