"""A running fleet with the driver uwsgi, behind nginx and on PostgreSQL."""

import socket

import psycopg
import pytest

from tests.acceptance.fleets import asking, make_project, wait_for
from tests.acceptance.postgres import running_server
from tests.acceptance.vassals import VARIABLE, built

pytestmark = pytest.mark.acceptance

PREPARE = """
from sitefleet.registry import add_site, configure_site
for slug in ("suspended", "moved", "removed", "faulty"):
    configure_site(add_site(slug, domain=f"{slug}.example"), mode="dedicated")
"""
SERVING = {"driver": "uwsgi", "router": "nginx", "options": {"idle": 60, "timeout": 3}}


@pytest.fixture(scope="module")
def database():
    with running_server() as server:
        server.sql("CREATE DATABASE fleet")
        yield server.settings("fleet")


@pytest.fixture(scope="module")
def project(database):
    with make_project([], DATABASES={"default": database}, SERVING=SERVING) as made:
        made.manage("shell", "-c", PREPARE)
        yield made


@pytest.fixture(scope="module")
def fleet(project):
    with project.up(**{VARIABLE: built()}) as made:
        yield made


@pytest.fixture
def sql(database):
    def run(statement, *values):
        words = {"host": database["HOST"], "user": database["USER"], "dbname": database["NAME"]}
        with psycopg.connect(**words, autocommit=True) as connection:
            connection.execute(statement, values or None)

    return run


def listens(fleet, key):
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(fleet.project.run_dir / "s" / f"{key}.sock")) == 0


UPDATE = "UPDATE sitefleet_siteconfig SET"
REMOVE = (
    "WITH gone AS (DELETE FROM sitefleet_siteconfig WHERE slug = %s RETURNING site_id)"
    " DELETE FROM django_site USING gone WHERE id = site_id"
)


@pytest.mark.parametrize(
    ("slug", "statement", "statuses"),
    [
        ("suspended", f"{UPDATE} state = 'suspended' WHERE slug = %s", [200, 404]),
        ("moved", f"{UPDATE} mode = 'shared' WHERE slug = %s", [200]),
        # Its vassal goes with the row: nothing is left that the Emperor could go on with.
        ("removed", REMOVE, [200, 502, 404]),
    ],
    ids=["suspended", "moved", "removed"],
)
def test_a_site_that_leaves_answers_until_the_shared_server_does_and_nobody_waits_for_it(
    fleet, sql, slug, statement, statuses
):
    fleet.wait_for_site(slug)
    key = fleet.row(slug)["instance"]
    with asking(fleet, slug) as answers:
        sql(statement, slug)
        assert wait_for(lambda: f"gone {key}" in fleet.output), fleet.output
        assert wait_for(lambda: not listens(fleet, key)), fleet.output
        assert wait_for(lambda: fleet.get(slug).status == statuses[-1]), fleet.output
    assert set(answers) <= set(statuses), fleet.output
    assert "has not taken up" not in fleet.output


def test_a_hung_request_is_asked_once_and_its_worker_is_told_as_restarted(fleet):
    fleet.wait_for_site("faulty")
    before = fleet.row("faulty")["restarts"]
    answer = fleet.get("faulty", "/slow/?seconds=60&text=it-hangs", timeout=60)
    assert answer.status == 502
    assert fleet.output.count(" it-hangs\n") == 1
    assert wait_for(lambda: fleet.row("faulty")["restarts"] == before + 1), fleet.output
    fleet.request("faulty", "/crash/", "POST")
    assert wait_for(lambda: fleet.row("faulty")["restarts"] == before + 2), fleet.output
    fleet.wait_for_site("faulty")
