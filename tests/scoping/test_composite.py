"""Foreign keys that include the site: what the operations write, and what they refuse."""

import pytest
from django.core.management.base import CommandError
from django.db import connections
from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.writer import MigrationWriter

from sitefleet.scoping import composite
from sitefleet.scoping.composite import RemoveSiteForeignKey, SiteForeignKey

pytestmark = pytest.mark.django_db


@pytest.fixture
def written(monkeypatch):
    """Return the SQL that operations write for a database."""
    state = MigrationLoader(None).project_state()
    connection = connections["default"]
    monkeypatch.setattr(connection, "disable_constraint_checking", lambda: True)

    def write(operation, vendor="postgresql", *, backwards=False, app="rooms"):
        monkeypatch.setattr(connection, "vendor", vendor)
        with connection.schema_editor(collect_sql=True) as editor:
            run = operation.database_backwards if backwards else operation.database_forwards
            run(app, editor, state, state)
        return editor.collected_sql

    return write


KEY = SiteForeignKey("room", "building")
ADDED = [
    (
        'CREATE UNIQUE INDEX IF NOT EXISTS "rooms_building_id_INDEX_site_uniq"'
        ' ON "rooms_building" ("site_id", "id");'
    ),
    (
        'ALTER TABLE "rooms_room" ADD CONSTRAINT "rooms_room_building_id_KEY_site_fk"'
        ' FOREIGN KEY ("site_id", "building_id") REFERENCES "rooms_building" ("site_id", "id")'
        " DEFERRABLE INITIALLY DEFERRED;"
    ),
]


@pytest.fixture(autouse=True)
def plain_names(monkeypatch):
    digests = {"rooms_building": "INDEX", "rooms_room": "KEY"}
    monkeypatch.setattr(composite, "names_digest", lambda table, *_, **__: digests.get(table))


def test_the_reference_and_the_site_refer_to_the_key_and_the_site(written):
    assert written(KEY) == ADDED
    assert written(SiteForeignKey("rooms.Room", "building"), app="other") == ADDED


def test_it_is_taken_away_with_its_index_unless_that_is_needed(written):
    removed = written(KEY, backwards=True)
    assert removed == written(RemoveSiteForeignKey("room", "building"))
    assert removed[0] == (
        'ALTER TABLE "rooms_room" DROP CONSTRAINT IF EXISTS "rooms_room_building_id_KEY_site_fk";'
    )
    assert "DROP INDEX" in removed[1]
    assert written(RemoveSiteForeignKey("room", "building"), backwards=True) == ADDED


def test_mysql_has_its_own_words(written):
    added = written(KEY, "mysql")
    assert not any("IF NOT EXISTS" in line or "DEFERRABLE" in line for line in added)
    (removed,) = written(KEY, "mysql", backwards=True)
    assert "DROP FOREIGN KEY" in removed


def test_sqlite_says_that_it_cannot(written):
    assert written(KEY, "sqlite") == ["-- This database cannot: the guard alone refuses."]


def test_fields_of_other_names_are_named(written):
    operation = SiteForeignKey("booking", "room", site="venue")
    assert '("venue_id", "room_id")' in written(operation)[1]


def test_rows_that_may_be_shared_cannot_be_held_to_a_site(written):
    with pytest.raises(CommandError, match=r"rooms\.Tag may be shared by all sites"):
        written(SiteForeignKey("room", "tag"))


def test_other_databases_are_left_alone(written, settings):
    class Nowhere:
        def allow_migrate(self, *args, **hints):
            return False

    settings.DATABASE_ROUTERS = [Nowhere()]
    assert written(KEY) == []


def test_operations_can_be_written_into_a_migration_and_say_what_they_do():
    migration = Migration("0002", "rooms")
    migration.operations = [
        SiteForeignKey("room", "building"),
        RemoveSiteForeignKey("booking", "room", site="venue", target_site="place"),
    ]
    text = MigrationWriter(migration).as_string()
    assert "import sitefleet.scoping.composite" in text
    assert "SiteForeignKey('room', 'building')" in " ".join(text.split()).replace("( ", "(") or (
        "model_name='room'" in text
    )
    assert "site='venue'" in text
    assert [operation.describe() for operation in migration.operations] == [
        "Let the database hold room.building to the site",
        "No longer let the database hold booking.room to the site",
    ]
    assert migration.suggest_name() == "site_room_building_no_site_booking_room"
