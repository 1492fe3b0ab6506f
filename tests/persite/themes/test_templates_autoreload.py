"""Under runserver an edited template is seen without a restart, on each site that it is for."""

import os

import pytest
from django.template import TemplateDoesNotExist
from django.template.loader import render_to_string
from django.utils.autoreload import StatReloader, autoreload_started

from sitefleet import override_site
from sitefleet.registry import configure_site

pytestmark = pytest.mark.usefixtures("engine")


@pytest.fixture
def reloader(monkeypatch):
    """Django's reloader, as it is when a server has started, without modules and its thread."""
    monkeypatch.setattr("django.utils.autoreload.iter_all_python_module_files", lambda: ())
    monkeypatch.setattr(StatReloader, "SLEEP_TIME", 0)
    restarts = []
    monkeypatch.setattr("django.utils.autoreload.trigger_reload", restarts.append)
    reloader = StatReloader()
    reloader.restarts = restarts
    autoreload_started.send(sender=reloader)
    ticks = reloader.tick()
    reloader.look = lambda: next(ticks)
    reloader.look()
    return reloader


@pytest.fixture
def edit(write):
    """Write a file so that its time, and that of its folder, are later than before."""
    later = iter(range(2_000_000_000, 2_000_001_000))

    def edit(name, text):
        path = write(name, text)
        for changed in (path, path.parent):
            now = next(later)
            os.utime(changed, (now, now))

    return edit


@pytest.fixture
def pages(write, sites):
    write("templates/page.html", "shared")
    write("themes/red/templates/page.html", "red")
    return sites


def seen(sites):
    texts = []
    for site in sites:
        with override_site(site):
            texts.append(render_to_string("page.html"))
    return texts


def test_an_edited_template_of_a_theme_is_seen(pages, reloader, edit):
    assert seen(pages) == ["red", "shared", "shared"]
    edit("themes/red/templates/page.html", "new red")
    reloader.look()
    assert seen(pages) == ["new red", "shared", "shared"]
    assert not reloader.restarts


def test_an_edited_shared_template_is_seen_on_sites_with_a_theme_too(pages, reloader, edit):
    assert seen(pages) == ["red", "shared", "shared"]
    edit("templates/page.html", "new shared")
    reloader.look()
    assert seen(pages) == ["red", "new shared", "new shared"]
    assert not reloader.restarts


def test_a_template_that_is_added_to_a_theme_or_taken_away_is_seen(pages, reloader, edit, tmp_path):
    assert seen(pages) == ["red", "shared", "shared"]
    edit("themes/blue/templates/page.html", "blue")
    reloader.look()
    assert seen(pages) == ["red", "blue", "shared"]
    (tmp_path / "themes/blue/templates/page.html").unlink()
    os.utime(tmp_path / "themes/blue/templates", (2_100_000_000, 2_100_000_000))
    reloader.look()
    assert seen(pages) == ["red", "shared", "shared"]
    assert not reloader.restarts


def test_a_theme_that_is_added_is_seen_and_its_templates_are_watched(
    pages, settings, reloader, edit
):
    settings.DEBUG = True
    configure_site(pages[2], theme="green")
    assert seen(pages) == ["red", "shared", "shared"]
    edit("themes/green/templates/page.html", "green")
    reloader.look()
    assert seen(pages) == ["red", "shared", "green"]
    edit("themes/green/templates/page.html", "new green")
    reloader.look()
    assert seen(pages) == ["red", "shared", "new green"]
    assert not reloader.restarts


def test_a_python_file_in_a_theme_starts_the_server_again(pages, reloader, edit, write):
    path = write("themes/red/templates/helper.py", "")
    reloader.look()
    edit("themes/red/templates/helper.py", "")
    reloader.look()
    assert path in reloader.restarts


def test_static_files_and_what_builds_them_are_not_watched(pages, reloader, edit, write):
    write("themes/red/static/site.css", "red")
    write("themes/red/node_modules/x/y.js", "red")
    watched = list(reloader.watched_files())
    assert not [path for path in watched if {"static", "node_modules"} & set(path.parts)]


def test_settings_that_cannot_be_used_leave_the_reloader_alive(settings, reloader, edit):
    settings.SITEFLEET = {"THEME_DIRS": 1}
    autoreload_started.send(sender=reloader)
    edit("templates/page.html", "x")
    reloader.look()


def test_errors_of_a_theme_are_seen_again_after_they_were_mended(pages, reloader, edit, write):
    with override_site(pages[0]), pytest.raises(TemplateDoesNotExist):
        render_to_string("other.html")
    edit("themes/red/templates/other.html", "other")
    reloader.look()
    with override_site(pages[0]):
        assert render_to_string("other.html") == "other"
