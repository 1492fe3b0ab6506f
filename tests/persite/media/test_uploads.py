"""What people upload runs nothing on the origin of the site."""

import pytest
from django.http import Http404

from sitefleet import override_site
from sitefleet.persite.storage import sendfile
from tests.persite.media.asking import get, get_request, read, save


@pytest.mark.parametrize(
    ("name", "content_type", "inert"),
    [
        ("a.png", "image/png", True),
        ("a.pdf", "application/pdf", True),
        ("a.mp4", "video/mp4", True),
        ("a.txt", "text/plain", True),
        ("a.html", "text/html", False),
        ("a.htm", "text/html", False),
        ("a.svg", "image/svg+xml", False),
        ("a.svgz", "application/gzip", False),
        ("a.xml", None, False),
        ("a.xhtml", None, False),
        ("a.js", "application/octet-stream", False),
        ("a.mjs", "application/octet-stream", False),
        ("a.css", "application/octet-stream", False),
        ("a.html.gz", "application/gzip", False),
        ("a.bz2", "application/octet-stream", False),
        ("a", "application/octet-stream", False),
        ("a.unknown", "application/octet-stream", False),
        ("a.HTML", "text/html", False),
        ("a.png.html", "text/html", False),
        ("data:x,y.html", "text/html", False),
    ],
)
def test_an_upload_runs_nothing_on_the_origin_of_the_site(site, name, content_type, inert):
    response = get(save(site, name))
    assert content_type in (None, response["Content-Type"])
    assert response["X-Content-Type-Options"] == "nosniff"
    kind = "inline" if inert else "attachment"
    assert response["Content-Disposition"].startswith(f"{kind}; filename")
    policy = response.headers.get("Content-Security-Policy")
    assert policy == (None if inert else "default-src 'none'; sandbox")


def test_a_name_with_a_line_break_forges_no_header(site, settings):
    name = "a\r\nSet-Cookie: x=y.txt"
    assert get(save(site, name)).status_code == 404, "Django's path converter takes one line"
    with override_site(site):
        response = read(sendfile(get_request(), name))
        assert response["Content-Disposition"] == 'inline; filename="aSet-Cookie: x=y.txt"'
        settings.SITEFLEET = {"SENDFILE": "x-sendfile"}
        with pytest.raises(Http404):
            sendfile(get_request(), name)
