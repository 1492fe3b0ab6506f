"""Everything that has a name is in the reference; what the docs promise of versions is declared."""

from __future__ import annotations

import inspect
import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
from django.core.management import BaseCommand, load_command_class

import sitefleet
from sitefleet import exceptions
from sitefleet.conf import ENVIRONMENT_VARIABLES, Conf
from sitefleet.management.subcommands import ACTIONS

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
README = (ROOT / "README.md").read_text()


def reference(name: str) -> str:
    return (DOCS / "reference" / f"{name}.md").read_text()


@pytest.mark.parametrize("name", [field.name for field in fields(Conf) if field.name != "SITE"])
def test_each_setting_has_a_heading_and_its_default(name):
    section = re.search(rf"(?ms)^## `{name}`\n\n(.*?)(?=^## )", reference("settings"))
    assert section, f"{name} is not in docs/reference/settings.md"
    default = getattr(Conf(), name)
    shown = f"default `{default}`" if default not in ("", {}, ()) else "default empty"
    assert shown in section[1]


def test_no_setting_is_documented_that_is_none():
    headings = re.findall(r"^## `([A-Z_]+)`", reference("settings"), re.MULTILINE)
    assert set(headings) == {field.name for field in fields(Conf)} - {"SITE"}


@pytest.mark.parametrize("name", ENVIRONMENT_VARIABLES)
def test_each_environment_variable_is_documented(name):
    assert f"`SITEFLEET_{name}`" in reference("settings")


def test_each_check_is_documented_and_no_other():
    source = "".join(path.read_text() for path in (ROOT / "src/sitefleet").rglob("*.py"))
    assert set(re.findall(r"sitefleet\.[EW]\d{3}", source)) == set(
        re.findall(r"`(sitefleet\.[EW]\d{3})`", reference("checks"))
    )


@pytest.mark.parametrize("action", ACTIONS)
def test_each_action_of_sites_is_documented_with_its_options(action):
    parser = load_command_class("sitefleet", "sites").create_parser("manage.py", "sites")
    common = options_of(parser)
    for word in action.split():
        choices = next(a.choices for a in parser._actions if isinstance(a.choices, dict))
        parser = choices[word]
    line = next(
        line for line in reference("commands").splitlines() if line.startswith(f"| `{action}")
    )
    for option in options_of(parser) - common:
        assert option in line


@pytest.mark.parametrize("command", ["forsites", "resolvehost", "rls", "scopemodels"])
def test_each_command_is_documented_with_its_options(command):
    parser = load_command_class("sitefleet", command).create_parser("manage.py", command)
    common = options_of(BaseCommand().create_parser("", ""))
    section = reference("commands").partition(f"## `{command}`")[2].partition("\n## ")[0]
    for option in options_of(parser) - common:
        assert option in section


def options_of(parser) -> set[str]:
    names = {name for action in parser._actions for name in action.option_strings}
    return {name for name in names if name.startswith("--")} - {"--help"}


def test_each_exception_says_what_to_do_in_its_docstring():
    classes = [value for value in vars(exceptions).values() if inspect.isclass(value)]
    tree = inspect.getdoc(exceptions)
    for exception in classes:
        assert inspect.getdoc(exception)
        assert exception.__name__ in tree


@pytest.mark.parametrize("name", sitefleet.__all__)
def test_each_public_name_is_in_the_api_reference(name):
    assert f"sitefleet.{name}\n" in reference("api")


def test_each_module_is_in_the_architecture():
    source = ROOT / "src/sitefleet"
    rooms = ("*.py", "persite/*.py", "scoping/*.py")
    modules = {path.stem for room in rooms for path in source.glob(room)} - {"__init__"}
    architecture = (DOCS / "architecture.md").read_text()
    assert not {name for name in modules if f"`{name}`" not in architecture}


def test_the_versions_in_the_readme_are_those_of_the_project():
    classifiers = PROJECT["classifiers"]
    pythons = sorted(
        (item.rpartition(" ")[2] for item in classifiers if re.search(r"Python :: 3\.\d+$", item)),
        key=lambda version: int(version.partition(".")[2]),
    )
    djangos = [item.rpartition(" ")[2] for item in classifiers if re.search(r"Django :: \d", item)]
    assert (
        f"Python {pythons[0]} to {pythons[-1]}, Django {djangos[0]} LTS to {djangos[-1]}" in README
    )
    assert PROJECT["requires-python"] == f">={pythons[0]}"


def test_each_dependency_has_a_reason():
    architecture = (DOCS / "architecture.md").read_text()
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    extras = PROJECT["optional-dependencies"]
    wanted = [*PROJECT["dependencies"]]
    for group in (*groups.values(), *extras.values()):
        wanted += group
    names = {re.split(r"[\[<>=]", item)[0] for item in wanted} - {"hatchling", "editables"}
    assert not {name for name in names if name.lower() not in architecture.lower()}
