"""A mistake in the code is told with its place in the project."""

import pytest

from sitefleet.serving.trial import tell


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
