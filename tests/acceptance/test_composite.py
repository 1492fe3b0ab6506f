"""Foreign keys and constraints that include the site, in databases that have them."""

import subprocess
import sys

import pytest
from django.contrib.sites.models import Site
from django.db import connection, models
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.questioner import MigrationQuestioner
from django.db.migrations.state import ModelState, ProjectState

from sitefleet.scoping import SiteField
from sitefleet.scoping.constraints import include_site
from sitefleet.scoping.constraints.checks import check_references
from sitefleet.scoping.outside import Spec
from tests.acceptance.composite_keys import KEYS, run, try_all
from tests.acceptance.processes import ROOT, environment_for
from tests.acceptance.test_mariadb import mariadb, prelude  # noqa: F401 - fixtures
from tests.scoping.madeup import apps_of_their_own

pytestmark = pytest.mark.acceptance


def names(*tables):
    with connection.cursor() as cursor:
        known = [connection.introspection.get_constraints(cursor, table) for table in tables]
    return {name for found in known for name in found if name.endswith(("_site_fk", "_site_uniq"))}


def test_postgresql_refuses_references_to_rows_of_another_site(postgres):
    before = names("rooms_room", "rooms_building", "rooms_booking")
    try_all()
    assert before == names("rooms_room", "rooms_building", "rooms_booking") == set()


def test_keys_to_one_table_share_an_index_until_the_last_is_gone(postgres):
    run(KEYS[1])
    (index,) = names("rooms_room")
    with connection.schema_editor() as editor:
        editor.execute(
            "ALTER TABLE rooms_key ADD FOREIGN KEY (number, room_id)"
            " REFERENCES rooms_room (site_id, id)"
        )
    run(KEYS[1], backwards=True)
    assert names("rooms_room") == {index}
    run(KEYS[1])
    assert names("rooms_room") == {index}


def test_with_row_level_security_the_check_tells_what_is_missing(postgres, settings):
    settings.SITEFLEET = {"RLS": "transaction"}
    (message,) = check_references(["default"])
    assert message.id == "sitefleet.W426"
    assert "rooms.Room.building" in message.msg
    assert "rooms.Booking.room" in message.msg
    assert "rooms.Room.tag" not in message.msg
    assert "SiteForeignKey(" in message.hint
    for key in KEYS:
        run(key)
    assert not any("rooms." in each.msg for each in check_references(["default"]))


class _Questioner(MigrationQuestioner):
    def ask_not_null_addition(self, *_):
        return 1


def test_what_was_unique_keeps_an_index_to_search_by(postgres, monkeypatch):
    """The operations that Django finds for such a model, done by PostgreSQL."""
    monkeypatch.setitem(globals(), "__name__", "tests.rooms.models")
    with apps_of_their_own():

        class Talk(models.Model):  # noqa: DJ008 - never shown
            slug = models.SlugField(unique=True)
            code = models.CharField(max_length=5, unique=True)
            room = models.CharField(max_length=5)

            class Meta:
                unique_together = [("room", "code")]

        def state():
            known = ProjectState()
            known.add_model(ModelState.from_model(Site))
            known.add_model(ModelState.from_model(Talk))
            return known

        before = state()
        with connection.schema_editor() as editor:
            editor.create_model(before.apps.get_model("rooms", "Talk"))
        SiteField(related_name="+").contribute_to_class(Talk, "site")
        include_site(Talk, Spec("rooms.Talk"))
        changes = MigrationAutodetector(before, state(), _Questioner())._detect_changes()
    done = before
    for operation in [each for step in changes["rooms"] for each in step.operations]:
        after = done.clone()
        operation.state_forwards("rooms", after)
        with connection.schema_editor() as editor:
            operation.database_forwards("rooms", editor, done, after)
        done = after
    with connection.cursor() as cursor:
        known = connection.introspection.get_constraints(cursor, "rooms_talk").values()
    unique = sorted(
        each["columns"] for each in known if each["unique"] and len(each["columns"]) > 1
    )
    assert unique == [["site_id", "code"], ["site_id", "room", "code"], ["site_id", "slug"]]
    assert not [
        each for each in known if each["unique"] and each["columns"] in (["slug"], ["code"])
    ]
    # One for =, one for LIKE 'a%'.
    assert len([each for each in known if each["index"] and each["columns"] == ["slug"]]) == 2


def test_mariadb_refuses_references_to_rows_of_another_site(mariadb, prelude):  # noqa: F811
    code = f"""{prelude}
import django
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from tests.acceptance.composite_keys import try_all
try_all()
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment_for(mariadb),
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
