"""A site's files are served on its own hosts, and on no other."""

import asyncio
import os

import pytest
from asgiref.sync import async_to_sync
from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import default_storage
from django.core.handlers.asgi import ASGIHandler
from django.test import Client

from sitefleet import override_site
from sitefleet.registry import set_state
from sitefleet.test import async_client_for
from tests.asgi import ask
from tests.persite.media.asking import (
    ONE,
    TRAVERSALS,
    TWO,
    ask_asgi,
    get,
    read,
    save,
)


def test_row_18_a_file_is_served_on_the_hosts_of_its_site_only(site, other_site):
    urls = {ONE: save(site, content=b"one"), TWO: save(other_site, content=b"two")}
    for host, url in urls.items():
        response = get(url, host)
        assert (response.status_code, response.body) == (200, host[:3].encode())
        assert response["Content-Type"] == "text/plain"
        assert response["Content-Length"] == "3"
        assert response["Last-Modified"]
        assert response["Cache-Control"] == "private"
        assert response["X-Content-Type-Options"] == "nosniff"
    assert get(urls[ONE], TWO).status_code == get(urls[TWO], ONE).status_code == 404


def test_row_18_below_a_prefix_too(fleet):
    root, _, below = fleet
    own, roots = save(below, content=b"below"), save(root)
    assert get(f"/de{own}").body == b"below"
    assert get(own).status_code == get(f"/de{roots}").status_code == 404
    with override_site(below):
        assert get(default_storage.url("a.txt")).body == b"below", "what url() says"


@pytest.mark.parametrize("storage", ["media", "memory"])
def test_row_18_nothing_else_is_a_file_of_the_site(site, other_site, media, storage):
    (media / "secret.txt").write_text("secret")
    alias = "default" if storage == "media" else "memory"
    for one, name in ((site, "a.txt"), (site, "d/a.txt"), (other_site, "a.txt")):
        save(one, name, storage=alias)
    assert get(f"/{storage}/sites/{site.pk}/a.txt").status_code == 200
    for name in TRAVERSALS:
        url = name.format(own=site.pk, other=other_site.pk, root=str(media).strip("/"))
        assert get(f"/{storage}/{url}").status_code == 404, url
        answer = ask_asgi(ONE, f"/{storage}/{url}")
        assert answer.status == 404, url


def test_row_34_an_inactive_site_serves_no_files(site):
    url = save(site)
    for state, status in (("archived", 410), ("suspended", 404), ("maintenance", 503)):
        set_state(site, state)
        assert get(url).status_code == status


def test_no_query_is_made(site, settings, django_assert_num_queries):
    settings.SITEFLEET = {"FRESHNESS": 3600}
    url = save(site)
    get(url)
    with django_assert_num_queries(0):
        assert get(url).body == b"content"


@pytest.mark.parametrize("name", ["größe.txt", "a b.txt", "50%.txt", "a#b?c.txt", "a&b;c.txt"])
def test_names_are_what_they_are(site, name):
    url = save(site, name)
    assert get(url).body == b"content"
    assert get(url)["Content-Disposition"].startswith("inline; filename")


def test_only_get_and_head(site):
    url = save(site)
    for method in ("post", "put", "delete", "patch", "options"):
        response = getattr(Client(headers={"host": ONE}), method)(url)
        assert (response.status_code, response["Allow"]) == (405, "GET, HEAD")
    response = read(Client(headers={"host": ONE}).head(url))
    assert (response.status_code, response["Content-Length"], response.content) == (200, "7", b"")


def test_what_a_browser_has_is_not_sent_again(site, media):
    url = save(site)
    response = get(url)
    etag, modified = response["ETag"], response["Last-Modified"]
    for headers in ({"if-none-match": etag}, {"if-modified-since": modified}):
        again = get(url, **headers)
        assert (again.status_code, again.body) == (304, b"")
        assert again["Cache-Control"] == "private"
    (media / url.removeprefix("/media/")).write_bytes(b"changed!")
    for headers in ({"if-none-match": etag}, {"if-match": etag}):
        assert get(url, **headers).status_code in (200, 412)
    os.utime(media / url.removeprefix("/media/"), (2**31, 2**31))
    assert get(url, **{"if-modified-since": modified}).body == b"changed!"


def test_a_storage_without_times_has_no_validators(site):
    save(site, storage="remote")
    response = get(f"/remote/sites/{site.pk}/a.txt")
    assert response.body == b"content"
    assert not response.has_header("ETag")
    assert not response.has_header("Last-Modified")
    head = Client(headers={"host": ONE}).head(f"/remote/sites/{site.pk}/a.txt")
    assert head["Content-Length"] == "7"
    assert get(f"/remote/sites/{site.pk}/b.txt").status_code == 404


def test_a_storage_that_all_sites_share_is_not_served_as_that_of_one(site):
    with pytest.raises(ImproperlyConfigured, match="'shared'"):
        get(f"/shared/sites/{site.pk}/a.txt")


def test_a_file_that_the_process_may_not_read_is_no_404(site, monkeypatch):
    url = save(site)

    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(default_storage.inner, "open", refuse)
    with pytest.raises(PermissionError):
        get(url)


def test_under_asgi_a_file_is_sent_in_parts_without_a_warning(site, other_site):
    content = os.urandom(300_000)
    url = save(site, "a.bin", content)
    answer = async_to_sync(ask)(ONE, url)
    assert (answer.status, answer.body) == (200, content)
    assert len(answer.chunks) > 4
    assert answer["content-length"] == "300000"
    assert async_to_sync(ask)(TWO, url).status == 404
    head = async_to_sync(ask)(ONE, url, method="HEAD")
    assert (head.status, head.body, head["content-length"]) == (200, b"", "300000")
    again = async_to_sync(ask)(ONE, url, headers=[(b"if-none-match", answer["etag"].encode())])
    assert (again.status, again.body) == (304, b"")


def test_under_asgi_many_files_of_many_sites_at_once(fleet):
    urls = [save(one, content=str(one.pk).encode() * 1000) for one in fleet]
    asked = [(ONE, urls[0]), (TWO, urls[1]), (ONE, f"/de{urls[2]}")] * 5

    async def all_at_once():
        handler = ASGIHandler()
        return await asyncio.gather(*(ask(host, url, handler=handler) for host, url in asked))

    answers = async_to_sync(all_at_once)()
    expected = [str(one.pk).encode() * 1000 for one in fleet] * 5
    assert [answer.body for answer in answers] == expected


def test_under_asgi_a_client_that_leaves_closes_the_file(site, monkeypatch):
    url = save(site, "a.bin", os.urandom(300_000))
    opened, open_ = [], type(default_storage.inner).open

    def spy(*arguments):
        opened.append(open_(*arguments))
        return opened[0]

    monkeypatch.setattr(type(default_storage.inner), "open", spy)
    async_to_sync(ask)(ONE, url, until=lambda answer: answer.chunks)
    assert opened[0].closed


def test_djangos_async_client_gets_it_too(site):
    url = save(site)

    async def read():
        response = await async_client_for(site).get(url)
        return b"".join([part async for part in response.streaming_content])

    assert async_to_sync(read)() == b"content"
