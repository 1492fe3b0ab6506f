"""Django's own options behind the actions of ``sites``; silence; a project that lacks an app."""

import os
import sys

import pytest

SETTINGS = """\
from project_settings import *

INSTALLED_APPS = [app for app in INSTALLED_APPS if app not in {missing!r}]
"""


@pytest.mark.parametrize(
    "words",
    [
        ["list", "-v0"],
        ["list", "--verbosity=2", "--no-color"],
        ["-v", "0", "list", "--traceback"],
        ["show", "one", "--skip-checks"],
        ["alias", "add", "one", "x.example.org", "--force-color"],
        ["alias", "--no-color", "add", "one", "x.example.org"],
        ["--no-color"],
    ],
    ids=" ".join,
)
def test_they_are_taken_behind_the_action_too(manage, site, words):
    ended = manage("sites", *words)
    assert (ended.status, ended.err) == (0, "")


def test_the_settings_too(manage, site, monkeypatch):
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", os.environ["DJANGO_SETTINGS_MODULE"])
    assert manage("sites", "list", "--settings=tests.settings").status == 0


@pytest.mark.parametrize("words", [["--traceback", "show", "x"], ["show", "x", "--traceback"]])
def test_they_count_wherever_they_stand(manage, site, words):
    with pytest.raises(Exception, match="No site has"):
        manage("sites", *words)


def test_sites_alone_lists_them(manage, site, other_site):
    assert manage("sites").out == manage("sites", "list").out
    assert "two.example.org" in manage("sites").out


@pytest.fixture(params=["SITE_ID", "SITEFLEET_SITE"])
def default(request, site, other_site, settings, monkeypatch):
    """A site that is chosen by default."""
    if request.param == "SITE_ID":
        settings.SITE_ID = site.pk
    else:
        monkeypatch.setenv("SITEFLEET_SITE", "one")


@pytest.mark.parametrize("words", [["-v0"], ["-v", "0"], ["--verbosity=0"], ["--verbosity", "0"]])
def test_silence_leaves_out_on_which_site_a_command_acts(manage, default, words):
    assert manage("tell", *words).err == ""
    assert "Acting on One" in manage("tell", "-v1").err
    assert "Acting on One" in manage("tell", "--", "-v0").err


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        (["sitefleet"], "'sitefleet'"),
        (["django.contrib.sites"], "'django.contrib.sites'"),
        (["django.contrib.sites", "sitefleet"], "'django.contrib.sites' and 'sitefleet'"),
    ],
)
def test_an_app_that_is_missing_is_told_in_a_sentence(project, missing, told):
    project.path.joinpath("lacking.py").write_text(SETTINGS.format(missing=missing))
    lacking = {"DJANGO_SETTINGS_MODULE": "lacking"}
    started = [
        project.start(*words, environment=lacking)
        for words in (["check"], ["sites", "list"], ["runserver", "--site=one", "9"])
    ]
    for process in started:
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (2, "")
        assert err == f"This manage.py needs {told} in INSTALLED_APPS.\n"


def test_an_app_may_be_installed_by_its_config(project):
    text = SETTINGS.format(missing=["django.contrib.sites"])
    text += 'INSTALLED_APPS += ["django.contrib.sites.apps.SitesConfig"]\n'
    project.path.joinpath("by_config.py").write_text(text)
    ended = project.run("sites", environment={"DJANGO_SETTINGS_MODULE": "by_config"})
    assert (ended.status, ended.err) == (0, "")


@pytest.mark.acceptance
def test_closed_streams_are_no_mistake(project):
    def close():
        for number in (0, 1, 2):
            os.close(number)

    done = project.start("sites", "list", preexec_fn=close)
    done.communicate(timeout=60)
    assert done.returncode == 0


def test_where_nobody_reads_any_more_a_command_ends_quietly(manage, site, monkeypatch):
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "w") as unread:
        monkeypatch.setattr(sys, "stdout", unread)
        ended = manage("sites", "list")
    assert (ended.status, ended.err) == (141, "")
