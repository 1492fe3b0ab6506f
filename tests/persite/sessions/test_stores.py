"""What a store reads and writes, it does as its own site; what has expired is cleared for all."""

import os
import threading
import time
from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync
from django.contrib.sessions.models import Session
from django.contrib.sites.models import Site
from django.core.management import call_command
from django.test import override_settings

from sitefleet import override_site
from sitefleet.exceptions import NoCurrentSite
from sitefleet.persite.sessions import site_id_of
from tests.persite.sessions.work import (
    new,
    store,
    with_storage,
)

# --- a store belongs to a site ---------------------------------------------------------


def test_without_a_current_site_there_is_no_session(engine, db):
    with pytest.raises(NoCurrentSite):
        new()


def test_the_default_site_has_sessions_too(engine, site):
    with override_settings(SITE_ID=site.pk):
        session = new()
    session["a"] = 1
    session.save()
    assert store(site, session.session_key)["a"] == 1


FOLLOWING = {
    "SIGNING_BACKEND": "sitefleet.persite.signing.SiteSigner",
    "CACHES": {
        "default": {
            "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
            "KEY_FUNCTION": "sitefleet.persite.cache.make_key",
        }
    },
}


def test_a_store_stays_with_its_site_when_another_is_entered(engine, site, other_site):
    with override_settings(**FOLLOWING):
        session = store(site)
        session["a"] = 1
        with override_site(other_site):
            session.save()
        later = store(site, session.session_key)
        with override_site(other_site):
            assert later["a"] == 1
            later["b"] = 2
            later.cycle_key()
            later.save()
        assert dict(store(site, later.session_key).items()) == {"a": 1, "b": 2}
        assert dict(store(other_site, later.session_key).items()) == {}
        with override_site(other_site):
            later.flush()
        assert engine == "signed_cookies" or not store(site).exists(session.session_key)


def test_an_async_store_stays_with_its_site_when_another_is_entered(engine, site, other_site):
    @async_to_sync
    async def run():
        with override_site(site):
            session = new()
        await session.aset("a", 1)
        with override_site(other_site):
            await session.asave()
        Site.objects.clear_cache()  # a look-up would be a query in the event loop
        with override_site(site):
            later = new(session.session_key)
        with override_site(other_site):
            assert await later.aexists(session.session_key) == (engine != "signed_cookies")
            assert await later.aget("a") == 1
            await later.acycle_key()
            await later.asave()
            assert await later.aexists(later.session_key) == (engine != "signed_cookies")
            key = later.session_key
            await later.aflush()
        return key

    with override_settings(**FOLLOWING):
        key = run()
        assert not store(site).exists(key)


@with_storage
def test_a_site_neither_probes_nor_deletes_sessions_of_another(engine, site, other_site, key):
    own, foreign = store(site), store(other_site)
    assert own.exists(key)
    assert not foreign.exists(key)
    assert not async_to_sync(foreign.aexists)(key)
    foreign.delete(key)
    async_to_sync(foreign.adelete)(key)
    assert own.exists(key)
    own.delete(key)
    assert not own.exists(key)


def test_stores_of_many_threads_do_not_mix(fleet):
    wrong = []

    def make(site):
        for _ in range(20):
            with override_site(site):
                key = new()._get_new_session_key()
            if site_id_of(key) != site.pk:
                wrong.append(key)

    threads = [threading.Thread(target=make, args=[site]) for site in fleet * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# --- clearsessions -----------------------------------------------------------------------


@with_storage
def test_expired_sessions_of_all_sites_are_cleared_without_a_site(engine, site, other_site):
    dead = [store(each) for each in (site, other_site)]
    alive = [store(each) for each in (site, other_site)]
    for session in (*dead, *alive):
        session.set_expiry(-1 if session in dead else 1000)
        session.save()
    call_command("clearsessions")
    assert not any(session.exists(session.session_key) for session in dead)
    assert all(session.exists(session.session_key) for session in alive)
    assert Session.objects.count() == (2 if engine in {"db", "cached_db"} else 0)


@pytest.mark.parametrize("engine", ["file"], indirect=True)
def test_files_are_cleared_by_what_their_own_site_has_signed(engine, site, settings, tmp_path):
    long, short = store(site), store(site)
    with override_settings(**FOLLOWING):
        for session, days in ((long, 1000), (short, -1)):
            session.set_expiry(timedelta(days=days))
            session.save()
        month_ago = time.time() - 30 * 86_400
        for name in tmp_path.iterdir():
            os.utime(name, (month_ago, month_ago))
        call_command("clearsessions")
    assert [long.exists(long.session_key), short.exists(short.session_key)] == [True, False]
