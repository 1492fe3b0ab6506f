"""``--site`` on every command: which site, from where, and nothing left over."""

import json
import os
import sqlite3

import pytest
from django.core.management import get_commands
from django.test import override_settings
from django.urls import get_script_prefix, reverse

from sitefleet.current import active_site_id
from sitefleet.lookup import get_site
from sitefleet.management.acting import FLEET_WIDE, WORKERS, _tell_foreign_rows, take_option
from sitefleet.registry import add_alias, add_site
from sitefleet.sync import sync

#: It goes through all that a command can be told, for seconds: the default tests have a minute.
pytestmark = pytest.mark.acceptance


@pytest.mark.parametrize(
    "key",
    ["id", "two", "TWO", "two.example.org", "TWO.example.org.", "old.example.org", "münchen.de"],
)
@pytest.mark.parametrize("words", [["--site", "KEY"], ["--site=KEY"]], ids=["apart", "joined"])
def test_a_site_is_named_by_id_slug_domain_alias_or_international_name(
    manage, site, other_site, key, words
):
    add_alias(other_site, "old.example.org")
    add_alias(other_site, "münchen.de")
    key = str(other_site.pk) if key == "id" else key
    told = manage("tell", *[word.replace("KEY", key) for word in words]).json
    assert told["site"] == "Two"


@pytest.mark.parametrize(
    "words",
    [
        ["--site=two", "tell", "a", "b"],
        ["--site", "two", "tell", "a", "b"],
        ["tell", "--site=two", "a", "b"],
        ["tell", "a", "--site", "two", "b"],
        ["tell", "a", "b", "--site=two"],
        ["tell", "a", "b", "--site", "two", "-v0"],
    ],
    ids=" ".join,
)
def test_it_may_stand_anywhere(manage, site, other_site, words):
    told = manage(*words).json
    assert (told["site"], told["words"]) == ("Two", ["a", "b"])


def test_what_stands_behind_two_hyphens_is_the_commands_own(manage, site, other_site):
    told = manage("tell", "--site=two", "--", "--site=one").json
    assert (told["site"], told["words"]) == ("Two", ["--site=one"])
    assert manage("tell", "--", "--site=one").json["words"] == ["--site=one"]


@pytest.mark.parametrize(
    ("argv", "key", "rest"),
    [
        (["m", "c"], None, ["m", "c"]),
        (["m", "c", "--site"], "", ["m", "c"]),
        (["m", "c", "--site="], "", ["m", "c"]),
        (["m", "c", "--site=a=b"], "a=b", ["m", "c"]),
        (["m", "c", "--sitemap", "x"], None, ["m", "c", "--sitemap", "x"]),
        (["m", "c", "--site=a", "--site=b"], "b", ["m", "c"]),
        (["m", "c", "--", "--site=a"], None, ["m", "c", "--", "--site=a"]),
    ],
)
def test_the_option_is_taken_out_of_the_command_line(argv, key, rest):
    assert take_option(argv) == (key, rest)


def test_everything_in_the_command_follows(manage, site, other_site):
    assert manage("tell", "--site=two").json == {
        "words": [],
        "site": "Two",
        "setting": other_site.pk,
        "reverse": "/site/",
        "url": "https://two.example.org/",
        "environment": "two",
    }


def test_below_a_path_prefix_reverse_has_the_prefix(manage, fleet):
    told = manage("tell", "--site=de").json
    assert told["reverse"] == "/de/site/"
    assert told["url"] == "https://one.example.org/de/"


def test_outside_of_live_there_is_no_prefix(manage, fleet):
    with override_settings(SITEFLEET={"DOMAIN_FORMAT": "{slug}.localhost:8000"}):
        told = manage("tell", "--site=de").json
    assert told["reverse"] == "/site/"
    assert told["url"] == "https://de.localhost:8000/"


