"""Sessions bound by others: engines of third parties, clients of tests, a server."""

from http.client import HTTPConnection

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import (
    get_user_model,
    user_logged_in,
    user_logged_out,
)
from django.contrib.sites.models import Site
from django.test import Client

from sitefleet.current import active_site_id
from sitefleet.exceptions import NoCurrentSite
from sitefleet.registry import add_site
from sitefleet.test import async_client_for, client_for
from tests.persite.sessions.work import THIRD_PARTY, Urls, at, at_async, store


def test_an_engine_of_a_third_party_can_be_bound_by_the_mixin(site, other_site, users, settings):
    settings.SESSION_ENGINE, settings.ROOT_URLCONF = THIRD_PARTY, Urls
    client = client_for(site)
    client.force_login(users[0])
    key = client.session.session_key
    assert at(site, key, "look")[0]["user"] == "anna"
    for what in ("set", "flush", "cycle"):
        assert at(other_site, key, what)[0] == {"before": {}, "user": ""}
    assert at_async(site, key, "look")[0]["user"] == "anna"


def test_clients_log_in_and_out_on_their_site(engine, site, other_site, users):
    sites = []
    for signal in (user_logged_in, user_logged_out):
        signal.connect(lambda **_: sites.append(active_site_id()), weak=False, dispatch_uid="here")
    one, two = client_for(site), client_for(other_site)
    assert one.login(username="anna", password="secret")
    assert not two.login(username="anna", password="wrong")
    assert [client.get("/look/").json()["user"] for client in (one, two)] == ["anna", ""]
    key = one.session.session_key
    one.logout()
    for signal in (user_logged_in, user_logged_out):
        assert signal.disconnect(dispatch_uid="here")
    assert sites == [site.pk, site.pk]
    assert one.get("/look/").json()["user"] == ""
    assert engine == "signed_cookies" or not store(site).exists(key)


def test_async_clients_log_in_and_out_on_their_site(engine, site, other_site, users):
    one, two = async_client_for(site.pk), async_client_for(other_site.pk)

    @async_to_sync
    async def visit():
        assert await one.alogin(username="anna", password="secret")
        await two.aforce_login(users[1])
        session = await one.asession()
        await session.aset("a", 1)
        await session.asave()
        told = [(await client.get("/a/look/")).json() for client in (one, two)]
        await one.alogout()
        return [*told, (await one.get("/a/look/")).json()]

    Site.objects.clear_cache()
    told = visit()
    assert [each["user"] for each in told] == ["anna", "eve", ""]


def test_djangos_own_client_has_to_be_told_the_site(site, users):
    with pytest.raises(NoCurrentSite):
        Client().force_login(users[0])


@pytest.mark.acceptance
def test_a_live_server_keeps_sessions_apart(live_server, settings):
    settings.ROOT_URLCONF = Urls
    fleet = [add_site(name, domain=f"{name}.example.org") for name in ("one", "two")]
    client = client_for(fleet[0])
    client.force_login(get_user_model().objects.create_user("anna"))
    cookie = f"sessionid={client.session.session_key}"
    users = []
    for site in fleet:
        connection = HTTPConnection(live_server.thread.host, live_server.thread.port)
        connection.request("GET", "/look/", headers={"Host": site.domain, "Cookie": cookie})
        users.append(b"anna" in connection.getresponse().read())
        connection.close()
    assert users == [True, False]
