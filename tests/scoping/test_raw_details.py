"""Raw SQL: migrations, the setting, how names of tables are found, and Django's own SQL."""

import logging

import pytest
from django.db import connection, models
from django.db.migrations import Migration, RunPython, RunSQL
from django.db.migrations.state import ProjectState

from sitefleet import override_site
from sitefleet.exceptions import SiteRequired
from sitefleet.scoping.guard import raw
from sitefleet.scoping.scopes import scopes
from tests.rooms.models import Key, Room

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_default")]


def run(sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall() if cursor.description else cursor.rowcount


# --- migrations ----------------------------------------------------------------------------------


def migrate(*operations):
    migration = Migration("0002", "rooms")
    migration.operations = list(operations)
    # Not entered: SQLite does that outside of transactions only.
    migration.apply(ProjectState(), connection.schema_editor())


def test_migrations_are_free_and_only_they(sites):
    seen = []
    migrate(
        RunSQL("UPDATE rooms_room SET size = 7"),
        RunPython(lambda _apps, _editor: seen.extend(run("SELECT size FROM rooms_room"))),
    )
    assert seen == [(7,), (7,)]
    with pytest.raises(SiteRequired):
        run("SELECT 1 FROM rooms_room")


def test_migrations_are_free_backwards_too(sites):
    migration = Migration("0002", "rooms")
    migration.operations = [RunSQL("SELECT 1", "UPDATE rooms_room SET size = 8")]
    migration.unapply(ProjectState(), connection.schema_editor())
    assert not Room.objects.filter(site=sites[0]).exclude(size=8).exists()
    with pytest.raises(SiteRequired):
        run("SELECT 1 FROM rooms_room")


def test_after_a_migration_that_fails_nothing_is_free(sites):
    def fail(apps, editor):
        run("SELECT 1 FROM rooms_room")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        migrate(RunPython(fail))
    with pytest.raises(SiteRequired):
        run("SELECT 1 FROM rooms_room")


def test_models_as_they_are_now_stay_guarded_in_migrations(sites):
    with pytest.raises(SiteRequired):
        migrate(RunPython(lambda _apps, _editor: Room.objects.count()))


# --- the setting ---------------------------------------------------------------------------------


def test_by_a_setting_it_is_allowed(sites, settings):
    settings.SITEFLEET = {"RAW_SQL": "allow"}
    assert run("SELECT count(*) FROM rooms_room") == [(2,)]


def test_by_a_setting_it_is_warned_of_with_the_place(sites, settings, caplog):
    settings.SITEFLEET = {"RAW_SQL": "warn"}
    with caplog.at_level(logging.WARNING, "sitefleet.raw_sql"):
        assert run("SELECT count(*) FROM rooms_room") == [(2,)]
    (record,) = caplog.records
    assert "rooms_room" in record.getMessage()
    assert "test_raw_details.py" in record.stack_info


def test_with_everything_taken_back_sql_is_sql(sites):
    raw.uninstall()
    try:
        assert run("SELECT count(*) FROM rooms_room") == [(2,)]
        assert "copy" not in vars(type(connection.cursor()))
    finally:
        raw.install()
    with pytest.raises(SiteRequired):
        run("SELECT count(*) FROM rooms_room")


# --- details -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "sql"),
    [
        ('office"."room', 'SELECT * FROM "office"."room"'),
        ("office.room", "SELECT * FROM office.room"),
        ("the rooms", 'SELECT * FROM "the rooms"'),
        ("räume", "SELECT * FROM RÄUME"),
        ("room", "SELECT * FROM `room`"),
        ("room", "SELECT * FROM [room]"),
    ],
)
def test_names_of_tables_may_be_anything(table, sql):
    assert raw.Finder([table]).find(sql)


def test_long_texts_are_searched_and_not_remembered():
    finder = raw.Finder(["room"])
    assert finder.find("SELECT 1 FROM room".ljust(raw.LONGEST + 1))
    assert not finder._remember.cache_info().currsize
    for number in range(raw.REMEMBERED + 10):
        finder.find(f"SELECT {number}")
    assert finder._remember.cache_info().currsize == raw.REMEMBERED


@pytest.mark.parametrize(
    "sql", ["SELECT my_room, room.id", 'SELECT room_2, "room" . "id"', "SELECT room$, room.id"]
)
def test_columns_and_longer_names_are_told_apart(sql):
    assert not raw.Finder(["room"]).find(sql)
    assert not raw.Finder(["room", "the rooms"]).find(sql)


def test_bytes_are_read_too(sites):
    with pytest.raises(SiteRequired):
        raw.look_at(b"SELECT * FROM\nrooms_room", connection)


def test_a_table_that_is_guarded_later_is_found_too(sites, monkeypatch):
    run("SELECT 1 FROM rooms_person")
    later = {**scopes.tables, "rooms_person": scopes.tables["rooms_room"]}
    monkeypatch.setattr(scopes, "tables", later)
    with pytest.raises(SiteRequired):
        run("SELECT 1 FROM rooms_person")


# --- Django's own machinery ----------------------------------------------------------------------


def test_columns_and_constraints_can_be_looked_at(sites):
    with override_site(sites[0]):
        Key.objects.create(room=Room.objects.get())
    with connection.cursor() as cursor:
        look = connection.introspection
        assert look.get_table_description(cursor, "rooms_room")
        assert look.get_constraints(cursor, "rooms_room")
        assert look.get_relations(cursor, "rooms_room")
        assert look.get_sequences(cursor, "rooms_room")
    connection.check_constraints()
    connection.check_constraints(table_names=["rooms_room", "rooms_key"])


def test_a_schema_editor_may_do_its_work():
    field = models.IntegerField(null=True)
    field.set_attributes_from_name("later")
    if connection.vendor == "sqlite":
        return  # it cannot, inside of a transaction with foreign keys
    with connection.schema_editor() as editor:
        editor.add_field(Room, field)
        editor.remove_field(Room, field)
