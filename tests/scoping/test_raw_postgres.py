"""What PostgreSQL and psycopg have of their own."""

import io

import pytest
from django.contrib.sites.models import Site
from django.core.management import call_command
from django.db import connection
from psycopg import sql

from sitefleet import override_site
from sitefleet.exceptions import SiteRequired
from sitefleet.scoping import cross_site
from tests.acceptance.postgres import postgres, postgres_server  # noqa: F401 - fixtures
from tests.databases import together
from tests.rooms.models import Room

pytestmark = pytest.mark.acceptance

NAMED = "SELECT name FROM rooms_room"


@pytest.fixture
def sites(postgres, settings):  # noqa: F811 - the fixture
    settings.SITE_ID = None
    call_command("migrate", run_syncdb=True, verbosity=0)
    pair = [Site.objects.create(domain=f"{name}.test", name=name) for name in "ab"]
    for site in pair:
        with override_site(site):
            Room.objects.create(name=site.name)
    return pair


@pytest.mark.parametrize(
    "statement",
    [
        NAMED,
        'SELECT name FROM public."rooms_room"',
        "SELECT 1; DELETE FROM rooms_room",
        "SHOW search_path; DELETE FROM rooms_room",
        "TABLE rooms_room",
        "TRUNCATE rooms_room CASCADE",
        "DO $$ BEGIN DELETE FROM rooms_room; END $$",
        "LOCK TABLE ONLY rooms_room",
        b"SELECT name FROM rooms_room",
        sql.SQL("SELECT name FROM {}").format(sql.Identifier("rooms_room")),
        sql.SQL("SELECT name FROM {}").format(sql.Identifier("public", "rooms_room")),
    ],
    ids=str,
)
def test_statements_are_refused_without_a_site(sites, statement):
    with connection.cursor() as cursor, pytest.raises(SiteRequired):
        cursor.execute(statement)
    with cross_site("test"):
        assert Room.objects.count() == 2


@pytest.mark.parametrize("method", ["copy", "stream"])
def test_what_the_driver_does_past_django_is_refused_too(sites, method):
    text = "COPY rooms_room TO STDOUT" if method == "copy" else NAMED
    with connection.cursor() as cursor, pytest.raises(SiteRequired):
        getattr(cursor, method)(text)
    with override_site(sites[0]), connection.cursor() as cursor:
        if method == "copy":
            with cursor.copy(text) as rows:
                assert len(list(rows)) == 2
        else:
            assert sorted(cursor.stream(text)) == [("a",), ("b",)]


def test_cursors_on_the_server_are_refused_too(sites):
    with connection.chunked_cursor() as cursor, pytest.raises(SiteRequired):
        cursor.execute(NAMED)
    with override_site(sites[0]):
        assert [room.name for room in Room.objects.iterator(chunk_size=1)] == ["a"]
    assert [room.name for room in Room.objects.filter(site=sites[1]).iterator()] == ["b"]


def test_each_thread_has_its_connection_looked_at(sites):
    def work(_):
        with connection.cursor() as cursor:
            cursor.execute(NAMED)

    assert all(isinstance(result, SiteRequired) for result in together(work, 3))


def test_the_machinery_of_django_goes_on(sites):
    connection.check_constraints()
    with connection.cursor() as cursor:
        assert connection.introspection.get_table_description(cursor, "rooms_room")
        assert connection.introspection.get_constraints(cursor, "rooms_room")
        assert connection.introspection.get_sequences(cursor, "rooms_room")
    told = io.StringIO()
    call_command("inspectdb", "rooms_room", stdout=told)
    assert "Unable to inspect" not in told.getvalue()
    call_command("flush", interactive=False, verbosity=0)
    with cross_site("test"):
        assert not Room.objects.exists()


def test_limit_a_procedure_is_not_looked_into(sites):
    """Documented: row-level security is the lock for what runs inside of the database."""
    with cross_site("test"), connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION all_rooms() RETURNS bigint LANGUAGE sql"
            " AS 'SELECT count(*) FROM rooms_room'"
        )
    with connection.cursor() as cursor:
        cursor.execute("SELECT all_rooms()")
        assert cursor.fetchone() == (2,)
