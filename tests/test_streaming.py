"""Bodies are produced, and closed, after the middleware is done: under the right site still."""

import asyncio
import gc

import pytest
from asgiref.sync import async_to_sync
from django.core.handlers.asgi import ASGIHandler
from django.http import StreamingHttpResponse
from django.test import RequestFactory

from sitefleet import deactivate, get_current_site_id
from sitefleet.current import active_site_id
from sitefleet.middleware import SiteMiddleware
from tests import views
from tests.asgi import ask

SYNC, ASYNC = "/stream/", "/async-stream/"


@pytest.fixture(autouse=True)
def closed():
    views.closed.clear()
    return views.closed


def lines(site, prefix=""):
    return f"{site.pk} {site.pk} {prefix}/site/\n"


def serve(view, host, path="/"):
    """Return the response of a view as the WSGI handler gets it from the middleware."""
    request = RequestFactory().get(path, headers={"host": host})
    return SiteMiddleware(view)(request)


def test_under_wsgi_two_streams_take_turns_each_under_its_site(site, other_site):
    one = serve(views.stream, "one.example.org")
    two = serve(views.stream, "two.example.org")
    seen = [(next(a), next(b), active_site_id()) for a, b in [(iter(one), iter(two))] * 3]
    assert seen == [(lines(site).encode(), lines(other_site).encode(), None)] * 3


def test_under_wsgi_the_body_is_read_by_the_handler(client, site, closed):
    response = client.get(SYNC, headers={"host": "one.example.org"})
    assert active_site_id() is None
    assert b"".join(response).decode() == lines(site) * 3
    assert closed == {SYNC: site.pk}


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume:Warning")
def test_under_wsgi_an_async_body_is_right_too(client, site, closed):
    response = client.get(ASYNC, headers={"host": "one.example.org"})
    assert b"".join(response).decode() == lines(site) * 3
    assert closed == {ASYNC: site.pk}


@pytest.mark.parametrize("how", ["close", "drop"])
def test_a_body_that_is_closed_early_is_closed_under_its_site(site, closed, how):
    response = serve(views.stream, "one.example.org", "/x")
    next(iter(response))
    if how == "close":
        response.close()
    del response
    gc.collect()
    assert closed == {"/x": site.pk}
    assert active_site_id() is None


def test_a_body_that_is_never_read_is_closed_without_a_word(site, closed):
    serve(views.stream, "one.example.org").close()
    assert closed == {}


def test_what_the_body_holds_is_closed_once_and_under_the_site(site):
    seen = []

    class Rows:
        def __iter__(self):
            yield str(get_current_site_id())

        def close(self):
            seen.append(get_current_site_id())

    response = serve(lambda _: StreamingHttpResponse(Rows()), "one.example.org")
    assert b"".join(response) == str(site.pk).encode()
    response.close()
    assert seen == [site.pk]


def test_an_exception_in_a_body_leaves_nothing(site):
    def view(request):
        def body():
            yield "a"
            message = f"on site {get_current_site_id()}"
            raise RuntimeError(message)

        return StreamingHttpResponse(body())

    response = serve(view, "one.example.org")
    with pytest.raises(RuntimeError, match=f"on site {site.pk}"):
        list(response)
    assert active_site_id() is None


def test_a_file_is_left_to_the_server(site):
    response = serve(views.file, "one.example.org")
    assert hasattr(response.file_to_stream, "read")
    assert b"".join(response) == b"bytes"
    response.close()


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume:Warning")
@pytest.mark.parametrize("path", [SYNC, ASYNC])
def test_under_asgi_bodies_are_produced_under_their_sites(site, other_site, closed, path):
    async def both():
        handler = ASGIHandler()
        asked = [("one.example.org", path), ("two.example.org", path)] * 3
        return await asyncio.gather(*(ask(*pair, handler=handler) for pair in asked))

    answers = async_to_sync(both)()
    expected = [lines(site) * 3, lines(other_site) * 3] * 3
    assert [answer.body.decode() for answer in answers] == expected
    assert closed[path] in (site.pk, other_site.pk)


def test_a_client_that_leaves_has_its_body_closed_under_the_site(site, closed):
    async def leave():
        answer = await ask("one.example.org", ASYNC, until=lambda answer: answer.chunks)
        await asyncio.sleep(0.01)  # Django drops the body; the event loop closes it then
        return answer, active_site_id()

    answer, left_over = async_to_sync(leave)()
    assert answer.body.decode() == lines(site)
    assert closed == {ASYNC: site.pk}
    assert left_over is None


@pytest.mark.parametrize("path", [SYNC, ASYNC])
@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume:Warning")
def test_below_a_prefix_links_in_bodies_have_the_prefix(fleet, client, path):
    one, _, below = fleet
    response = client.get(f"/de{path}", headers={"host": "one.example.org"})
    root = client.get(path, headers={"host": "one.example.org"})
    assert b"".join(response).decode() == lines(below, "/de") * 3
    assert b"".join(root).decode() == lines(one) * 3
    answer = async_to_sync(ask)("one.example.org", f"/de{path}")
    assert answer.body.decode() == lines(below, "/de") * 3


def test_a_view_that_leaves_its_site_may_stream_all_the_same(site, rf):
    def view(request):
        deactivate()
        return StreamingHttpResponse(iter(["body"]))

    response = SiteMiddleware(view)(rf.get("/", headers={"host": "one.example.org"}))
    assert list(response) == [b"body"]
    response.close()
