"""nginx, configured as the documentation says, sends the files of a site to its hosts only."""

import http.client
import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.core.files.base import ContentFile

from sitefleet import override_site
from sitefleet.persite.storage import SiteStorage
from sitefleet.registry import add_site, set_state
from tests.acceptance.demo import free_port
from tests.acceptance.processes import ROOT, environment_for
from tests.databases import sqlite_file

pytestmark = pytest.mark.acceptance

ONE, TWO = "one.example.org", "two.example.org"
SNIPPET = re.search(
    r"^```nginx\n(.*?)^```$",
    (ROOT / "docs/follow/storage.md").read_text(),
    re.MULTILINE | re.DOTALL,
)[1]
AROUND = """
{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    types {{}}
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {server}
}}
"""
NAMES = ["a.txt", "größe & maß.txt", "a b.txt", "50%.txt", "a?b#c.txt", "d/%2e%2e/x.txt", "ü/ö.txt"]


class Server:
    def __init__(self, port):
        self.port = port

    def ask(self, host, path, method="GET", **headers):
        """Send a path as it is; return the status, the headers and the body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, headers={"Host": host, **headers})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()


@contextmanager
def running(command, port, log, **options):
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, **options)
    try:
        deadline = time.monotonic() + 30
        while process.poll() is None:
            try:
                Server(port).ask(ONE, "/")
                break
            except OSError:
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
        assert process.poll() is None, log.read_text()
        yield
    finally:
        process.terminate()
        process.wait(20)


def nginx_configuration(folder, media, port, app_port):
    server = SNIPPET.replace("listen 80;", f"listen 127.0.0.1:{port};")
    server = server.replace("127.0.0.1:8000", f"127.0.0.1:{app_port}")
    server = server.replace("/srv/project/media/", f"{media}/")
    assert server.count(str(port)) == server.count(str(app_port)) == server.count(str(media)) == 1
    # A worker of nobody could not read the folder of a test.
    user = "user root;" if os.geteuid() == 0 else ""
    path = folder / "nginx.conf"
    path.write_text(AROUND.format(folder=folder, server=server, user=user))
    return path


@pytest.fixture
def media(tmp_path):
    (tmp_path / "media").mkdir()
    return tmp_path / "media"


@pytest.fixture
def server(file_database, tmp_path, media):
    port, app_port = free_port(), free_port()
    environment = environment_for({"HOST": "", "USER": "", **sqlite_file(file_database)})
    environment |= {"DJANGO_SETTINGS_MODULE": "tests.acceptance.media_settings"}
    environment |= {"TEST_MEDIA_ROOT": str(media)}
    gunicorn = [sys.executable, "-m", "gunicorn", "django.core.wsgi:get_wsgi_application()"]
    gunicorn += ["--bind", f"127.0.0.1:{app_port}", "--threads", "4"]
    configuration = nginx_configuration(tmp_path, media, port, app_port)
    nginx = ["nginx", "-p", str(tmp_path), "-c", str(configuration), "-e", f"{tmp_path}/error.log"]
    with (
        running(gunicorn, app_port, tmp_path / "gunicorn.log", cwd=ROOT, env=environment),
        running(nginx, port, tmp_path / "nginx.log"),
    ):
        yield Server(port)


def save(media, site, name, content):
    with override_site(site):
        storage = SiteStorage(OPTIONS={"location": media, "base_url": "/media/"})
        Path(storage.path(name)).parent.mkdir(parents=True, exist_ok=True)
        return storage.url(storage.save(name, ContentFile(content)))


def test_row_18_nginx_sends_the_files_of_a_site_to_its_hosts_only(server, media):
    one = add_site("one", domain=ONE)
    two = add_site("two", domain=TWO)
    below = add_site("de", domain=ONE, path_prefix="/de")
    for name in NAMES:
        for site, host in ((one, ONE), (two, TWO), (below, ONE)):
            content = f"{name} of {site.pk}".encode() * 100
            url = save(media, site, name, content)
            status, headers, body = server.ask(host, url)
            assert (status, body) == (200, content), url
            assert headers["Content-Type"] == "text/plain"
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Cache-Control"] == "private"
            assert headers["Accept-Ranges"] == "bytes", "nginx has sent it"
            assert "X-Accel-Redirect" not in headers
            stranger = TWO if host == ONE else ONE
            assert server.ask(stranger, url)[0] == 404
            assert server.ask("nobody.example.org", url)[0] == 404
    root = f"/media/sites/{one.pk}/a.txt"
    assert server.ask(ONE, f"/de{root}")[0] == 404
    assert server.ask(ONE, f"/media/sites/{below.pk}/a.txt")[0] == 404


def test_row_18_no_way_leads_around_the_view(server, media):
    one, two = add_site("one", domain=ONE), add_site("two", domain=TWO)
    (media / "secret.txt").write_text("secret")
    for site in (one, two):
        save(media, site, "a.txt", b"secret")
    tried = [
        "/protected/sites/{two}/a.txt",
        "/protected/sites/{one}/a.txt",
        "/protected/",
        "/protected/../protected/sites/{two}/a.txt",
        "//protected/sites/{two}/a.txt",
        "/%70rotected/sites/{two}/a.txt",
        "/media/../protected/sites/{two}/a.txt",
        "/media/sites/{one}/../{two}/a.txt",
        "/media/sites/{one}/%2e%2e/{two}/a.txt",
        "/media/sites/{one}/..%2f{two}/a.txt",
        "/media/sites/{one}/..%5c{two}%5ca.txt",
        "/media/sites/{one}/%252e%252e/{two}/a.txt",
        "/media/sites/{one}/%252e%252e%252f{two}/a.txt",
        "/media/sites/{one}//..//{two}/a.txt",
        "/media/sites/{one}/a.txt%00",
        "/media/sites/{one}/../../secret.txt",
        "/media/secret.txt",
        "/media/sites/{one}/",
        "/media/sites/{one}",
        "/media/sites/{two}/a.txt",
        "/media/sites/{one}/nothing.txt",
    ]
    for path in (each.format(one=one.pk, two=two.pk) for each in tried):
        status, _, body = server.ask(ONE, path)
        assert status in (400, 404), path
        assert b"secret" not in body, path


def test_what_nginx_can_do_better_it_does(server, media):
    url = save(media, add_site("one", domain=ONE), "film.mp4", bytes(range(250)) * 1000)
    status, headers, body = server.ask(ONE, url, Range="bytes=250-259")
    assert (status, body) == (206, bytes(range(10)))
    assert headers["Content-Type"] == "video/mp4"
    status, headers, body = server.ask(ONE, url, "HEAD")
    assert (status, headers["Content-Length"], body) == (200, "250000", b"")
    for name, header in (("ETag", "If-None-Match"), ("Last-Modified", "If-Modified-Since")):
        assert server.ask(ONE, url, **{header: headers[name]})[0] == 304


def test_uploads_run_nothing_on_the_origin_of_the_site(server, media):
    site = add_site("one", domain=ONE)
    for name in ("a.html", "a.svg", "a.unknown"):
        status, headers, _ = server.ask(ONE, save(media, site, name, b"<script>alert(1)</script>"))
        assert status == 200
        assert headers["Content-Disposition"] == f'attachment; filename="{name}"'
        assert headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
        assert headers["X-Content-Type-Options"] == "nosniff"
    headers = server.ask(ONE, save(media, site, "a.png", b"x"))[1]
    assert "Content-Security-Policy" not in headers


def test_row_34_an_inactive_site_has_no_files(server, media):
    site = add_site("one", domain=ONE)
    url = save(media, site, "a.txt", b"secret")
    for state, expected in (("archived", 410), ("suspended", 404), ("active", 200)):
        set_state(site, state)
        status, _, body = server.ask(ONE, url)
        assert (status, b"secret" in body) == (expected, expected == 200)
