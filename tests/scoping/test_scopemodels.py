"""``manage.py scopemodels``, as far as no model has to be made for it; the rest is acceptance."""

import json
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection
from django.db.migrations.migration import Migration
from django.db.migrations.recorder import MigrationRecorder

from sitefleet import override_site
from sitefleet.scoping import cross_site
from sitefleet.scoping.operations import ForgetSite, InApp
from sitefleet.scoping.outside import mapping, steps
from sitefleet.scoping.outside.writer import Changes, new_loader
from tests.rooms.models import Booking


@pytest.fixture
def conf(world, settings):
    """Bookings have a site of their own making, and rooms a field that is one."""
    models = {
        "rooms.Booking": {"add": False, "field": "venue", "unique": "keep"},
        "rooms.Room": {"add": False, "unique": "keep"},
        "rooms.Notice": {"add": False, "field": "sites", "unique": "keep"},
    }
    settings.SITEFLEET = {"SCOPED_MODELS": models, "SCOPED_APP": "news"}
    return settings


@pytest.fixture
def read(conf, tmp_path):
    def from_file(content, name="sites.json"):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return mapping.read(path)

    return from_file


def refused(*arguments):
    with pytest.raises(CommandError) as caught:
        call_command("scopemodels", *arguments)
    return caught.value.returncode, str(caught.value)


def test_nothing_missing_is_said_with_status_zero(conf, capsys):
    call_command("scopemodels", "--check")
    call_command("scopemodels", "--check", "--json")
    call_command("scopemodels")
    said = capsys.readouterr().out
    assert "No migration is missing." in said
    assert '"missing": []' in said
    assert "Nothing to do" in said


def test_wrong_usage_has_status_two(conf):
    assert refused("--forget") == (2, "--forget goes with --remove.")


def test_models_that_cannot_have_a_site_are_refused_as_the_checks_do(settings):
    settings.SITEFLEET = {"SCOPED_MODELS": ["rooms.Persn"]}
    status, text = refused()
    assert status == 1
    assert "Did you mean 'rooms.Person'?" in text


def test_settings_that_cannot_be_used_are_a_line(settings):
    settings.SITEFLEET = {"SCOPED_MODELS": 3}
    assert "SCOPED_MODELS" in refused()[1]


def test_what_is_saved_is_read_again(conf, tmp_path, world):
    path = tmp_path / "kept.csv"
    call_command("scopemodels", "--save", str(path))
    lines = path.read_text().splitlines()
    assert lines[0] == "model,pk,site"
    rows = mapping.read(path)["rooms.booking"]["rows"]
    for slug, keys in rows.items():
        with override_site(mapping.get_site(slug)):
            kept = Booking.objects.filter(pk__in=keys).values_list("pk", flat=True)
            assert sorted(map(str, kept)) == sorted(keys)
    assert len(rows) == 2
    assert "File exists" in refused("--save", str(path))[1]


def slugs():
    return list(mapping.SiteConfig.objects.order_by("pk").values_list("slug", flat=True))


