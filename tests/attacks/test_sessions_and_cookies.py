"""Rows 8, 9 and 10: sessions that are taken along, cookies that a sibling sets, posts from there.

A sibling is another tenant below the same parent domain: browsers send what it sets for that domain
to all of them, and take its pages for pages of the same site (``SameSite`` is no help).
"""

import pytest
from asgiref.sync import async_to_sync
from channels.auth import AuthMiddlewareStack
from django.contrib.auth import get_user_model
from django.contrib.sessions.backends import file as files

from sitefleet.persite.websockets import SiteWebSocketMiddleware
from sitefleet.registry import add_alias, set_state
from tests.attacks.project import ONE, TWO
from tests.persite.websockets.wire import Socket

ENGINES = ["db", "cache", "cached_db", "file", "signed_cookies"]


@pytest.fixture(params=ENGINES)
def engine(request, settings, tmp_path, monkeypatch):
    settings.SESSION_ENGINE = f"sitefleet.persite.sessions.{request.param}"
    monkeypatch.setattr(files.SessionStore, "_storage_path", str(tmp_path), raising=False)
    return request.param


@pytest.fixture
def victim(visit, sites, anna):
    """Anna, logged in on the first site, with something in her session."""
    return log_in(visit(sites.one))


def log_in(visitor):
    visitor.log_in()
    visitor.post("/who/", {"note": "secret"})
    return visitor


def thief_of(victim, visitor):
    """Let a visitor send the session of a victim, under all names that may be of use."""
    names = ["sessionid", "__Host-sessionid", f"sessionid{visitor.mark}"]
    session = victim.cookies["__Host-sessionid"]
    visitor.cookies = dict.fromkeys([*names, visitor.name_of("sessionid")], session)
    return visitor


# --- row 8: a session that is taken along -----------------------------------------------------


def test_row_8_a_session_that_is_taken_to_another_site_is_nobodys(visit, sites, anna, engine):
    victim = log_in(visit(sites.one))
    for site in (sites.two, sites.below) if engine == "cached_db" else (sites.below,):
        thief = thief_of(victim, visit(site))
        assert thief.get("/who/").json() == {"user": "", "note": "", "messages": []}
        assert thief.get("/account/").text.split()[:2] == [str(site.pk), "nobody"]
        assert thief.post("/logout/").status == 302
        thief_of(victim, thief).post("/who/", {"note": "mine"})
        assert thief.cookies[thief.name_of("sessionid")] != victim.cookies["__Host-sessionid"]
        assert thief.get("/who/").json() == {"user": "", "note": "mine", "messages": []}
    assert victim.get("/who/").json() == {"user": "anna", "note": "secret", "messages": []}


def test_row_8_a_session_goes_along_with_the_names_of_its_own_site(visit, sites, victim):
    add_alias(sites.one, "also.example", redirect=False)
    thief = thief_of(victim, visit(sites.one))
    thief.host = "also.example"
    assert thief.user == "anna"


def test_row_8_staff_of_one_site_look_into_no_other_that_is_closed(visit, sites, victim):
    get_user_model().objects.update(is_staff=True)
    for site in sites:
        set_state(site, "maintenance")
    statuses = [victim.get("/look/").status]
    statuses += [thief_of(victim, visit(site)).get("/look/").status for site in sites[1:]]
    assert statuses == [200, 503, 503]


def test_row_8_a_login_changes_the_session(visit, sites, anna):
    for site in sites:
        visitor = visit(site)
        visitor.post("/who/", {"note": "mine"})
        before = visitor.cookies[visitor.name_of("sessionid")]
        visitor.log_in()
        assert visitor.cookies[visitor.name_of("sessionid")] != before
        assert visitor.get("/who/").json() == {"user": "anna", "note": "mine", "messages": []}


