"""Rows 9 and 10 of the attacks in a real browser: a sibling sets cookies for the platform."""

import select
import socket
import ssl
import subprocess
import threading

import pytest
from django.contrib.auth import get_user_model
from django.http import JsonResponse
from django.urls import path
from pytest_django.live_server_helper import LiveServer

import tests.settings
from sitefleet.registry import add_site
from sitefleet.test import client_for
from tests import views
from tests.acceptance import browser as chromium

pytestmark = pytest.mark.acceptance

COOKIES = "sitefleet.persite.cookies.CookieMiddleware"
CSRF = "django.middleware.csrf.CsrfViewMiddleware"
OURS = "sitefleet.persite.csrf.CsrfViewMiddleware"
TOKEN = "t" * 32
#: Each way in which a sibling may try to set the session of all hosts below plat.test.
TOSSED = (
    "sessionid={key}",
    "__Host-sessionid={key}",
    "__host-sessionid={key}",
    "=__Host-sessionid={key}",
    "\u2000__Host-sessionid={key}",
    "\u00a0__Host-sessionid={key}",
    "csrftoken=" + TOKEN,
    "__Host-csrftoken=" + TOKEN,
    "\u2000__Host-csrftoken=" + TOKEN,
)


def look(request):
    request.session["visits"] = request.session.get("visits", 0) + 1
    sent = request.META.get("HTTP_COOKIE", "")
    return JsonResponse(
        {"user": request.user.get_username(), "visits": request.session["visits"], "sent": sent}
    )


class Urls:
    urlpatterns = [path("look/", look), path("posted/", views.posted)]


def over_https(get_response):
    """Tell Django what the relay below does."""

    def middleware(request):
        request.environ["wsgi.url_scheme"] = "https"
        return get_response(request)

    return middleware


@pytest.fixture(params=[False, True], ids=["unguarded", "guarded"])
def guarded(request, settings):
    """Django as it comes, and with what sitefleet has against this; the server starts behind."""
    middleware = [f"{__name__}.over_https", *tests.settings.MIDDLEWARE]
    if request.param:
        settings.SITEFLEET = {"FRESHNESS": 0.0, "HOST_COOKIES": True}
        middleware.insert(2, COOKIES)
        middleware = [OURS if name == CSRF else name for name in middleware]
    settings.MIDDLEWARE = middleware
    settings.SECURE_REFERRER_POLICY = None  # the page that posts is the attacker's
    return request.param


@pytest.fixture
def server(guarded, transactional_db):
    """A server of this test: the fixture of pytest-django has read its settings long before."""
    server = LiveServer("127.0.0.1")
    yield server
    server.stop()


@pytest.fixture
def platform(server, tmp_path, settings, monkeypatch):
    """A browser on a platform with two tenants under HTTPS; Eve's session on the second."""
    settings.ROOT_URLCONF = Urls
    sites = [add_site(name, domain=f"{name}.plat.test") for name in ("t1", "t2")]
    eve = client_for(sites[1])
    eve.force_login(get_user_model().objects.create_user("eve"))
    port = relay(server.thread.port, tmp_path)
    settings.CSRF_TRUSTED_ORIGINS = [f"https://*.plat.test:{port}"]
    flags = ("--ignore-certificate-errors", "--host-resolver-rules=MAP *.plat.test 127.0.0.1")
    monkeypatch.setattr(chromium, "FLAGS", (*chromium.FLAGS, *flags))
    driver = chromium.start_browser(tmp_path / "profile")
    yield driver, port, eve.session.session_key
    driver.quit()


def relay(port, folder):
    """Speak TLS on a port of its own, and pass on what is said to `port`."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=plat.test"]
    command = [*request, "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listening = socket.create_server(("127.0.0.1", 0))

    def accept():
        while True:
            threading.Thread(target=serve, args=[listening.accept()[0]], daemon=True).start()

    def serve(plain):
        try:
            with (
                context.wrap_socket(plain, server_side=True) as outside,
                socket.create_connection(("127.0.0.1", port)) as inside,
            ):
                pass_on(outside, inside)
        except OSError:
            return  # The browser opens connections that it drops again.

    threading.Thread(target=accept, daemon=True).start()
    return listening.getsockname()[1]


def pass_on(outside, inside):
    while True:
        waiting = [outside] if outside.pending() else select.select([outside, inside], [], [])[0]
        for source, target in ((outside, inside), (inside, outside)):
            if source in waiting:
                data = source.recv(65536)
                if not data:
                    return
                target.sendall(data)


def look_at(driver, host):
    driver.get(f"https://{host}/look/")
    script = "return JSON.parse(document.body.innerText)"
    return driver.execute_script(script)


def toss(driver, key):
    for cookie in TOSSED:
        text = f"{cookie.format(key=key)}; domain=plat.test; path=/; secure"
        driver.execute_script("document.cookie = arguments[0]", text)


def post(driver, host):
    """Have the page post a form to another host; return what comes up."""
    driver.execute_script(
        """const form = document.createElement("form");
        form.method = "POST"; form.action = arguments[0];
        const field = document.createElement("input");
        field.name = "csrfmiddlewaretoken"; field.value = arguments[1];
        form.append(field); document.body.append(form); form.submit()""",
        f"https://{host}/posted/",
        TOKEN,
    )
    chromium.WebDriverWait(driver, 10).until(lambda it: it.current_url.endswith("/posted/"))
    return driver.find_element(chromium.By.TAG_NAME, "body").text


def test_what_a_sibling_tosses_is_not_taken(guarded, platform):
    driver, port, key = platform
    sibling, victim = (f"{name}.plat.test:{port}" for name in ("t1", "t2"))
    look_at(driver, sibling)
    toss(driver, key)
    seen = look_at(driver, victim)
    assert f"sessionid={key}" in seen["sent"], "nothing was tossed"
    assert f"csrftoken={TOKEN}" in seen["sent"]
    assert seen["user"] == ("" if guarded else "eve")
    if guarded:
        assert [seen["visits"], look_at(driver, victim)["visits"]] == [1, 2]
    look_at(driver, sibling)
    assert post(driver, victim).startswith("posted") is not guarded
