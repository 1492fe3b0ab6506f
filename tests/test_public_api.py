"""What users may rely on: names, imports, ids of checks, words of exceptions."""

import ast
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import sitefleet
from sitefleet import checks, exceptions

SOURCE = Path(sitefleet.__file__).parent
ENVIRONMENT = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SOURCE.parent)}


def run(code):
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def test_the_names_are_few_sorted_and_all_there():
    names = sitefleet.__all__
    assert names == sorted(names)
    assert len(names) == len(set(names)) <= 8
    assert all(hasattr(sitefleet, name) for name in names)


def test_every_name_is_documented():
    for name in sitefleet.__all__:
        value = getattr(sitefleet, name)
        assert inspect.getdoc(value), name
    text = SOURCE.joinpath("__init__.py").read_text()
    assert re.search(r"^#: .+\nACCEPTED_HOST = ", text, re.MULTILINE), "a constant by its comment"


def test_importing_needs_no_settings_and_loads_no_models():
    code = (
        "import sys, sitefleet\n"
        "from sitefleet import *\n"
        "assert [name for name in sitefleet.__all__ if name not in globals()] == []\n"
        "print([name for name in sys.modules if name.endswith('.models') or"
        " name == 'django.db.models'])\n"
        "from django.conf import settings\n"
        "print(settings.configured, ACCEPTED_HOST == 'x', str(ACCEPTED_HOST))\n"
    )
    status, out, err = run(code)
    assert (status, err) == (0, "")
    assert out == "[]\nFalse False <the host that sitefleet has accepted>\n"


def test_without_django_set_up_the_error_says_what_to_do():
    code = "from sitefleet import *\nwith override_site(1): get_current_site()"
    status, _, err = run(code)
    assert status == 1
    assert err.splitlines()[-1] == (
        "sitefleet.exceptions.NoCurrentSite: Site 1 cannot be loaded: add 'sitefleet' to"
        " INSTALLED_APPS and set up Django. "
        + " ".join((exceptions.NoCurrentSite.__doc__ or "").split())
    )


def test_the_package_says_that_it_is_typed():
    assert SOURCE.joinpath("py.typed").exists()


def messages_of_checks():
    """Yield the kind and the id of each system check in the source."""
    for node in ast.walk(ast.parse(Path(checks.__file__).read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            kind = node.func.attr
            if kind in {"Error", "Warning", "Info", "Critical", "Debug"}:
                keywords = {each.arg: each.value for each in node.keywords}
                yield kind, keywords["id"].value, "hint" in keywords


def test_ids_of_checks_are_unique_and_their_letter_is_the_level():
    found = list(messages_of_checks())
    ids = [name for _, name, _ in found]
    assert len(ids) >= 10
    assert len(ids) == len(set(ids))
    for kind, name, hint in found:
        assert re.fullmatch(r"sitefleet\.[EW]\d{3}", name), name
        assert name.split(".")[1][0] == kind[0], name
        assert hint, f"{name} says what to do"
    numbers = [name[-3:] for name in ids]
    assert len(numbers) == len(set(numbers)), "a check that becomes an error keeps its number"


def all_exceptions():
    return [
        value
        for value in vars(exceptions).values()
        if isinstance(value, type) and issubclass(value, Exception)
    ]


def test_every_exception_has_a_docstring_and_a_place_in_the_tree():
    for error in all_exceptions():
        assert issubclass(error, exceptions.SiteError)
        assert "__doc__" in vars(error)
        assert (error.__doc__ or "").strip().endswith((".", "them")), error
        assert error.__name__ in (exceptions.__doc__ or "")


def test_messages_say_what_to_do():
    assert "override_site" in str(exceptions.NoCurrentSite())
    assert str(exceptions.NoCurrentSite("Site 1.")).startswith("Site 1. There is no current site")
    unknown = exceptions.UnknownSite("gg", ["gh", "de"], "--site")
    assert str(unknown) == (
        "No site has the id, slug or domain 'gg' (from --site). Did you mean gh or de?"
        " `manage.py sites list` shows all."
    )
    assert isinstance(exceptions.InvalidHost("a b", "a name has no spaces"), ValueError)


def test_no_name_begins_the_day_with_a_warning():
    status, out, err = run("import sitefleet.exceptions, sitefleet.hosts; print('quiet')")
    assert (status, out, err) == (0, "quiet\n", "")
