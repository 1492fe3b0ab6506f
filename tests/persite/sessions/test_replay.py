"""A session belongs to the site that made it, whatever keeps it: rows 8 and 9, and the key."""

from importlib import import_module

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import (
    get_user_model,
)
from django.contrib.auth import login as auth_login
from django.contrib.sessions.backends.base import VALID_KEY_CHARS
from django.contrib.sessions.models import Session
from django.test import Client

from sitefleet.persite.sessions import site_id_of
from sitefleet.registry import add_alias, set_state
from sitefleet.test import client_for
from tests.asgi import ask
from tests.persite.sessions.work import ACTIONS, Urls, at, at_async, kept, store, with_storage

#: It tells many stories, for seconds: the default tests have a minute.
pytestmark = pytest.mark.acceptance

# --- row 8: replay ---------------------------------------------------------------


@pytest.mark.parametrize("through", [at, at_async])
def test_row_8_a_replayed_session_is_anonymous_and_untouched(site, other_site, key, through):
    before = kept(site, key)
    for what in ACTIONS:
        seen, cookie = through(other_site, key, what)
        assert seen == {"before": {}, "user": "eve" if what == "login" else ""}
        assert key not in str(cookie)
        assert kept(site, key) == before
    assert through(site, key, "look")[0]["user"] == "anna"


@with_storage
def test_row_8_the_answer_to_a_replay_is_a_session_of_that_site(engine, site, other_site, key):
    cookie = at(other_site, key, "set")[1]
    assert site_id_of(cookie.value) == other_site.pk
    assert at(other_site, cookie.value, "look")[0]["before"] == {"drawn": True}
    assert at(site, cookie.value, "look")[0]["before"] == {}


@with_storage
def test_row_8_a_key_that_names_another_site_is_found_nowhere(engine, site, other_site, key):
    new = store(other_site)
    new.save()
    forged = key[:-8] + new.session_key[-8:]
    assert site_id_of(forged) == other_site.pk
    before = kept(site, key)
    assert at(other_site, forged, "set")[0] == {"before": {}, "user": ""}
    assert kept(site, key) == before


@pytest.mark.parametrize("engine", ["signed_cookies"], indirect=True)
def test_row_8_a_signed_session_cannot_be_given_to_another_site(site, other_site, key):
    session = store(other_site, key)
    assert dict(session.items()) == {}
    assert dict(store(site, key).items())["secret"] == "one"


def test_row_8_an_alias_is_the_same_site(site, key):
    add_alias(site, "also.example.org", redirect=False)
    response = Client(headers={"host": "also.example.org", "cookie": f"sessionid={key}"})
    assert response.get("/look/").json()["user"] == "anna"


@pytest.mark.parametrize("spoofed", ["x-forwarded-host", "x_forwarded_host"])
def test_row_3_a_forwarded_host_does_not_bring_the_session_of_another_site(
    site, other_site, key, spoofed
):
    client = client_for(other_site)
    client.cookies["sessionid"] = key
    name = f"HTTP_{spoofed.upper().replace('-', '_')}"
    assert client.get("/look/", **{name: site.domain}).json() == {"before": {}, "user": ""}
    headers = [
        (b"cookie", f"sessionid={key}".encode()),
        (spoofed.encode(), site.domain.encode()),
    ]
    answer = async_to_sync(ask)(other_site.domain, "/a/look/", headers=headers)
    assert answer.json() == {"before": {}, "user": ""}


def test_row_8_staff_of_one_site_do_not_look_into_another_in_maintenance(
    site, other_site, key, users
):
    get_user_model().objects.update(is_staff=True)
    for each in (site, other_site):
        set_state(each, "maintenance")
    statuses = []
    for each in (site, other_site):
        client = client_for(each)
        client.cookies["sessionid"] = key
        statuses.append(client.get("/look/").status_code)
    assert statuses == [200, 503]


# --- row 9: fixation ---------------------------------------------------------------


@with_storage
@pytest.mark.parametrize("through", [at, at_async])
def test_row_9_a_login_never_keeps_the_key_that_came_in(site, other_site, key, through):
    anonymous = store(other_site)
    anonymous.save()
    for tossed in (key, anonymous.session_key, "made0up0" * 5):
        cookie = through(other_site, tossed, "login")[1]
        assert cookie
        assert tossed not in str(cookie)
        assert through(other_site, tossed, "look")[0]["user"] == ""
    assert through(site, key, "look")[0]["user"] == "anna"


def test_a_changed_password_ends_the_sessions(site, key, users):
    users[0].set_password("another")
    users[0].save()
    assert at(site, key, "look")[0]["user"] == ""


# --- the key -------------------------------------------------------------------------


@with_storage
def test_a_key_fits_into_djangos_column_and_file_names(engine):
    for pk in (1, 35, 36, 2**31 - 1, 36**8 - 1):
        key = store(pk)._get_new_session_key()
        assert len(key) == Session._meta.get_field("session_key").max_length == 40
        assert set(key) <= set(VALID_KEY_CHARS)
        assert site_id_of(key) == pk


@pytest.mark.parametrize("key", ["", "short", "a-b_c!d.", "\x00" * 40, "é" * 40, "0000000Z"])
def test_a_key_of_no_site_has_none(key):
    assert site_id_of(key) is None


def test_a_made_up_key_is_nobody(engine, site):
    for key in ("", "x", "a" * 32, "../../etc/passwd", "\x00" * 40, "é" * 40):
        assert dict(store(site, key).items()) == {}
        for through in (at, at_async) if key.isprintable() and key.isascii() else ():
            assert through(site, key, "set")[0] == {"before": {}, "user": ""}


def test_sessions_from_before_are_refused_and_left_alone(site, users, settings, rf):
    old = import_module("django.contrib.sessions.backends.db").SessionStore()
    request = rf.get("/")
    request.session = old
    auth_login(request, users[0])
    old.save()
    settings.ROOT_URLCONF = Urls
    before = list(Session.objects.values())
    assert at(site, old.session_key, "look")[0] == {"before": {}, "user": ""}
    assert list(Session.objects.values()) == before