def test_a_mapping_says_key_value_parent_and_default(read):
    a, b = slugs()[-2:]
    given = read(
        {
            "default": a,
            "rooms.Booking": {"follow": "room", "rows": {"7": b}},
            "rooms.Room": {"field": "building__name", "values": {"X": a, "Y": b}, "default": b},
        }
    )
    assert given["rooms.booking"] == {"rows": {b: ["7"]}, "follow": ("room", "site"), "default": a}
    assert given["rooms.room"] == {
        "by": "building__name", "values": {a: ["X"], b: ["Y"]}, "default": b,
    }  # fmt: skip
    assert given["rooms.notice"] == {"default": a}
    order = list(mapping.in_order(given))
    assert order.index("rooms.room") < order.index("rooms.booking")


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("{", "cannot be read"),
        ("[]", "is no object"),
        ({"rooms.Tag": {}}, "SCOPED_MODELS"),
        ({"rooms.Room": 3}, "takes an object"),
        ({"rooms.Room": {"colour": 3}}, "takes an object"),
        ({"rooms.Room": {"rows": ["1"]}}, "expected an object"),
        ({"rooms.Room": {"rows": {"x": "SITE"}}}, "cannot be asked for 'pk'"),
        ({"rooms.Room": {"field": "colour", "values": {"x": "SITE"}}}, "cannot be asked"),
        ({"rooms.Room": {"values": {"x": "SITE"}}}, "go together"),
        ({"rooms.Room": {"follow": "name"}}, "no foreign key"),
        ({"rooms.Room": {"follow": "owner"}}, "no foreign key"),
        ({"default": "nowhere"}, "nowhere"),
    ],
    ids=range(12),
)
def test_a_mapping_that_cannot_be_used_is_a_line(read, content, part):
    text = content if isinstance(content, str) else json.dumps(content)
    with pytest.raises(Exception, match=part) as caught:
        read(text.replace("SITE", slugs()[-1]))
    assert type(caught.value).__name__ in {"CommandError", "UnknownSite"}


@pytest.mark.parametrize("text", ["", "pk,site\n", "model,pk,site\nrooms.Room,1\n"], ids=range(3))
def test_a_csv_file_of_another_form_is_a_line(read, text):
    with pytest.raises(CommandError, match="cannot be read"):
        read(text, "sites.csv")


def test_models_that_follow_each_other_in_a_ring_are_refused(conf, monkeypatch):
    monkeypatch.setattr(mapping, "_followed", lambda _, rule: rule["follow"])
    ring = {"rooms.room": {"follow": "rooms.booking"}, "rooms.booking": {"follow": "rooms.room"}}
    with pytest.raises(CommandError, match="These follow each other in a ring"):
        list(mapping.in_order(ring))


def test_all_rows_may_be_of_one_site(conf):
    slug = slugs()[-1]
    assert mapping.all_to(slug)["rooms.room"] == {"default": slug}


def test_migrations_are_read_without_a_database(django_assert_num_queries, db):
    with django_assert_num_queries(0):
        assert isinstance(new_loader().project_state().models, dict)
    assert not Changes(None, [], [], [])


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ({"rooms.Room": {"field": "name"}}, "go together"),
        ({"rooms.Room": {"rows": {"1": "SITE", "01": "SITE"}}}, "are the same row"),
        ('{"rooms.Room": {"rows": {"1": "SITE", "1": "x"}}}', "'1' stands there twice"),
        ({"rooms.Room": {}, "rooms.room": {}}, "names a model twice"),
        ({"rooms.Room": {"follow": ["building"]}}, "no foreign key"),
        ({"rooms.Room": {"follow": {"building": "site"}}}, "no foreign key"),
        ({"rooms.Room": {"follow": "bookings"}}, "no foreign key"),
    ],
    ids=range(7),
)
def test_what_a_mapping_says_in_vain_is_refused(read, content, part):
    text = content if isinstance(content, str) else json.dumps(content)
    with pytest.raises(CommandError, match=part):
        read(text.replace("SITE", slugs()[-1]))


def test_many_to_many_fields_are_not_followed(read, monkeypatch):
    many = SimpleNamespace(concrete=True, many_to_many=True, related_model=Booking)
    monkeypatch.setattr(Booking._meta, "get_field", lambda _: many)
    with pytest.raises(CommandError, match="no foreign key"):
        read({"rooms.Booking": {"follow": "guests"}})


def test_csv_files_of_excel_and_labels_of_any_case_are_read(read):
    a = slugs()[-1]
    text = f"\ufeffmodel,pk,site\nrooms.Room,1,{a}\nrooms.room,2,{a}\nrooms.ROOM,1,{a}\n"
    assert read(text, "sites.csv")["rooms.room"] == {"rows": {a: ["1", "2"]}}
    with pytest.raises(CommandError, match=r"line 5 gives row 1 of .* another site"):
        read(f"{text}rooms.Room,1,other\n", "sites.csv")


