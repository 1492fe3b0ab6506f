"""Views of a project send files, or let the server send them."""

from urllib.parse import quote, unquote

import pytest
from django.core.files.storage import default_storage
from django.http import Http404

from sitefleet import override_site
from sitefleet.persite.storage import sendfile
from tests.persite.media.asking import ONE, TRAVERSALS, TWO, ask_asgi, get, get_request, read, save


def test_a_view_of_a_project_sends_files_of_the_current_site(site, other_site):
    save(site, "private/7.pdf", b"one")
    save(other_site, "private/7.pdf", b"two")
    assert get("/invoice/private/7.pdf", ONE).body == b"one"
    assert get("/invoice/private/7.pdf", TWO).body == b"two"
    for name in (
        f"../{other_site.pk}/private/7.pdf",
        "nothing",
        "private",
        "",
        "/etc/passwd",
        "\ud800",
        "x" * 300,
    ):
        with override_site(site), pytest.raises(Http404):
            sendfile(get_request(), name)


def test_it_is_named_as_the_view_says(site):
    save(site, "private/7.pdf")
    shown = get("/invoice/private/7.pdf?filename=Rechnung.pdf")
    assert shown["Content-Disposition"] == 'inline; filename="Rechnung.pdf"'
    kept = get("/invoice/private/7.pdf?attach")
    assert kept["Content-Disposition"] == 'attachment; filename="7.pdf"'
    assert shown["Cache-Control"] == kept["Cache-Control"] == "private"


def test_a_storage_may_be_given_itself(site):
    save(site)
    with override_site(site):
        response = read(sendfile(get_request(), "a.txt", storage=default_storage))
        assert response.body == b"content"


SERVERS = [("x-accel-redirect", "X-Accel-Redirect"), ("x-sendfile", "X-Sendfile")]


@pytest.mark.parametrize(("kind", "header"), SERVERS)
def test_the_server_is_told_which_file_to_send(fleet, settings, media, kind, header):
    site, other_site, _ = fleet
    settings.SITEFLEET = {"SENDFILE": kind, "FRESHNESS": 0.0}
    name = "größe 50%?#.txt"
    url = save(site, name)
    response = get(url)
    file = f"sites/{site.pk}/{name}"
    expected = f"{media}/{file}" if kind == "x-sendfile" else f"/protected/{quote(file)}"
    assert response[header].encode("latin-1").decode() == expected
    assert response.content == b""
    assert response["Content-Type"] == "text/plain"
    assert response["X-Content-Type-Options"] == "nosniff"
    again = get(url, **{"if-none-match": response["ETag"]})
    assert again.status_code == 304
    assert get(url, TWO).status_code == 404
    assert not get(url, TWO).has_header(header)
    for wrong in TRAVERSALS:
        path_ = wrong.format(own=site.pk, other=other_site.pk, root=str(media).strip("/"))
        response = get(f"/media/{path_}")
        assert (response.status_code, response.has_header(header)) == (404, False)
    sent = ask_asgi(ONE, save(site, "a b.txt"))[header]
    assert unquote(sent).endswith(f"/sites/{site.pk}/a b.txt")


@pytest.mark.parametrize("storage", ["memory", "remote"])
@pytest.mark.parametrize(("kind", "header"), SERVERS)
def test_what_is_no_file_on_the_disk_is_streamed(site, settings, storage, kind, header):
    settings.SITEFLEET = {"SENDFILE": kind, "FRESHNESS": 0.0}
    save(site, storage=storage)
    response = get(f"/{storage}/sites/{site.pk}/a.txt")
    assert not response.has_header(header)
    assert response.body == b"content"


def test_nginx_is_not_sent_to_where_its_location_does_not_lead(site, settings):
    settings.SITEFLEET = {"SENDFILE": "x-accel-redirect", "FRESHNESS": 0.0}
    save(site, storage="elsewhere")
    response = get("/invoice/a.txt?storage=elsewhere")
    assert not response.has_header("X-Accel-Redirect")
    assert response.body == b"content"
    settings.SITEFLEET = {"SENDFILE": "x-sendfile", "FRESHNESS": 0.0}
    assert "elsewhere/sites/" in get("/invoice/a.txt?storage=elsewhere")["X-Sendfile"]


def test_without_media_root_nginx_is_told_nothing(site, settings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings.MEDIA_ROOT = ""
    settings.SITEFLEET = {"SENDFILE": "x-accel-redirect", "FRESHNESS": 0.0}
    response = get(save(site))
    assert not response.has_header("X-Accel-Redirect")


def test_the_internal_location_has_another_name_where_the_settings_say_so(site, settings):
    settings.SITEFLEET = {
        "SENDFILE": "x-accel-redirect",
        "SENDFILE_ROOT": "/files/inside/",
        "FRESHNESS": 0.0,
    }
    assert get(save(site))["X-Accel-Redirect"].startswith("/files/inside/sites/")
