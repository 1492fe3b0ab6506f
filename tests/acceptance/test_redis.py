"""The tests of the cache on a real Redis server, and what takes several processes to see."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.cache import cache
from django.db import connection, transaction

from sitefleet import override_site
from sitefleet.models import SiteConfig, registry_lock
from sitefleet.persite.cache import clear_site_cache
from sitefleet.registry import add_site
from tests.acceptance.processes import ROOT, environment_for
from tests.acceptance.redis import redis_url  # noqa: F401 - a fixture
from tests.databases import elsewhere
from tests.persite.test_cache import *  # noqa: F403 - the tests, with the fixture below
from tests.persite.test_cache_pages import *  # noqa: F403 - the same

pytestmark = pytest.mark.acceptance
#: The promise of the default settings, and what a busy machine takes for itself.
PROMISED, MARGIN = 1.0, 2.0
OTHER = """
import sys, time
from tests import settings
settings.CACHES = {{"default": {cache!r}}}
settings.SITEFLEET = {{"FRESHNESS": {promised}}}
import django
django.setup()
from django.core.cache import cache
from sitefleet import override_site
with override_site({pk}):
    seen, until = object(), time.time() + 60
    while seen is not None and time.time() < until:
        before, seen = seen, cache.get("key")
        if seen != before:
            print(time.time(), seen, flush=True)
        time.sleep(0.02)
    cache.set("key", "from the other process")
"""


@pytest.fixture
def one_cache(redis_url):  # noqa: F811
    """The settings of a cache."""
    return {"BACKEND": "sitefleet.persite.cache.RedisCache", "LOCATION": f"{redis_url}/1"}


@pytest.fixture(params=["file_database", "postgres"])
def database(request):
    """A database that processes share."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def run():
    """Run code in another process, with the database of this test; it ends with the test."""
    started = []

    def run(code):
        environment = environment_for(connection.settings_dict)
        command = [sys.executable, "-c", code]
        pipe = {"stdout": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen(command, cwd=ROOT, env=environment, **pipe))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


def test_another_process_finds_it_cleared_within_the_promised_time(database, one_cache, run):
    site = add_site("one", domain="one.example.org")
    with override_site(site):
        cache.set("key", "old")
        other = run(OTHER.format(cache=one_cache, promised=PROMISED, pk=site.pk))
        assert other.stdout.readline().split()[1:] == ["old"]
        clear_site_cache()
        cleared = time.time()
        assert cache.get("key") is None
        seen, value = other.communicate(timeout=60)[0].split()
        assert value == "None"
        assert float(seen) - cleared < PROMISED + MARGIN
        assert cache.get("key") == "from the other process"


def test_a_transaction_that_clears_holds_no_lock(postgres, one_cache):
    site = add_site("one", domain="one.example.org")
    with transaction.atomic():
        clear_site_cache(site)
        elsewhere(clear_site_cache, site)  # would wait for the end of this transaction


def test_a_change_of_the_site_at_the_same_moment_does_not_undo_a_clearing(postgres, one_cache):
    site = add_site("one", domain="one.example.org")
    before = SiteConfig.objects.get().cache_generation
    with ThreadPoolExecutor() as pool:
        with registry_lock():
            config = SiteConfig.objects.get()
            clearing = pool.submit(elsewhere, clear_site_cache, site)
            time.sleep(0.3)
            config.save()
        clearing.result()
    assert SiteConfig.objects.get().cache_generation > before