@pytest.mark.parametrize("way", ["", "raise", "refuse", "exit"])
@pytest.mark.parametrize("before", [None, "one"])
def test_nothing_is_left_over_however_the_command_ends(manage, fleet, monkeypatch, way, before):
    if before:
        monkeypatch.setenv("SITEFLEET_SITE", before)
    words = ("misbehave", "--site=de", "DE", way)
    if way == "raise":
        with pytest.raises(RuntimeError, match="on purpose"):
            manage(*words)
    else:
        assert manage(*words).status == {"": 0, "refuse": 7, "exit": 3}[way]
    assert os.environ.get("SITEFLEET_SITE") == before
    assert active_site_id() is None
    assert (get_script_prefix(), reverse("site")) == ("/", "/site/")


def test_a_command_with_its_own_option_keeps_it(manage, site, other_site, monkeypatch):
    assert manage("own_site", "--site=whatever").out == "own whatever, current None\n"
    assert manage("--site=whatever", "own_site").out == "own whatever, current None\n"
    monkeypatch.setenv("SITEFLEET_SITE", "two")
    assert manage("own_site").out == "own none, current None\n"


def test_the_help_of_every_command_names_the_option_once(manage, db):
    assert "--site SITE act on this site" in " ".join(manage("tell", "--help").out.split())
    assert "act on this site" in manage("help", "tell").out
    assert "act on this site" not in manage("own_site", "--help").out


# --- unknown sites -----------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("oone", "'oone' (from --site). Did you mean one"),
        ("one.exmaple.org", "Did you mean one.example.org"),
        ("999", "No site has"),
        ("9" * 30, "No site has"),
        ("x" * 10_000, "No site has"),
        ("日本", "No site has"),
        ("a b", "No site has"),
        ("", "--site needs the id, slug or domain"),
        ("\udcff", "encode"),
    ],
    ids=lambda value: repr(value)[:12],
)
def test_an_unknown_site_is_an_error_and_nothing_is_run(manage, site, key, reason):
    ended = manage("tell", f"--site={key}")
    assert (ended.status, ended.out) == (2, "")
    assert reason in ended.err
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize("words", [["tell", "--site"], ["--site", "tell"], ["--site=one"]])
def test_an_option_without_a_site_or_a_command_runs_nothing(manage, site, words):
    ended = manage(*words)
    assert ended.status != 0
    assert ended.out == ""


# --- by default --------------------------------------------------------------


def test_the_environment_names_a_site_and_it_is_told(manage, site, other_site, monkeypatch):
    monkeypatch.setenv("SITEFLEET_SITE", "two.example.org")
    ended = manage("tell")
    assert ended.json["site"] == "Two"
    assert ended.err == "Acting on Two (two), by SITEFLEET_SITE. Another site: --site=SLUG\n"


def test_an_unknown_site_in_the_environment_stops_too(manage, site, monkeypatch):
    monkeypatch.setenv("SITEFLEET_SITE", "oone")
    ended = manage("tell")
    assert (ended.status, ended.out) == (2, "")
    assert "'oone' (from SITEFLEET_SITE). Did you mean one" in ended.err


def test_the_development_server_minds_the_environment_too(manage, site, monkeypatch):
    monkeypatch.setenv("SITEFLEET_SITE", "oone")
    ended = manage("runserver", "--noreload")
    assert (ended.status, ended.out) == (2, "")
    assert "Did you mean one" in ended.err


def test_the_option_wins_over_the_environment(manage, site, other_site, monkeypatch):
    monkeypatch.setenv("SITEFLEET_SITE", "gone")
    ended = manage("tell", "--site=two")
    assert (ended.json["site"], ended.err) == ("Two", "")


def test_the_default_of_the_settings_is_told(manage, site, other_site, settings):
    settings.SITE_ID = site.pk
    ended = manage("tell")
    assert ended.json["site"] == "One"
    assert ended.err == "Acting on One (one), by SITE_ID. Another site: --site=SLUG\n"


@pytest.mark.parametrize("source", ["SITE_ID", "SITEFLEET_SITE"])
def test_the_only_site_there_is_needs_no_telling(manage, site, settings, monkeypatch, source):
    get_site("one")
    site.__class__.objects.exclude(pk=site.pk).delete()
    if source == "SITE_ID":
        settings.SITE_ID = site.pk
    else:
        monkeypatch.setenv("SITEFLEET_SITE", "one")
    ended = manage("tell")
    assert (ended.json["site"], ended.err) == ("One", "")


