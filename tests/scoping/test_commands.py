"""Commands act on one site's rows, or say why on all; Django's own machinery goes on working."""

import getpass
import json
import logging

import pytest
from django.contrib.contenttypes.models import ContentType
from django.contrib.sites.models import Site
from django.core.management import base, call_command
from django.db import connection

from sitefleet import override_site
from sitefleet.exceptions import SiteRequired
from sitefleet.management import crossing, execute_from_command_line
from sitefleet.scoping import cross_site
from tests.rooms.models import Booking, Building, Key, Person, Room, Tag

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_default")]


@pytest.fixture
def sites():
    pair = [Site.objects.create(domain=f"{name}.test", name=name) for name in "ab"]
    for site in pair:
        with override_site(site):
            building = Building.objects.create(name=f"house {site.name}")
            room = Room.objects.create(name=f"room {site.name}", building=building)
            room.guests.add(Person.objects.create(name=f"guest {site.name}"))
            Key.objects.create(room=room)
            Booking.objects.create(code=site.name, room=room)
    return pair


@pytest.fixture
def manage(capsys, monkeypatch):
    # A command closes its connections when it ends: this one is the test's.
    monkeypatch.setattr(base.connections, "close_all", lambda: None)

    def run(*words):
        capsys.readouterr()
        try:
            execute_from_command_line(["manage.py", *words])
            status = 0
        except SystemExit as end:
            status = end.code or 0
        out, err = capsys.readouterr()
        return status, out, err

    return run


def all_rows():
    with cross_site("test"):
        return {
            model: list(model.objects.order_by("pk").values())
            for model in (Booking, Building, Room, Tag)
        }


# --- dumpdata ------------------------------------------------------------------------------------


def test_a_dump_without_a_site_is_refused_and_names_the_ways_out(manage, sites):
    status, out, err = manage("dumpdata", "rooms")
    assert status == 1
    assert "rooms.tag" not in out
    assert "rooms.Tag" in err
    assert "--site=SLUG" in err
    assert "--cross-site=REASON" in err
    assert "Traceback" not in err


def test_a_dump_of_a_site_has_its_rows_alone(manage, sites):
    status, out, _ = manage(
        "dumpdata", "rooms.room", "rooms.key", "rooms.building", "--site=b.test"
    )
    rows = json.loads(out)
    assert status == 0
    names = {row["fields"]["name"] for row in rows if "name" in row["fields"]}
    assert names == {"room b", "house b"}


@pytest.mark.parametrize("way", ["-a", "--natural-foreign"])
def test_a_dump_past_the_managers_too(manage, sites, way):
    _, out, _ = manage("dumpdata", "rooms.room", "rooms.booking", "--site=b.test", way)
    rows = json.loads(out)
    assert {row["fields"].get("name", "room b") for row in rows} == {"room b"}
    assert len(rows) == 2


def test_a_dump_of_all_sites_says_why_and_by_whom(manage, sites, caplog):
    with caplog.at_level(logging.INFO, "sitefleet.cross_site"):
        status, out, _ = manage("dumpdata", "rooms.room", "--cross-site", "nightly copy")
    assert status == 0
    assert {row["fields"]["name"] for row in json.loads(out)} == {"room a", "room b"}
    (told,) = [record for record in caplog.records if record.reason == "nightly copy"]
    assert told.by == f"{getpass.getuser()} (manage.py dumpdata)"
    with pytest.raises(SiteRequired):
        Room.objects.count()


@pytest.mark.parametrize(
    "words",
    [
        ["--cross-site=copy", "dumpdata", "rooms.room"],
        ["--cross-site", "copy", "dumpdata", "rooms.room"],
        ["dumpdata", "rooms.room", "--cross-site=copy"],
        ["dumpdata", "--cross-site", "copy", "rooms.room"],
    ],
    ids=" ".join,
)
def test_the_option_may_stand_anywhere(manage, sites, words):
    status, out, _ = manage(*words)
    assert (status, len(json.loads(out))) == (0, 2)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--cross-site="], "needs a reason"),
        (["--cross-site", " "], "needs a reason"),
        (["--cross-site"], "needs a reason"),
        (["--cross-site=x", "--site=a.test"], "exclude each other"),
    ],
    ids=str,
)
def test_without_a_reason_or_beside_a_site_it_is_a_wrong_call(manage, sites, words, told):
    status, out, err = manage("dumpdata", "rooms.room", *words)
    assert (status, out) == (2, "")
    assert told in err


def test_help_names_the_option(manage):
    assert "--cross-site REASON" in manage("dumpdata", "--help")[1]