def test_keys_that_no_row_has_are_refused_where_there_are_rows(read):
    given = read(
        {"rooms.Booking": {"rows": dict.fromkeys(map(str, range(9990, 9999)), slugs()[0])}}
    )
    with pytest.raises(CommandError, match=r"no rows of these keys: 9990, .* and 4 more") as caught:
        mapping.refuse_unknown(given)
    assert caught.value.returncode == 1
    with cross_site("test"):
        key = str(Booking.objects.values_list("pk", flat=True)[0])
        mapping.refuse_unknown(read({"rooms.Booking": {"rows": {key: slugs()[0]}}}))
        Booking.objects.all().delete()
    mapping.refuse_unknown(given)


def test_a_file_that_cannot_be_saved_whole_is_not_there(conf, tmp_path, monkeypatch):
    def fail(file):
        file.write("half")
        raise DatabaseError("gone")

    monkeypatch.setattr(mapping.csv, "writer", fail)
    assert "gone" in refused("--save", str(tmp_path / "kept.csv"))[1]
    assert list(tmp_path.iterdir()) == []


def test_with_verbosity_zero_nothing_is_said(conf, capsys, tmp_path):
    call_command("scopemodels", "--verbosity", "0")
    call_command("scopemodels", "--check", "--verbosity", "0")
    call_command("scopemodels", "--save", str(tmp_path / "kept.csv"), "--verbosity", "0")
    assert capsys.readouterr().out == ""


def test_json_of_what_is_missing_comes_with_a_line_for_people(conf, monkeypatch, capsys):
    found = Changes(None, [], ["talks"], [])
    monkeypatch.setattr("sitefleet.management.commands.scopemodels.find_changes", lambda _: found)
    assert refused("--check", "--json") == (1, "Migrations are missing.")
    assert json.loads(capsys.readouterr().out)["missing"] == ["talks: has no migrations"]


FORGET = """
            operation=sitefleet.scoping.operations.ForgetSite(
                model_name='talk',
"""


@pytest.mark.parametrize("options", [[], ["--dry-run"]], ids=["written", "dry"])
def test_a_migration_that_is_not_run_forgets_what_it_refused_to(
    conf, monkeypatch, capsys, tmp_path, options
):
    path = tmp_path / "0004_sites_removed.py"
    path.write_text(FORGET)
    migration = Migration("0004_sites_removed", "news")
    migration.operations = [InApp("talks", ForgetSite("talk", "site"))]
    loader = SimpleNamespace(disk_migrations={("news", migration.name): migration})
    monkeypatch.setattr(steps, "path_of", lambda _: path)
    assert steps.let_forget(loader, "other") == {}
    monkeypatch.setattr(
        "sitefleet.management.commands.scopemodels.let_forget",
        lambda _, *said: steps.let_forget(loader, *said),
    )
    site = slugs()[-1]
    call_command("scopemodels", "--remove", "--forget", "--site", site, *options)
    said = capsys.readouterr().out
    if options:
        assert path.read_text() == FORGET
        assert "Would change" in said
        return
    assert f"several=True, default='{site}', model_name='talk'" in path.read_text()
    assert "Now run `manage.py migrate`." in said
    # Written by hand, or half of it: it says what to write.
    path.write_text("ForgetSite('talk', 'site')")
    assert "Write several=True into each ForgetSite(...)" in refused("--remove", "--forget")[1]
    MigrationRecorder(connection).record_applied("news", migration.name)
    assert steps.let_forget(loader, "news") == {}


def test_without_a_database_nothing_counts_as_run(monkeypatch, db):
    def gone(_):
        raise DatabaseError

    monkeypatch.setattr(MigrationRecorder, "applied_migrations", gone)
    assert steps.let_forget(SimpleNamespace(disk_migrations={}), "news") == {}
