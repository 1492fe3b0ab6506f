"""A database under row-level security, with three roles as in production."""

from contextlib import contextmanager

import pytest
from django.contrib.sites.models import Site
from django.db import connection, transaction

from sitefleet import override_site
from sitefleet.registry import add_site
from sitefleet.scoping import cross_site
from sitefleet.scoping.rls.policies import enable, why_not
from sitefleet.scoping.scopes import scopes
from tests.databases import using_database
from tests.rooms.models import Booking, Building, Hall, Notice, Room, Tag

#: `fleet_owner` has the tables and migrates, `fleet_app` logs in, `fleet_all` sees all sites.
ROLES = """
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'fleet_app') THEN
    CREATE ROLE fleet_all NOLOGIN;
    CREATE ROLE fleet_app LOGIN NOINHERIT IN ROLE fleet_all;
    CREATE ROLE fleet_owner LOGIN INHERIT IN ROLE fleet_all;
  END IF;
END $$
"""
GRANTS = """
GRANT USAGE ON SCHEMA public TO fleet_app, fleet_all;
GRANT CREATE ON SCHEMA public TO fleet_owner;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO fleet_app, fleet_all;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO fleet_app, fleet_all;
"""
OWNED = """
DO $$ DECLARE name text; BEGIN
  FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
    EXECUTE format('ALTER TABLE %I OWNER TO fleet_owner', name);
  END LOOP;
END $$
"""


def sql(statement, params=None):
    """Run a statement on the default database; return its rows."""
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return cursor.fetchall() if cursor.description else cursor.rowcount


def enable_all():
    with connection.schema_editor() as editor:
        for scope in scopes:
            if not why_not(scope):
                for statement in enable(scope, connection, "fleet_all"):
                    editor.execute(statement, params=None)


@contextmanager
def as_role(name, **changes):
    """Let the default database be used by a role."""
    with using_database(USER=name, **changes):
        yield


@pytest.fixture(scope="session")
def locked_template(postgres_server, django_db_setup, django_db_blocker):
    """A database under row-level security, to be copied."""
    with django_db_blocker.unblock():
        database = postgres_server.new_database()
        with using_database(**database):
            for statement in (ROLES, OWNED, GRANTS):
                sql(statement)
            enable_all()
            add_rows()
    return database["NAME"]


@pytest.fixture
def mode():
    """How connections are told their site; parametrize it for the other one."""
    return "transaction"


@pytest.fixture
def locked(postgres_server, locked_template, django_db_blocker, settings, mode):
    """A database of this test alone, used by a role that row-level security binds."""
    settings.SITE_ID = None
    settings.SITEFLEET = {
        "RLS": mode,
        "RLS_ROLE": "fleet_all",
        "FRESHNESS": 0.0,
        "RAW_SQL": "allow",  # it is PostgreSQL that refuses
    }
    name = f"locked_{next(postgres_server.numbers)}"
    postgres_server.sql(f"CREATE DATABASE {name} TEMPLATE {locked_template}")
    database = postgres_server.settings(name) | {"USER": "fleet_app"}
    with django_db_blocker.unblock(), using_database(**database):
        yield postgres_server


def add_rows():
    """Make two sites with a row of each kind, named after the slug, and one that is shared."""
    found = add_site("a", domain="a.test"), add_site("b", domain="b.test")
    for site, name in zip(found, "ab", strict=True):
        with override_site(site):
            room = Room.objects.create(name=name, building=Building.objects.create(name=name))
            room.tags.add(Tag.objects.create(name=name))
            Hall.objects.create(name=f"hall {name}", seats=4)
            Notice.objects.create(text=name)
            Booking.objects.create(code=name, room=room)
    with cross_site("shared by all"):
        Tag.objects.create(name="all", site=None)


@pytest.fixture
def sites(locked):
    """Two sites, see `add_rows`."""
    return tuple(Site.objects.order_by("pk"))


both_modes = pytest.mark.parametrize("mode", ["transaction", "session"])


@contextmanager
def nothing():
    yield


@contextmanager
def nested():
    with transaction.atomic(), transaction.atomic():
        yield


#: Outside of a transaction, in one, in one of which a part may be undone.
around = pytest.mark.parametrize("block", [nothing, transaction.atomic, nested])