def test_the_default_site_is_dumped_where_there_is_one(manage, sites, settings):
    settings.SITE_ID = sites[0].pk
    _, out, err = manage("dumpdata", "rooms.room")
    assert [row["fields"]["name"] for row in json.loads(out)] == ["room a"]
    assert "Acting on a" in err
    _, out, err = manage("dumpdata", "rooms.room", "--cross-site=copy")
    assert len(json.loads(out)) == 2
    assert "Acting on" not in err


def test_a_user_without_a_name_is_told_by_its_number(manage, sites, caplog, monkeypatch):
    def nobody():
        raise OSError

    monkeypatch.setattr(crossing.getpass, "getuser", nobody)
    with caplog.at_level(logging.INFO, "sitefleet.cross_site"):
        manage("dumpdata", "rooms.room", "--cross-site=copy")
    assert "uid" in caplog.text


def test_a_traceback_is_shown_to_who_asks_for_it(manage, sites):
    with pytest.raises(SiteRequired):
        manage("dumpdata", "rooms.room", "--traceback")


# --- loaddata ------------------------------------------------------------------------------------


@pytest.fixture
def dump(manage, sites, tmp_path):
    """A file with the rows of site B, one of which has changed."""
    status, out, _ = manage("dumpdata", "rooms.building", "rooms.room", "--site=b.test")
    assert status == 0
    path = tmp_path / "b.json"
    path.write_text(out.replace("house b", "palace b"))
    return str(path)


def test_loading_without_a_site_is_refused_and_nothing_is_written(manage, dump):
    before = all_rows()
    status, out, err = manage("loaddata", dump)
    assert (status, out) == (1, "")
    assert "--site=SLUG" in err
    assert "--cross-site=REASON" in err
    assert all_rows() == before


def test_loading_what_is_of_another_site_is_refused_and_nothing_is_written(manage, dump):
    before = all_rows()
    status, out, err = manage("loaddata", dump, "--site=a.test")
    assert (status, out) == (1, "")
    assert "rooms.Building" in err
    assert "Traceback" not in err
    assert all_rows() == before


@pytest.mark.parametrize("words", [["--site=b.test"], ["--cross-site=restored"]], ids=str)
def test_loading_onto_the_right_site_writes(manage, sites, dump, words):
    assert manage("loaddata", dump, *words)[0] == 0
    with override_site(sites[1]):
        assert Building.objects.get().name == "palace b"
    with override_site(sites[0]):
        assert Building.objects.get().name == "house a"


def test_fixtures_without_rows_of_sites_need_no_site(manage, tmp_path):
    path = tmp_path / "people.json"
    path.write_text('[{"model": "rooms.person", "pk": 900, "fields": {"name": "Ada"}}]')
    assert manage("loaddata", str(path))[0] == 0


# --- the rest of Django --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ["check"],
        ["migrate", "-v0"],
        ["migrate", "--fake", "sites", "-v0"],
        ["makemigrations", "--check", "--dry-run", "sitefleet"],
        ["showmigrations", "-v0"],
        ["createcachetable"],
        ["inspectdb", "rooms_room", "rooms_booking"],
        ["sqlsequencereset", "rooms"],
        ["sqlflush"],
        ["clearsessions"],
        ["diffsettings"],
        ["remove_stale_contenttypes", "--no-input"],
    ],
    ids=" ".join,
)
def test_commands_of_django_need_no_site(manage, sites, words):
    status, out, err = manage(*words)
    assert status == 0, err
    assert "Unable to inspect" not in out


def test_stale_content_types_go_with_what_refers_to_them_on_all_sites(manage, sites, caplog):
    stale = ContentType.objects.create(app_label="rooms", model="gone")
    with caplog.at_level(logging.INFO, "sitefleet.cross_site"):
        status, _, _ = manage("remove_stale_contenttypes", "--no-input")
    assert status == 0
    assert not ContentType.objects.filter(pk=stale.pk).exists()
    assert "content types" in caplog.text


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("default", [False, True])
def test_flush_empties_the_tables_of_all_sites(sites, settings, default, caplog):
    if default:
        settings.SITE_ID = sites[0].pk
    with caplog.at_level(logging.INFO, "sitefleet.cross_site"):
        call_command("flush", interactive=False, verbosity=0)
    assert "all tables are emptied" in caplog.text
    assert not any(all_rows().values())


@pytest.mark.parametrize("default", [False, True])
def test_the_rows_that_tests_start_with_are_those_of_all_sites(sites, settings, default):
    if default:
        settings.SITE_ID = sites[0].pk
    before = all_rows()
    text = connection.creation.serialize_db_to_string()
    with cross_site("test"):
        for model in (Booking, Key, Room, Building):
            model.objects.all().delete()
    connection.creation.deserialize_db_from_string(text)
    assert all_rows() == before
    settings.SITE_ID = None
    with pytest.raises(SiteRequired):
        Room.objects.count()
