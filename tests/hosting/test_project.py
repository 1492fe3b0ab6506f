import os

import pytest

from sitefleet.exceptions import SiteError
from sitefleet.hosting.processes.project import find_project

MANAGE = 'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")\n'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE", raising=False)
    (tmp_path / "manage.py").write_text(MANAGE)
    (tmp_path / "shop" / "deep").mkdir(parents=True)
    return tmp_path


def test_a_project_is_found_from_anywhere_below_it(folder):
    found = find_project(folder / "shop" / "deep")
    assert (found.root, found.settings) == (folder, "shop.settings")


def test_settings_are_those_given_then_the_environments_then_those_of_manage_py(
    folder, monkeypatch
):
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "shop.live")
    assert find_project(folder).settings == "shop.live"
    assert find_project(folder, "shop.test").settings == "shop.test"


def test_where_there_is_no_project_it_says_where_it_looked(tmp_path, monkeypatch):
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE", raising=False)
    with pytest.raises(SiteError, match="--project"):
        find_project(tmp_path)


def test_a_manage_py_that_names_no_settings_is_told(folder):
    (folder / "manage.py").write_text("")
    with pytest.raises(SiteError, match="--settings"):
        find_project(folder)


def test_processes_know_the_project_and_no_site(folder, monkeypatch):
    monkeypatch.setenv("SITE_ID", "3")
    monkeypatch.setenv("SITEFLEET_SITE", "gh")
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    variables = find_project(folder).variables()
    assert variables["DJANGO_SETTINGS_MODULE"] == "shop.settings"
    assert variables["PYTHONPATH"] == os.pathsep.join([str(folder), "elsewhere"])
    assert not {"SITE_ID", "SITEFLEET_SITE"} & set(variables)
