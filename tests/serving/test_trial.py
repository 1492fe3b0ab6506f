"""A mistake in the code is told with its place in the project."""

import pytest
from django.test import override_settings

from sitefleet.hosting.supervising.trial import MISTAKE, NO_SITES
from sitefleet.serving.trial import main, tell
from tests.databases import sqlite_file, using_database


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop").mkdir()
    return tmp_path


def mistake_in(path, text):
    path.write_text(text)
    try:
        exec(compile(text, str(path), "exec"), {})  # noqa: S102 - as an import would
    except (NameError, ValueError, SyntaxError) as error:
        return tell(error)
    return ""


def test_the_last_line_of_the_project_is_named(project):
    path = project / "shop" / "urls.py"
    told = mistake_in(path, "import json\n\njson.loads(nothing)\n")
    assert told == "NameError: name 'nothing' is not defined (shop/urls.py, line 3)"
    told = mistake_in(path, "import json\njson.loads('{')\n")
    assert told.endswith("(shop/urls.py, line 2)")


def test_a_mistake_in_the_syntax_is_named_where_it_is(project):
    told = mistake_in(project / "shop" / "urls.py", "one\nthis is no Python\n")
    assert told == "SyntaxError: invalid syntax (shop/urls.py, line 2)"


def test_what_has_no_place_in_the_project_has_none(project):
    told = mistake_in(project.parent / "other.py", "nothing\n")
    assert told == "NameError: name 'nothing' is not defined"


@pytest.mark.django_db
def test_a_project_whose_sites_can_be_read_can_be_served(capsys):
    assert main() == 0
    assert capsys.readouterr().err == ""


@override_settings(ROOT_URLCONF="no_such_urls")
def test_code_that_cannot_be_loaded_is_a_mistake_whatever_the_database_says(capsys):
    assert main() == MISTAKE
    assert "No module named 'no_such_urls'" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none/none.sqlite3", "the database does not answer: unable to open database file\n"),
        ("empty.sqlite3", "the tables of sites cannot be read, run `manage.py migrate`: no such"),
    ],
    ids=["away", "empty"],
)
def test_where_no_sites_can_be_read_that_is_no_mistake_of_the_code(
    tmp_path, django_db_blocker, capsys, name, said
):
    with django_db_blocker.unblock(), using_database(**sqlite_file(tmp_path / name)):
        assert main() == NO_SITES
    assert capsys.readouterr().err.startswith(said)
