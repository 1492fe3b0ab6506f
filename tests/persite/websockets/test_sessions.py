"""Sessions and cookies of a socket are those of its site."""

from django.contrib.auth import get_user_model
from django.contrib.sessions.backends import db as sessions
from django.test import override_settings

from sitefleet.current import active_site_id
from sitefleet.persite.websockets import SiteWebSocketMiddleware
from sitefleet.test import client_for
from tests.persite.websockets.wire import ONE, TWO, echo, opened, run


def logged_in(site):
    user = get_user_model().objects.create_user(f"user-{site.pk}", password="secret")
    client = client_for(site)
    client.force_login(user)
    client.get("/cookies/")
    return user.get_username(), client.cookies


def cookie_header(cookies):
    return [(b"cookie", "; ".join(f"{k}={m.coded_value}" for k, m in cookies.items()).encode())]


def test_the_session_of_a_socket_is_that_of_its_site(channels, fleet):
    """Below a prefix too, where the cookie has another name and the root's is sent as well."""
    root, _, below = fleet
    jar, names = {}, {}
    for one in (root, below):
        names[one.pk], cookies = logged_in(one)
        mark = f"_{one.pk}" if one is below else ""
        jar[f"sessionid{mark}"] = cookies[f"sessionid{mark}"]
    both = cookie_header(jar)
    only_root = cookie_header({"sessionid": jar["sessionid"]})

    async def scenario():
        for one, place in ((root, "/async/"), (below, "/de/async/")):
            async with opened(channels, ONE, place, headers=both) as socket:
                assert (await socket.say('"who"')).startswith(f'["{names[one.pk]}"')
        for host, place in ((ONE, "/de/async/"), (TWO, "/async/")):
            async with opened(channels, host, place, headers=only_root) as socket:
                assert await socket.say('"who"') == '["", null]', "row 8: no session is replayed"

    run(scenario)


def test_a_session_store_is_made_and_read_under_the_site(channels, site, monkeypatch):
    seen = set()

    class SessionStore(sessions.SessionStore):
        def __init__(self, *arguments):
            seen.add(active_site_id())
            super().__init__(*arguments)

        def load(self):
            seen.add(active_site_id())
            return super().load()

    monkeypatch.setattr(sessions, "SessionStore", SessionStore)

    async def scenario():
        headers = [(b"cookie", b"sessionid=0123456789abcdef0123456789abcdef")]
        async with opened(channels, ONE, "/async/", headers=headers) as socket:
            await socket.say('"who"')

    with override_settings(SESSION_ENGINE="django.contrib.sessions.backends.db"):
        run(scenario)
    assert seen == {site.pk}


def cookies_of(*, headers, prefix="", **scope):
    """Return the cookies that reach the application."""
    seen = []

    async def app(scope, receive, send):
        seen.append([value.decode() for name, value in scope["headers"] if name == b"cookie"])
        await echo(scope, receive, send)

    async def scenario():
        async with opened(
            SiteWebSocketMiddleware(app), ONE, f"{prefix}/ws/", headers=headers, **scope
        ):
            pass

    run(scenario)
    return seen[0]


def test_cookies_reach_the_application_under_their_usual_names(fleet, settings):
    below = fleet[2].pk
    sent = f'a=b;  sessionid=root; sessionid_{below}=own; q="x,y"; messages_{below}="m\\073"; c'
    headers = [(b"cookie", sent.encode())]
    assert cookies_of(headers=headers) == [sent], "untouched at the root of a host"
    assert cookies_of(headers=headers, prefix="/de") == [
        'a=b; q="x,y"; c; sessionid=own; messages="m\\073"'
    ]
    assert cookies_of(headers=[], prefix="/de") == [""]
    settings.SITEFLEET = {"HOST_COOKIES": True, "FRESHNESS": 0.0}
    headers = [(b"cookie", b"__Host-sessionid=own; sessionid=tossed; a=b")]
    assert cookies_of(headers=headers, scheme="wss") == ["a=b; sessionid=own"]
    headers = [(b"cookie", b"sessionid=tossed")]
    assert cookies_of(headers=headers, scheme="wss") == [""]
    assert cookies_of(headers=headers, scheme="ws") == ["sessionid=tossed"]