@pytest.mark.parametrize("words", [["sites", "list"], ["check"], ["help", "check"]], ids=" ".join)
def test_a_command_for_the_whole_fleet_has_no_site_to_tell(
    manage, fleet, settings, monkeypatch, words
):
    settings.SITE_ID = fleet[0].pk
    assert "Acting on" not in manage(*words).err
    monkeypatch.setenv("SITEFLEET_SITE", "two")
    assert "Acting on" not in manage(*words).err


def test_the_list_of_fleet_wide_commands_has_no_typing_errors():
    django_has_besides = {"compilemessages", "help", "version"}
    assert FLEET_WIDE - WORKERS - django_has_besides <= set(get_commands())


def test_without_any_site_a_command_runs_as_ever(manage, site):
    ended = manage("tell")
    assert (ended.status, ended.json["setting"], ended.err) == (0, None, "")


def test_a_site_can_be_added_while_the_environment_names_it_already(manage, db, monkeypatch):
    monkeypatch.setenv("SITEFLEET_SITE", "one")
    assert manage("sites", "add", "one").status == 0


def test_wrong_settings_are_told_by_the_checks(manage, db, monkeypatch):
    monkeypatch.setenv("SITEFLEET_DOMAIN_FORMAT", "nonsense")
    ended = manage("check")
    assert "sitefleet.E001" in ended.err


def test_wrong_settings_are_one_line_with_the_option(manage, site, monkeypatch):
    monkeypatch.setenv("SITEFLEET_DOMAIN_FORMAT", "nonsense")
    ended = manage("tell", "--site=two.example.org")
    assert (ended.status, ended.err.count("\n")) == (2, 1)
    assert "It needs {slug} just once" in ended.err


# --- in a process of its own -------------------------------------------------


def test_a_real_process_acts_on_the_site_in_its_threads_too(project):
    first = project.start("--site=two.example.org", "tell", "--thread")
    second = project.start("tell", "--thread", environment={"SITEFLEET_SITE": "three"})
    wrong = project.start("tell", "--site=threee")
    out, err = first.communicate(timeout=60)
    assert (first.returncode, err) == (0, "")
    told = json.loads(out)
    assert told["site"] == told["thread"] == "Two"
    out, err = second.communicate(timeout=60)
    told = json.loads(out)
    assert told["site"] == told["thread"] == "Three"
    assert err == "Acting on Three (three), by SITEFLEET_SITE. Another site: --site=SLUG\n"
    out, err = wrong.communicate(timeout=60)
    assert (wrong.returncode, out) == (2, "")
    assert "Did you mean three" in err


def test_without_tables_the_message_is_one_line(project, file_database):
    with sqlite3.connect(file_database) as connection:
        connection.execute("DROP TABLE sitefleet_siteconfig")
    connection.close()
    with_option = project.start("tell", "--site=one")
    fleet_wide = project.start("sites", "list")
    _, err = with_option.communicate(timeout=60)
    assert with_option.returncode == 2
    assert err == (
        "The site 'one' cannot be looked up. The database says: no such table:"
        " sitefleet_siteconfig. Has `manage.py migrate` been run?\n"
    )
    _, err = fleet_wide.communicate(timeout=60)
    assert fleet_wide.returncode == 1
    assert err.count("\n") == 1
    assert "Has `manage.py migrate` been run?" in err


def test_below_a_prefix_in_a_real_process(project):
    add_site("de", name="DE", domain="one.example.org", path_prefix="/de")
    assert project.run("tell", "--site=de").json["reverse"] == "/de/site/"


def test_a_server_tells_of_rows_that_name_another_environment(fleet, settings, capsys):
    _tell_foreign_rows()
    assert capsys.readouterr().err == "", "in live every row is at home"
    settings.SITEFLEET = {"DOMAIN_FORMAT": "{slug}.localhost:8000"}
    _tell_foreign_rows()
    assert "manage.py sites sync" in capsys.readouterr().err
    sync()
    _tell_foreign_rows()
    assert capsys.readouterr().err == ""
