"""Threads: servers have many, requests may start some."""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.sites.models import Site
from django.db import connections
from django.test import Client

from sitefleet import carry_site, get_current_site_id, override_site
from sitefleet.current import active_site_id
from sitefleet.models import SiteConfig


@pytest.fixture
def many_sites(file_database):
    # In a file: a thread cannot close its connection to a database in memory.
    rows = [Site(pk=pk, domain=f"s{pk}.example", name=f"s{pk}") for pk in range(100, 120)]
    Site.objects.bulk_create(rows)
    SiteConfig.objects.bulk_create(SiteConfig(site=row, slug=row.name) for row in rows)
    return rows


def test_eight_threads_serve_twenty_sites_and_mix_none_up(many_sites, settings):
    settings.SITEFLEET = {"FRESHNESS": 3600}

    def serve(seed):
        client, dice, wrong = Client(), random.Random(seed), []  # noqa: S311 - no secret
        try:
            for _ in range(60):
                row = dice.choice(many_sites)
                path = dice.choice(["/site/", "/stream/", "/unknown/"])
                response = client.get(path, headers={"host": row.domain})
                if path == "/stream/":
                    right = b"".join(response) == f"{row.pk} {row.pk} /site/\n".encode() * 3
                elif path == "/site/":
                    right = {response.json()[name] for name in ("id", "django")} == {row.pk}
                else:
                    right = response.status_code == 404
                if not right or active_site_id() is not None:
                    wrong.append((row.pk, response, active_site_id()))
            return wrong
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        assert [wrong for found in pool.map(serve, range(8)) for wrong in found] == []


def test_a_request_that_starts_threads_carries_its_site_by_hand(client, site):
    response = client.get("/threads/", headers={"host": "one.example.org"})
    assert response.json() == {"plain": None, "carried": site.pk}


def test_the_threads_of_a_pool_keep_nothing_of_their_last_job():
    with ThreadPoolExecutor(2) as pool:
        with override_site(1):
            one = list(pool.map(carry_site(lambda _: get_current_site_id()), range(4)))
        with override_site(2):
            two = list(pool.map(carry_site(lambda _: get_current_site_id()), range(4)))
        none = list(pool.map(lambda _: active_site_id(), range(4)))
    assert (one, two, none) == ([1] * 4, [2] * 4, [None] * 4)


def test_a_carried_job_that_fails_leaves_nothing_in_its_thread():
    def fail():
        message = f"on site {get_current_site_id()}"
        raise RuntimeError(message)

    with ThreadPoolExecutor(1) as pool:
        with override_site(1):
            job = pool.submit(carry_site(fail))
        with pytest.raises(RuntimeError, match="on site 1"):
            job.result()
        assert pool.submit(active_site_id).result() is None