async def tell_user(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": f"{scope['user']}"})


def shake_hands(host, cookies, origin=None, path="/ws/"):
    """Return the status of a handshake, or else whom the socket is for."""
    cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
    headers = [(b"cookie", cookie.encode())]
    headers += [(b"origin", origin.encode())] if origin else []

    async def open_socket():
        app = SiteWebSocketMiddleware(AuthMiddlewareStack(tell_user))
        socket = Socket(app, host, path, headers=headers, scheme="wss")
        first = await socket.open()
        said = await socket.get()
        await socket.task
        return first.get("status") or said["text"]

    return async_to_sync(open_socket)()


def test_row_8_no_socket_is_opened_with_a_session_of_another_site(visit, sites, victim):
    assert shake_hands(ONE, victim.cookies, f"https://{ONE}") == "anna"
    for host, site, path in ((TWO, sites.two, "/ws/"), (ONE, sites.below, "/below/ws/")):
        thief = thief_of(victim, visit(site))
        assert shake_hands(host, thief.cookies, f"https://{host}", path) == "AnonymousUser"


# --- row 9: cookies that a sibling sets -------------------------------------------------------


def test_row_9_each_cookie_is_for_one_host_and_has_a_name_of_its_own_there(visit, sites, anna):
    seen = {}
    for site in sites:
        visitor = visit(site)
        visitor.log_in()
        visitor.get("/who/?say=hello")
        visitor.post("/i18n/setlang/", {"language": "es"})
        names = {text.partition("=")[0] for text in visitor.set_cookies}
        assert len(names) == 4, "session, CSRF, messages, language"
        for text in visitor.set_cookies:
            assert text.startswith("__Host-")
            flags = [part.strip().lower() for part in text.split(";")[1:]]
            assert "secure" in flags
            assert "path=/" in flags
            assert not any(flag.startswith("domain") for flag in flags)
        seen.setdefault(visitor.host, []).append(names)
    first, second = seen[ONE]
    assert not first & second


TOSSED = {
    "plain": "sessionid={0}",
    "in front": "sessionid={0}; {1}",
    "behind": "{1}; sessionid={0}",
    "with a space that browsers do not know": "\xe2\x80\x80__Host-sessionid={0}; {1}",
    "in other letters": "__host-sessionid={0}; __HOST-sessionid={0}; {1}",
    "of the site below": "sessionid_{2}={0}; {1}",
    "twice": "__Host-sessionid={0}; __Host-sessionid={0}x",
}


def test_row_9_nobody_uses_a_session_that_a_sibling_has_tossed(visit, sites, anna):
    get_user_model().objects.create_user("eve", password="secret")
    for site in (sites.one, sites.below):
        eve, visitor = visit(site), visit(site)
        eve.log_in("eve")
        visitor.get("/form/")
        name, tossed = visitor.name_of("csrftoken"), eve.cookies[eve.name_of("sessionid")]
        for how, text in TOSSED.items():
            own = f"{name}={visitor.cookies[name]}"
            header = {"cookie": text.format(tossed, own, sites.below.pk)}
            assert visitor.get("/who/", headers=header).json()["user"] == "", how
        visitor.set_cookies.clear()
        visitor.post("/login/", {"username": "anna", "password": "secret"}, headers=header)
        assert not any(tossed in text for text in visitor.set_cookies)
        assert eve.user == "eve"


def test_row_9_by_plain_http_a_login_drops_what_was_tossed(visit, sites, anna):
    visitor = visit(sites.two)
    visitor.secure = False
    visitor.post("/who/", {"note": "fixed"})
    fixed = visitor.cookies["sessionid"]
    visitor.log_in()
    assert visitor.cookies["sessionid"] != fixed
    attacker = visit(sites.two)
    attacker.secure = False
    attacker.cookies["sessionid"] = fixed
    assert attacker.user == ""


# --- row 10: pages of a sibling that post -----------------------------------------------------

KNOWN = "t" * 32


def post_as_sibling(victim, headers, token=KNOWN, toss="csrftoken={0}; {1}"):
    """Let the browser of a victim post a form of a sibling, which knows the token it has tossed."""
    own = "; ".join(f"{name}={value}" for name, value in victim.cookies.items())
    forged = {"cookie": toss.format(token, own), "x-csrftoken": token, "origin": ""}
    return victim.post("/who/", {"note": "forged"}, headers={**forged, **headers})


def test_row_10_a_sibling_cannot_post_with_the_cookies_of_its_victim(victim):
    for headers in (
        {"origin": f"https://{TWO}"},
        {"origin": f"http://{TWO}"},
        {"origin": f"https://{TWO}:8443"},
        {"origin": "null"},
        {"origin": f"https://{TWO}", "referer": f"https://{ONE}/"},
        {"origin": f"https://{ONE}.{TWO}"},
        {"origin": f"https://{ONE}"},
        {"origin": "https://nobody.example.org"},
        {"origin": "https://evil.test"},
    ):
        assert post_as_sibling(victim, headers).status == 403, headers
    assert victim.get("/who/").json()["note"] == "secret"
    assert victim.post("/who/", {"note": "own"}).status == 200


def test_row_10_origins_are_asked_for_where_the_token_fits(visit, sites, victim):
    """Even one who has learnt the token of his victim is refused, but for origins of nobody."""
    token = victim.cookies["__Host-csrftoken"]
    known = {"token": token, "toss": "{1}"}
    for origin in (f"https://{TWO}", "null", "https://evil.test", f"http://{ONE}"):
        assert post_as_sibling(victim, {"origin": origin}, **known).status == 403, origin
        assert post_as_sibling(victim, {"referer": f"{origin}/"}, **known).status == 403, origin
    assert post_as_sibling(victim, {"origin": f"https://{ONE}"}, **known).status == 200


def test_row_10_a_sibling_logs_nobody_in(visit, sites, anna):
    visitor = visit(sites.one)
    visitor.get("/form/")
    answer = visitor.post(
        "/login/",
        {"username": "anna", "password": "secret"},
        headers={"origin": f"https://{TWO}"},
    )
    assert answer.status == 403
    assert visitor.user == ""


def test_row_10_a_token_of_one_site_fits_on_no_other(visit, sites):
    mine, theirs = visit(sites.one), visit(sites.two)
    mine.get("/form/")
    theirs.get("/form/")
    token = mine.cookies["__Host-csrftoken"]
    assert theirs.post("/who/", {"note": "x"}, headers={"x-csrftoken": token}).status == 403


def test_row_10_a_sibling_opens_no_socket_with_the_cookies_of_its_victim(sites, victim):
    for origin in (f"https://{TWO}", "null", f"http://{ONE}", "https://evil.test"):
        assert shake_hands(ONE, victim.cookies, origin) == 403
